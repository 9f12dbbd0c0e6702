#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::sip {

struct Credentials {
    std::string username;
    std::string password;
};

/// A Digest challenge of WWW-Authenticate or Proxy-Authenticate (RFC 3261 §22, RFC 7616).
struct Challenge {
    enum class Algorithm { md5, sha256 };
    std::string realm;
    std::string nonce;
    std::string opaque;
    Algorithm algorithm{Algorithm::md5};
    bool qop_auth{false};
    bool stale{false};
};

/// Nothing: another scheme, algorithm or qop than we do (RFC 7616 §3.3: such a challenge is passed
/// over), or not readable.
std::optional<Challenge> parse_challenge(std::string_view value) noexcept;

/// The one to answer: SHA-256 before MD5.
std::optional<Challenge> best_challenge(const std::vector<std::string>& values) noexcept;

/// The value of Authorization or Proxy-Authorization. `cnonce` is ours and random; `count` is how
/// often this nonce has been used, from 1.
std::string authorize(
    const Challenge& challenge,
    const Credentials& credentials,
    std::string_view method,
    std::string_view uri,
    std::string_view cnonce,
    std::uint32_t count
);

}  // namespace oavc::sip
