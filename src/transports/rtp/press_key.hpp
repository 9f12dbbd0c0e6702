#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"
#include "transports/rtp/rtp_leg.hpp"

namespace oavc::transports::rtp {

/// Presses one key through `leg` (RFC 4733) and returns once it is released. `leg` outlives it, or
/// it is cancelled first. Errors: CallControlErrc bad_target, no key; wrong_state, the call is
/// held, no audio flows yet, or none any more.
asio::awaitable<Result<void>> press_key(RtpLeg& leg, char key);

}  // namespace oavc::transports::rtp
