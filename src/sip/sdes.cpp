#include "sip/sdes.hpp"

#include "base/base64.hpp"
#include "sip/text.hpp"

#include <algorithm>

namespace oavc::sip {

namespace {

constexpr std::string_view inline_method = "inline:";
constexpr std::size_t key_characters = base64::encoded_size(sizeof(SrtpKey::bytes));
constexpr std::uint64_t least_lifetime = std::uint64_t{1} << 20;
constexpr std::uint64_t most_lifetime = std::uint64_t{1} << 48;  // RFC 3711 §9.2

std::optional<SrtpSuite> suite_of(std::string_view name) noexcept {
    for (const auto suite : srtp_suites) {
        if (equals_ignoring_case(name, to_string(suite))) return suite;
    }
    return std::nullopt;
}

/// "2^31" or "1048576": packets that the key may be used for.
std::optional<std::uint64_t> parse_lifetime(std::string_view text) noexcept {
    if (!text.starts_with("2^")) return parse_number<std::uint64_t>(text);
    const auto exponent = parse_number<unsigned>(text.substr(2));
    if (!exponent || *exponent > 48) return std::nullopt;
    return std::uint64_t{1} << *exponent;
}

/// "inline:KEY[|lifetime]".
std::optional<SrtpKey> parse_key(std::string_view text) noexcept {
    if (text.size() < inline_method.size() ||
        !equals_ignoring_case(text.substr(0, inline_method.size()), inline_method)) {
        return std::nullopt;
    }
    text.remove_prefix(inline_method.size());
    const auto bar = text.find('|');
    const auto encoded = text.substr(0, bar);
    if (bar != std::string_view::npos) {
        // An MKI would follow a second bar, or stand here with its colon.
        const auto lifetime = parse_lifetime(text.substr(bar + 1));
        if (!lifetime || *lifetime < least_lifetime || *lifetime > most_lifetime) {
            return std::nullopt;
        }
    }
    SrtpKey key;
    if (encoded.size() != key_characters) return std::nullopt;
    const auto size = base64::decode(encoded, key.bytes);
    if (size != key.bytes.size()) return std::nullopt;
    return key;
}

}  // namespace

std::string_view to_string(SrtpSuite suite) noexcept {
    return suite == SrtpSuite::aes_cm_128_hmac_sha1_32 ? "AES_CM_128_HMAC_SHA1_32"
                                                       : "AES_CM_128_HMAC_SHA1_80";
}

std::optional<CryptoAttribute> parse_crypto(std::string_view value) noexcept {
    constexpr std::uint32_t most_tag = 999'999'999;  // nine digits (RFC 4568 §9.1)
    const auto tag_text = next_word(value);
    const auto tag = parse_number<std::uint32_t>(tag_text);
    const auto suite = suite_of(next_word(value));
    const auto key = parse_key(next_word(value));
    if (!tag || *tag == 0 || *tag > most_tag || tag_text[0] == '0' || !suite || !key) {
        return std::nullopt;
    }
    for (auto word = next_word(value); !word.empty(); word = next_word(value)) {
        const bool ignorable = word[0] == '-' || word.starts_with("WSH=");
        if (!ignorable) return std::nullopt;
    }
    return CryptoAttribute{*tag, *suite, *key};
}

std::string write_crypto(const CryptoAttribute& crypto) {
    std::string text = std::to_string(crypto.tag) + ' ';
    text += to_string(crypto.suite);
    text += ' ';
    text += inline_method;
    text += base64::encode(crypto.key.bytes);
    return text;
}

}  // namespace oavc::sip
