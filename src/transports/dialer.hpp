#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "transports/transport.hpp"

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace oavc::transports {

/// A call that somebody wants us to place.
struct DialRequest {
    std::string id;     ///< our session id of the call to come; empty: the session makes one
    std::string to;     ///< number, "user@host", SIP or tel URI
    std::string from;   ///< shown to the callee; empty: the carrier's default
    std::string agent;  ///< who talks; empty: chosen by `to`
    std::chrono::seconds patience{45};              ///< ringing at most this long
    std::map<std::string, std::string> parameters;  ///< handed on as CallInfo::parameters
};

/// What the call begins with: `to` and `from` as the carrier was given them.
CallInfo call_info(
    const DialRequest& request, std::string_view via, std::string native_id, std::string from
);

/// What became of it so far.
struct Dialled {
    std::string via;        ///< provider id
    std::string native_id;  ///< CallInfo::native_id of the call to come
};

/// Places calls at one carrier. Owner: its Listener.
class Dialer {
public:
    /// Asks the carrier for a call. Completes at the carrier's first sign that it is being placed
    /// (SIP 18x or 2xx, REST 201): then the call goes to CallHandler::run_call like an incoming
    /// one, with CallInfo::outgoing, and its connect() waits until the callee answers. An error
    /// means that nothing is left of it, so that another carrier may try; CallControlErrc
    /// unavailable and no_capacity say that trying elsewhere makes sense. Cancellable: the call is
    /// withdrawn. Thread: `shard`'s, any.
    virtual asio::awaitable<Result<Dialled>> dial(async::Shard& shard, DialRequest request) = 0;

protected:
    ~Dialer() = default;
};

}  // namespace oavc::transports
