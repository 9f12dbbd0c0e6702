#pragma once

#include "base/result.hpp"
#include "net/http.hpp"
#include "net/url.hpp"
#include "services/config.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

/// What Deepgram's recogniser and its voices have in common.
namespace oavc::services::deepgram {

/// RFC 3986 §2.3: all but unreserved characters.
inline std::string percent_encoded(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            encoded += c;
        } else {
            encoded += '%';
            encoded += digits[byte >> 4];
            encoded += digits[byte & 15];
        }
    }
    return encoded;
}

/// Appends `name=value` to a URL that may already have a query.
inline void add_query(std::string& url, std::string_view name, std::string_view value) {
    url += url.find('?') == std::string::npos ? '?' : '&';
    url += name;
    url += '=';
    url += percent_encoded(value);
}

inline net::HttpHeaders authorization(const std::string& api_key) {
    net::HttpHeaders headers;
    if (!api_key.empty()) headers["Authorization"] = "Token " + api_key;
    return headers;
}

/// Throws std::runtime_error with a sentence for the operator. A server of one's own needs no key.
inline void check(std::string_view section, const Endpoint& endpoint, const std::string& api_key) {
    const auto url = net::parse_url(endpoint.url);
    if (!url || (url->scheme != "ws" && url->scheme != "wss")) {
        throw std::runtime_error{
            std::string{section} + " url: a ws:// or wss:// address is needed"};
    }
    if (api_key.empty() && url->host.ends_with("deepgram.com")) {
        throw std::runtime_error{std::string{section} + " api_key: Deepgram needs one"};
    }
}

}  // namespace oavc::services::deepgram
