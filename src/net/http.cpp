#include "net/http.hpp"

#include "net/errors.hpp"

#include <algorithm>

namespace oavc::net {

namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

class HttpStatusCategory final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "oavc.http_status"; }
    std::string message(int status) const override {
        return "the server answered with status " + std::to_string(status);
    }
};

}  // namespace

bool CaseInsensitiveLess::operator()(std::string_view a, std::string_view b) const noexcept {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return lower(x) < lower(y);
    });
}

std::string_view describe(NetErrc code) noexcept {
    switch (code) {
        case NetErrc::bad_url:
            return "not an absolute http, https, ws or wss URL";
        case NetErrc::stopped_by_sink:
            return "the receiver of the body stopped the transfer";
        case NetErrc::websocket_broken:
            return "the peer broke the WebSocket protocol or sent too long a message";
    }
    return "unknown network error";
}

const boost::system::error_category& http_status_category() noexcept {
    static const HttpStatusCategory category;
    return category;
}

int http_status_of(const error_code& error) noexcept {
    return error.category() == http_status_category() ? error.value() : 0;
}

}  // namespace oavc::net
