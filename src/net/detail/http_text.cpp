#include "net/detail/http_text.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>

#include <fmt/format.h>

#include <ctime>

namespace oavc::net::detail {

namespace {

bool safe_in_header(std::string_view text) noexcept {
    return text.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos;
}

/// RFC 9110 §5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale.
std::string http_date() {
    static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    return fmt::format(
        "{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
        days[utc.tm_wday],
        utc.tm_mday,
        months[utc.tm_mon],
        utc.tm_year + 1900,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec
    );
}

}  // namespace

std::string origin_form(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!boost::beast::iequals(target.substr(0, scheme.size()), scheme)) continue;
        const auto slash = target.find_first_of("/?", scheme.size());
        if (slash == std::string_view::npos) return "/";
        const auto rest = target.substr(slash);
        return rest.front() == '/' ? std::string{rest} : "/" + std::string{rest};
    }
    return std::string{target};
}

bool wants_json(const HttpRequest& request) noexcept {
    return request.path().starts_with("/api/") ||
           request.header("accept").find("application/json") != std::string_view::npos;
}

HttpResponse problem(int status, std::string_view what, bool json) {
    HttpResponse response;
    response.status = status;
    if (json) {
        response.content_type = "application/json";
        response.body = fmt::format("{{\"error\":\"{}\",\"status\":{}}}\n", what, status);
    } else {
        response.body = fmt::format("{} {}\n", status, what);
    }
    return response;
}

std::string_view meaning_of(int status) noexcept {
    switch (status) {
        case 413:
            return "the request body is too large";
        case 431:
            return "the request header is too large";
        case 505:
            return "only HTTP/1.0 and HTTP/1.1 are spoken here";
        default:
            return "this is not an HTTP request";
    }
}

bool has_body(const HttpResponse& answer) noexcept {
    return answer.status >= 200 && answer.status != 204 && answer.status != 304;
}

std::string head_of(const HttpResponse& answer, unsigned version, bool keep_alive, Length length) {
    namespace http = boost::beast::http;
    std::string text = fmt::format(
        "HTTP/1.{} {} {}\r\nServer: oavc\r\nDate: {}\r\n",
        version % 10,
        answer.status,
        std::string_view{http::obsolete_reason(http::int_to_status(unsigned(answer.status)))},
        http_date()
    );
    const auto add = [&text](std::string_view name, std::string_view value) {
        if (!safe_in_header(name) || !safe_in_header(value)) return;
        text.append(name).append(": ").append(value).append("\r\n");
    };
    for (const auto& [name, value] : answer.headers)
        add(name, value);
    if (has_body(answer)) add("Content-Type", answer.content_type);
    if (has_body(answer) && length == Length::known) {
        add("Content-Length", std::to_string(answer.body.size()));
    }
    add("Connection", keep_alive ? "keep-alive" : "close");
    return text + "\r\n";
}

}  // namespace oavc::net::detail
