#include "api/call_audit.hpp"

#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace oavc::api {

namespace {

using Kind = pipeline::CallEvent::Kind;

constexpr std::size_t refusals_per_second = 10;

/// Shared by the handlers that audited() made of one.
struct Audited {
    audit::Log& log;
    const Access& access;
    const net::HttpHandler handler;
    std::mutex mutex{};
    std::chrono::steady_clock::time_point second{};
    std::size_t refusals{0};    ///< in this second
    std::uint64_t left_out{0};  ///< since the last one that was told

    /// True when a refusal may be told; `missed`: how many were not, before it.
    bool may_tell(std::uint64_t& missed) {
        const auto now = std::chrono::steady_clock::now();
        const std::lock_guard lock{mutex};
        if (now - second >= std::chrono::seconds{1}) {
            second = now;
            refusals = 0;
        }
        if (++refusals > refusals_per_second) {
            ++left_out;
            return false;
        }
        missed = std::exchange(left_out, 0);
        return true;
    }
};

/// The call that a path names: /api/v1/calls/{id}/….
std::string call_of(std::string_view path) {
    constexpr std::string_view before = "/api/v1/calls/";
    if (!path.starts_with(before)) return {};
    const auto rest = path.substr(before.size());
    return std::string{rest.substr(0, rest.find('/'))};
}

asio::awaitable<net::HttpResponse> run(
    std::shared_ptr<Audited> self, async::Shard& shard, net::HttpRequest request
) {
    const bool changes = request.method != "GET" && request.method != "HEAD";
    // By the tokens that held when the request came.
    const std::string who{self->access.who(request)};
    const std::string what = request.method + " " + std::string{request.path()};
    const std::string source = request.peer_ip;
    const std::string call = call_of(request.path());
    auto response = co_await self->handler(shard, std::move(request));
    const bool refused = response.status == 401 || response.status == 403;
    std::uint64_t missed = 0;
    if (refused ? !self->may_tell(missed) : !changes) co_return response;
    self->log.record({
        .what = refused ? "access_refused" : "api_request",
        .who = who,
        .source = source,
        .call = call,
        .more =
            {{"request", what},
             {"status", fmt::format("{}", response.status)},
             {"left_out", missed > 0 ? fmt::format("{}", missed) : std::string{}}},
    });
    co_return response;
}

}  // namespace

void CallAudit::on_call_event(
    const SessionId& session, const transports::CallInfo& call, const pipeline::CallEvent& event
) noexcept {
    const auto who = call.outgoing ? "callee" : "caller";
    switch (event.kind) {
        case Kind::started:
            return log_.record({
                .what = "call_started",
                .who = call.outgoing ? "system" : who,
                .source = call.via,
                .call = session.value,
                .more =
                    {{"direction", call.outgoing ? "outgoing" : "incoming"},
                     {"native_id", call.native_id},
                     {"from", call.from},
                     {"to", call.to}},
            });
        case Kind::control:
            return log_.record({
                .what = "call_control",
                .who = "system",
                .source = call.via,
                .call = session.value,
                .more = {{"action", event.text}},
            });
        case Kind::ended:
            return log_.record({
                .what = "call_ended",
                .who = "system",
                .source = call.via,
                .call = session.value,
                .more =
                    {{"reason", event.text},
                     {"duration_ms", fmt::format("{}", event.since_start.count())}},
            });
        default:
            return;
    }
}

net::HttpHandler audited(audit::Log& log, const Access& access, net::HttpHandler handler) {
    auto self = std::make_shared<Audited>(log, access, std::move(handler));
    return [self](async::Shard& shard, net::HttpRequest request) {
        return run(self, shard, std::move(request));
    };
}

}  // namespace oavc::api
