#pragma once

#include "caller/server_watch.hpp"
#include "support/comes_true.hpp"
#include "support/control_api.hpp"
#include "support/http.hpp"
#include "support/running_server.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
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
        const auto answer = fetch({.url = api().url("/" + call_id + "/events")});
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
        return comes_true([&] { return count(call_id, event) >= times; }, std::chrono::seconds{20});
    }

    ControlApi api() const { return ControlApi{server_.config().api.port}; }
    int command(const std::string& call_id, const std::string& verb, std::string body) const {
        return api().command(call_id, verb, std::move(body));
    }
    std::string dial(std::string body) const { return api().dial(std::move(body)); }

private:
    RunningServer server_;
};

}  // namespace oavc::test
