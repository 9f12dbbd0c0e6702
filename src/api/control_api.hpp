#pragma once

#include "api/access.hpp"
#include "api/call_log.hpp"
#include "api/config.hpp"
#include "api/event_feed.hpp"
#include "async/shard.hpp"
#include "net/http.hpp"
#include "observability/audit.hpp"
#include "observability/log.hpp"
#include "pipeline/call_command.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::net {
class HttpServer;
class LongAnswer;
}  // namespace oavc::net
namespace oavc::pipeline {
class OutgoingCalls;
}

namespace oavc::api {

struct Match;

/// What the API reaches besides the log of calls. Borrowed; what is null or empty is not offered.
/// Called on any shard.
struct Reach {
    pipeline::CallCommands* commands{nullptr};
    pipeline::OutgoingCalls* outgoing{nullptr};
    EventFeed* feed{nullptr};
    audit::Log* audit{nullptr};  ///< told who did what, and who was refused
    /// Begins to drain (once; later ones change nothing) and tells how many calls run. The deadline
    /// is instead of [limits] drain_deadline.
    std::function<std::size_t(std::optional<std::chrono::seconds> deadline)> drain;
    std::function<void(log::Level)> set_level;
    std::string version;
    std::string instance;  ///< of this very process: event ids of another mean nothing here
};

/// The control API, version 1: operations.hpp lists what there is, docs/api.md tells it. Every
/// answer but the event stream is JSON, times are milliseconds.
/// Thread: any shard of the HTTP server's; owner outlives the server.
class ControlApi {
public:
    static constexpr milliseconds longest_wait{10'000};
    /// A comment is sent to a watcher to whom nothing happens, so that both notice when the other
    /// is gone.
    static constexpr std::chrono::seconds keep_alive{15};

    ControlApi(Config config, const CallLog& log, Reach reach = {});

    void register_on(net::HttpServer& server);

    /// Holds for the next request.
    void set_tokens(const Config& config) { access_.set_tokens(config); }

    /// One request under /api/v1, but for the event stream.
    asio::awaitable<net::HttpResponse> handle(async::Shard& shard, net::HttpRequest request);

    /// GET /api/v1/events: an event per CallEvent, until the client goes, is too slow, or the one
    /// call that it asked for is over. Returns what to answer when it is refused.
    asio::awaitable<std::optional<net::HttpResponse>> watch(
        async::Shard& shard, net::HttpRequest request, net::LongAnswer& answer
    );

    const Access& access() const noexcept { return access_; }

private:
    bool offered(const Match& found) const noexcept;
    net::HttpResponse show_call(const std::string& id) const;
    asio::awaitable<net::HttpResponse> show_events(std::string id, std::string query) const;
    asio::awaitable<net::HttpResponse> tell_call(
        async::Shard& shard, std::string id, std::string verb, std::string body
    ) const;
    net::HttpResponse drain(std::string_view body) const;
    net::HttpResponse set_level(std::string_view body) const;

    const CallLog& log_;
    const Reach reach_;
    const std::string document_;
    Access access_;
};

/// Decodes %XX; "+" stays itself, as it does in a path (RFC 3986 §2.1). A broken escape is kept as
/// it is.
std::string percent_decoded(std::string_view text);

}  // namespace oavc::api
