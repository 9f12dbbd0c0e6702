#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace oavc {

/// Fills `out` from the kernel's generator (getrandom). For ids, tokens, SSRCs and RTP offsets
/// (RFC 3550 §5.1 wants the last two unpredictable). Aborts when the kernel has none.
void random_bytes(std::span<std::byte> out) noexcept;

std::uint32_t random_u32() noexcept;

/// `bytes` random bytes as lower-case hexadecimal: 16 → 32 digits.
std::string random_hex(std::size_t bytes);

}  // namespace oavc
