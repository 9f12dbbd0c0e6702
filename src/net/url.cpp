#include "net/url.hpp"

#include "net/errors.hpp"

#include <charconv>

namespace oavc::net {

namespace {

constexpr std::size_t longest_url = 8192;

std::uint16_t default_port(std::string_view scheme) noexcept {
    if (scheme == "http" || scheme == "ws") return 80;
    if (scheme == "https" || scheme == "wss") return 443;
    return 0;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

std::string Url::authority() const {
    std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
    if (port != default_port(scheme)) text += ":" + std::to_string(port);
    return text;
}

Result<Url> parse_url(std::string_view text) {
    if (text.size() > longest_url) return NetErrc::bad_url;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F) return NetErrc::bad_url;
    }
    Url url;
    const auto colon = text.find("://");
    if (colon == std::string_view::npos) return NetErrc::bad_url;
    for (const char c : text.substr(0, colon))
        url.scheme += lower(c);
    url.port = default_port(url.scheme);
    const bool bare = url.scheme == "tcp" || url.scheme == "tls";
    if (url.port == 0 && !bare) return NetErrc::bad_url;
    text.remove_prefix(colon + 3);

    const auto end = text.find_first_of("/?#");
    auto authority = text.substr(0, end);
    auto rest = end == std::string_view::npos ? std::string_view{} : text.substr(end);
    rest = rest.substr(0, rest.find('#'));
    url.target = rest.empty() || rest.front() != '/' ? "/" : "";
    url.target += rest;

    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        url.userinfo = authority.substr(0, at);
        authority.remove_prefix(at + 1);
    }
    std::string_view port;
    bool has_port = false;
    if (authority.starts_with('[')) {
        const auto bracket = authority.find(']');
        if (bracket == std::string_view::npos) return NetErrc::bad_url;
        url.host = authority.substr(1, bracket - 1);
        authority.remove_prefix(bracket + 1);
        if (!authority.empty() && authority.front() != ':') return NetErrc::bad_url;
        has_port = !authority.empty();
        if (has_port) port = authority.substr(1);
    } else {
        const auto split = authority.find(':');
        url.host = authority.substr(0, split);
        has_port = split != std::string_view::npos;
        if (has_port) port = authority.substr(split + 1);
    }
    if (url.host.empty()) return NetErrc::bad_url;
    if (has_port && !port.empty()) {
        const auto [last, error] =
            std::from_chars(port.data(), port.data() + port.size(), url.port);
        if (error != std::errc{} || last != port.data() + port.size() || url.port == 0) {
            return NetErrc::bad_url;
        }
    }
    if (url.port == 0) return NetErrc::bad_url;
    return url;
}

}  // namespace oavc::net
