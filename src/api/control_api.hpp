#pragma once

#include "api/call_log.hpp"
#include "api/config.hpp"
#include "async/shard.hpp"
#include "net/http.hpp"
#include "pipeline/call_command.hpp"

#include <string>
#include <string_view>

namespace oavc::net {
class HttpServer;
}
namespace oavc::pipeline {
class OutgoingCalls;
}

namespace oavc::api {

/// The control API, version 1. Every answer is JSON, times are milliseconds.
///
///     GET  /api/v1/calls              the calls, newest first
///     POST /api/v1/calls              places one (place_call.hpp)
///     GET  /api/v1/calls/{id}         state, transcript, turns with their latency
///     GET  /api/v1/calls/{id}/events?after=N&wait_ms=M
///                                     events numbered above N; waits ≤ 10 s for one
///     POST /api/v1/calls/{id}/{verb}  hangup, transfer, hold, resume, digits, say
///
/// `{id}` is the session id or the carrier's own (URL-encoded). Access: `Authorization: Bearer
/// <[api] token>`, or, when no token is configured, clients on the loopback interface only.
/// Thread: any shard of the HTTP server's; owner outlives the server.
class ControlApi {
public:
    static constexpr milliseconds longest_wait{10'000};

    /// `commands`: reaches running calls; borrowed. Null: calls can only be watched. `outgoing`:
    /// places calls; borrowed. Null: none are placed.
    ControlApi(
        Config config,
        const CallLog& log,
        pipeline::CallCommands* commands = nullptr,
        pipeline::OutgoingCalls* outgoing = nullptr
    );

    void register_on(net::HttpServer& server);

    /// One request under /api/v1/calls.
    asio::awaitable<net::HttpResponse> handle(async::Shard& shard, net::HttpRequest request) const;

private:
    asio::awaitable<net::HttpResponse> place(async::Shard& shard, net::HttpRequest request) const;

    const Config config_;
    asio::awaitable<net::HttpResponse> command(
        async::Shard& shard, std::string id, std::string_view verb, std::string_view body
    ) const;

    const CallLog& log_;
    pipeline::CallCommands* const commands_;
    pipeline::OutgoingCalls* const outgoing_;
};

/// Decodes %XX; "+" stays itself, as it does in a path (RFC 3986 §2.1). A broken escape is kept as
/// it is.
std::string percent_decoded(std::string_view text);

/// Same text, in a time that does not depend on where they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

}  // namespace oavc::api
