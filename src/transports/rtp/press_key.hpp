#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"
#include "transports/rtp/rtp_leg.hpp"

#include <functional>
#include <string>

namespace oavc::transports::rtp {

/// Presses one key through `leg` (RFC 4733) and returns once it is released. `leg` outlives it, or
/// it is cancelled first. Errors: CallControlErrc bad_target, no key; wrong_state, the call is
/// held, no audio flows yet, or none any more.
asio::awaitable<Result<void>> press_key(RtpLeg& leg, char key);

/// Presses keys one after another: by `leg` where the other side takes them in RTP, else by
/// `by_info`. A 'w' among them is a pause of 500 ms. `over`: the call has ended (gone). Errors:
/// press_key's and `by_info`'s; what was pressed before stays pressed.
asio::awaitable<Result<void>> press_keys(
    RtpLeg& leg,
    std::string digits,
    std::function<bool()> over,
    std::function<asio::awaitable<Result<void>>(char)> by_info
);

}  // namespace oavc::transports::rtp
