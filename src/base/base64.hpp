#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Base64 (RFC 4648 §4), table driven: twelve bits per look-up out, four characters per look-up in.
namespace oavc::base64 {

/// Characters that `bytes` bytes become, padding included.
constexpr std::size_t encoded_size(std::size_t bytes) noexcept { return (bytes + 2) / 3 * 4; }
/// Most bytes that `characters` characters can become.
constexpr std::size_t decoded_limit(std::size_t characters) noexcept {
    return (characters + 3) / 4 * 3;
}

/// Writes encoded_size(in.size()) characters to `out`, which must have that room. Returns the
/// count.
std::size_t encode(std::span<const std::byte> in, char* out) noexcept;
std::string encode(std::span<const std::byte> in);

/// URL alphabet without padding (§5), for tokens.
std::string encode_url(std::span<const std::byte> in);

/// Bytes written to `out`, or nothing: a foreign character, an impossible length, or no room.
/// Padding may be missing.
std::optional<std::size_t> decode(std::string_view in, std::span<std::byte> out) noexcept;

}  // namespace oavc::base64
