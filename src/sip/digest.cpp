#include "sip/digest.hpp"

#include "sip/text.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <initializer_list>
#include <utility>

namespace oavc::sip {

namespace {

std::string hex_hash(Challenge::Algorithm algorithm, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    const EVP_MD* kind = algorithm == Challenge::Algorithm::md5 ? EVP_md5() : EVP_sha256();
    if (EVP_Digest(text.data(), text.size(), digest.data(), &size, kind, nullptr) != 1) return {};
    constexpr std::string_view hex = "0123456789abcdef";
    std::string out;
    for (unsigned i = 0; i < size; ++i) {
        out += hex[digest[i] >> 4U];
        out += hex[digest[i] & 15U];
    }
    return out;
}

std::string joined(std::initializer_list<std::string_view> parts) {
    std::string out;
    for (const auto part : parts)
        out.append(out.empty() ? "" : ":").append(part);
    return out;
}

std::string quoted(std::string_view text) {
    std::string out{"\""};
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

bool has_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        const auto end = std::min(list.find(','), list.size());
        if (equals_ignoring_case(trim(list.substr(0, end)), token)) return true;
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return false;
}

/// The next `name=value` or `name="value"` of a list; false at its end or where it cannot be read.
bool take_pair(std::string_view& rest, std::string_view& name, std::string& value) {
    while (!rest.empty() && (is_blank(rest.front()) || rest.front() == ','))
        rest.remove_prefix(1);
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return false;
    name = trim(rest.substr(0, equals));
    rest = trim(rest.substr(equals + 1));
    value.clear();
    if (!rest.empty() && rest.front() == '"') {
        std::size_t i = 1;
        for (; i < rest.size() && rest[i] != '"'; ++i) {
            if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
            value += rest[i];
        }
        if (i >= rest.size()) return false;
        rest.remove_prefix(i + 1);
        return true;
    }
    const auto end = std::min(rest.find(','), rest.size());
    value = trim(rest.substr(0, end));
    rest.remove_prefix(end);
    return true;
}

}  // namespace

std::optional<Challenge> parse_challenge(std::string_view text) noexcept {
    auto rest = text;
    if (!equals_ignoring_case(next_word(rest), "Digest")) return std::nullopt;
    Challenge out;
    bool has_realm = false;
    std::string_view name;
    std::string value;
    while (take_pair(rest, name, value)) {
        if (equals_ignoring_case(name, "realm")) {
            out.realm = value;
            has_realm = true;
        } else if (equals_ignoring_case(name, "nonce")) {
            out.nonce = value;
        } else if (equals_ignoring_case(name, "opaque")) {
            out.opaque = value;
        } else if (equals_ignoring_case(name, "stale")) {
            out.stale = equals_ignoring_case(value, "true");
        } else if (equals_ignoring_case(name, "qop")) {
            if (!has_token(value, "auth")) return std::nullopt;
            out.qop_auth = true;
        } else if (equals_ignoring_case(name, "algorithm")) {
            if (equals_ignoring_case(value, "SHA-256")) {
                out.algorithm = Challenge::Algorithm::sha256;
            } else if (!equals_ignoring_case(value, "MD5")) {
                return std::nullopt;
            }
        }
    }
    if (!has_realm || out.nonce.empty()) return std::nullopt;
    return out;
}

std::optional<Challenge> best_challenge(const std::vector<std::string>& values) noexcept {
    std::optional<Challenge> best;
    for (const auto& value : values) {
        auto challenge = parse_challenge(value);
        if (!challenge) continue;
        const bool stronger = best && best->algorithm == Challenge::Algorithm::md5 &&
                              challenge->algorithm == Challenge::Algorithm::sha256;
        if (!best || stronger) best = std::move(challenge);
    }
    return best;
}

std::string authorize(
    const Challenge& challenge,
    const Credentials& credentials,
    std::string_view method,
    std::string_view uri,
    std::string_view cnonce,
    std::uint32_t count
) {
    const auto algorithm = challenge.algorithm;
    const auto secret =
        hex_hash(algorithm, joined({credentials.username, challenge.realm, credentials.password}));
    const auto request = hex_hash(algorithm, joined({method, uri}));
    std::array<char, 9> nonce_count{};
    std::snprintf(nonce_count.data(), nonce_count.size(), "%08x", count);
    const auto response =
        challenge.qop_auth
            ? hex_hash(
                  algorithm,
                  joined({secret, challenge.nonce, nonce_count.data(), cnonce, "auth", request})
              )
            : hex_hash(algorithm, joined({secret, challenge.nonce, request}));

    std::string out{"Digest username="};
    out.append(quoted(credentials.username)).append(", realm=").append(quoted(challenge.realm));
    out.append(", nonce=").append(quoted(challenge.nonce)).append(", uri=").append(quoted(uri));
    out.append(", response=").append(quoted(response)).append(", algorithm=");
    out.append(algorithm == Challenge::Algorithm::md5 ? "MD5" : "SHA-256");
    if (challenge.qop_auth) {
        out.append(", qop=auth, nc=").append(nonce_count.data());
        out.append(", cnonce=").append(quoted(cnonce));
    }
    if (!challenge.opaque.empty()) out.append(", opaque=").append(quoted(challenge.opaque));
    return out;
}

}  // namespace oavc::sip
