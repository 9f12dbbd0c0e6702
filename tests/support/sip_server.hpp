#pragma once

#include "caller/server_watch.hpp"
#include "support/http.hpp"
#include "support/running_server.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::test {

/// A server that takes calls by SIP, and what it says about them.
class SipServer {
public:
    explicit SipServer(const config::Environment& more = {}) : server_{"tests/data/sip.ini", more} {
        server_.start();
    }

    std::uint16_t port() const noexcept { return server_.config().sip.port; }
    app::Server& operator*() noexcept { return *server_; }
    bool calls_end_within(std::chrono::seconds limit) { return server_.calls_end_within(limit); }

    /// What happened in a call, in order: "answered", "held: on", "caller_said: what was heard".
    std::vector<std::string> story(const std::string& call_id) const {
        std::vector<std::string> out;
        const auto answer = fetch({.url = api("/" + call_id + "/events")});
        if (!answer || answer->status != 200) return out;
        const auto page = caller::parse_events_page(answer->body);
        if (!page) return out;
        for (const auto& event : page->events)
            out.push_back(event.text.empty() ? event.kind : event.kind + ": " + event.text);
        return out;
    }

    /// How often that happened.
    std::ptrdiff_t count(const std::string& call_id, const std::string& event) const {
        const auto all = story(call_id);
        return std::count(all.begin(), all.end(), event);
    }

    /// Waits until it has happened so often.
    bool happens(const std::string& call_id, const std::string& event, int times = 1) const {
        for (const auto limit = Clock::now() + std::chrono::seconds{20}; Clock::now() < limit;) {
            if (count(call_id, event) >= times) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        return false;
    }

    /// POST /api/v1/calls/{id}/{verb}; the status of the answer.
    int command(const std::string& call_id, const std::string& verb, std::string body) const {
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
    Result<net::HttpResponse> post(const std::string& path, std::string body) const {
        net::HttpClientRequest request{.url = api(path)};
        request.method = "POST";
        request.headers = {{"Content-Type", "application/json"}};
        request.body = std::move(body);
        return fetch(std::move(request), std::chrono::seconds{60});
    }
    std::string api(const std::string& rest) const {
        return local_url("http", server_.config().api.port, "/api/v1/calls" + rest);
    }

    RunningServer server_;
};

}  // namespace oavc::test
