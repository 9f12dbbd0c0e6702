#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::net {

/// Header names compare without case (RFC 9110 §5.1).
struct CaseInsensitiveLess {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept;
};
using HttpHeaders = std::map<std::string, std::string, CaseInsensitiveLess>;

struct HttpRequest {
    std::string method;   ///< upper case
    std::string target;   ///< as sent: path and query, still encoded
    HttpHeaders headers;  ///< repeated fields joined with ", "
    std::string body;
    std::string peer_ip;  ///< numeric address of the client's socket
    bool peer_is_loopback{false};
    bool secure{false};  ///< it came over TLS that ends here

    std::string_view path() const noexcept {
        return std::string_view{target}.substr(0, target.find('?'));
    }
    std::string_view query() const noexcept {
        const auto mark = target.find('?');
        return mark == std::string::npos ? std::string_view{}
                                         : std::string_view{target}.substr(mark + 1);
    }
    std::string_view header(std::string_view name) const noexcept {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string_view{} : std::string_view{found->second};
    }
};

struct HttpResponse {
    int status{200};
    std::string body;
    std::string content_type{"text/plain; charset=utf-8"};
    HttpHeaders headers;
};

}  // namespace oavc::net
