#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "pipeline/outgoing_calls.hpp"

#include <string>
#include <string_view>

namespace oavc::api {

/// What is wrong with a body: a sentence that names the member.
struct BodyProblem {
    std::string what;
};

/// The body of POST /api/v1/calls:
///     {"to": "+902125550111", "from": "+12025550123", "agent": "sales", "patience_s": 45,
///      "parameters": {"order": "77"}}
/// Only `to` is needed.
Result<transports::DialRequest, BodyProblem> parse_dial_request(std::string_view body);

/// The HTTP status of a call that was not placed:
///     400 neither a number nor a SIP URI, no such agent; 403 not allowed, or outgoing calls are
///     off; 409 the callee is busy, does not exist or is not called; 429 no place; 502 no carrier
///     works; 503 the server is being stopped; 504 no sign in time
int status_of(const error_code& error) noexcept;

/// 202 {"id", "via", "native_id", "state": "ringing"}, or {"error", "code"}.
asio::awaitable<net::HttpResponse> place_call(
    async::Shard& shard, net::HttpRequest request, pipeline::OutgoingCalls& outgoing
);

}  // namespace oavc::api
