#pragma once

#include "support/http.hpp"

#include <boost/json/parse.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace oavc::test {

/// The control API of a server on this machine, as a client without a token sees it. Blocks.
class ControlApi {
public:
    explicit ControlApi(std::uint16_t port) : port_{port} {}

    std::string url(const std::string& rest = "") const {
        return local_url("http", port_, "/api/v1/calls" + rest);
    }
    Result<net::HttpResponse> post(const std::string& rest, std::string body) const {
        net::HttpClientRequest request{.url = url(rest)};
        request.method = "POST";
        request.headers = {{"Content-Type", "application/json"}};
        request.body = std::move(body);
        return fetch(std::move(request), std::chrono::seconds{60});
    }
    /// POST /api/v1/calls/{id}/{verb}; the status of the answer.
    int command(const std::string& call_id, const std::string& verb, std::string body = "") const {
        const auto answer = post("/" + call_id + "/" + verb, std::move(body));
        return answer ? static_cast<int>(answer->status) : 0;
    }
    /// POST /api/v1/calls; the call's id, empty if it was not placed.
    std::string dial(std::string body) const {
        const auto answer = post("", std::move(body));
        if (!answer || answer->status != 202) return {};
        return std::string{boost::json::parse(answer->body).at("id").as_string()};
    }

private:
    std::uint16_t port_;
};

}  // namespace oavc::test
