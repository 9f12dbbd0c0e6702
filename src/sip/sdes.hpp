#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::sip {

/// SDES: the keys of SRTP in the SDP (RFC 4568). As secret as the signalling that carries them.

/// How packets are encrypted and authenticated (RFC 4568 §6.2). The second shortens RTP's tag from
/// 80 to 32 bits; RTCP has 80 in both.
enum class SrtpSuite : std::uint8_t { aes_cm_128_hmac_sha1_80, aes_cm_128_hmac_sha1_32 };
inline constexpr std::array srtp_suites{
    SrtpSuite::aes_cm_128_hmac_sha1_80, SrtpSuite::aes_cm_128_hmac_sha1_32};
std::string_view to_string(SrtpSuite suite) noexcept;

/// Master key (16 bytes) and master salt (14), as they stand in a=crypto. Never logged.
struct SrtpKey {
    std::array<std::byte, 30> bytes{};
    friend bool operator==(const SrtpKey&, const SrtpKey&) = default;
};

/// One a=crypto line.
struct CryptoAttribute {
    std::uint32_t tag{1};
    SrtpSuite suite{SrtpSuite::aes_cm_128_hmac_sha1_80};
    SrtpKey key;
};

/// Reads the value of a=crypto: "1 AES_CM_128_HMAC_SHA1_80 inline:…[|2^31]". Strict, because what
/// is misread here is a call without sound. Nothing for another suite, a key that is not 30 bytes
/// of base64, several keys, an MKI (no packet of ours would carry it), a lifetime under 2^20
/// packets (6 hours of audio: we do not change keys by ourselves) or a session parameter other than
/// WSH, which RFC 4568 §6.3 forbids to ignore.
std::optional<CryptoAttribute> parse_crypto(std::string_view value) noexcept;

std::string write_crypto(const CryptoAttribute& crypto);

}  // namespace oavc::sip
