#pragma once

#include "base/error.hpp"
#include "base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Recordings at rest: AES-256-GCM (NIST SP 800-38D) in chunks, so that a file can be written and
/// read piece by piece. Sans-I/O.
///
///     "OAVCREC1"  16 bytes of salt  { length and flag (4)  ciphertext  tag (16) }…
///
/// The file's own key is HKDF-SHA256 (RFC 5869) of the operator's and the salt. The nonce is the
/// chunk's number; its length and flag are authenticated. The highest bit of the length marks the
/// last chunk: a file that was shortened, or whose chunks were moved, is noticed.
namespace oavc::pipeline {

enum class SealErrc {
    not_sealed = 1,  ///< no recording of ours
    wrong_key,       ///< another key, or the first chunk is damaged
    damaged,         ///< a later chunk is
    end_missing,     ///< the file ends before its last chunk
    no_cipher,       ///< OpenSSL refuses AES-256-GCM or HKDF
};
std::string_view describe(SealErrc code) noexcept;
OAVC_ERROR_CATEGORY(SealErrc, "oavc.recording")

}  // namespace oavc::pipeline
OAVC_ERROR_CODE_ENUM(oavc::pipeline::SealErrc)

namespace oavc::pipeline {

using RecordingKey = std::array<std::byte, 32>;

/// 64 hexadecimal digits, or 32 bytes in Base64.
std::optional<RecordingKey> parse_recording_key(std::string_view text) noexcept;

inline constexpr std::size_t sealed_header_size = 24;
inline constexpr std::size_t longest_sealed_chunk = 4U << 20U;  ///< bytes of plain text

/// Makes one file.
class Sealer {
public:
    /// Errors: SealErrc::no_cipher.
    static Result<Sealer> make(const RecordingKey& key);

    /// The file's first bytes.
    std::string header() const;
    /// The next chunk as it stands in the file; at most longest_sealed_chunk bytes.
    Result<std::string> chunk(std::span<const std::byte> plain, bool last);

private:
    Sealer() = default;
    std::array<std::byte, 16> salt_{};
    RecordingKey key_{};
    std::uint64_t index_{0};
};

/// Reads one.
class Unsealer {
public:
    static Result<Unsealer> open(const RecordingKey& key, std::string_view header);

    /// Bytes that follow the four of a chunk's head. Errors: SealErrc::damaged.
    static Result<std::size_t> rest_of(std::string_view head);

    /// The plain text of a chunk: its head of four bytes and what follows.
    Result<std::string> chunk(std::string_view sealed);
    bool complete() const noexcept { return complete_; }  ///< the last chunk was read

private:
    Unsealer() = default;
    RecordingKey key_{};
    std::uint64_t index_{0};
    bool complete_{false};
};

}  // namespace oavc::pipeline
