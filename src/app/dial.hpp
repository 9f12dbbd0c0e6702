#pragma once

#include <span>
#include <string_view>

namespace oavc::app {

/// What became of a call, as an exit status of `oavc dial`.
enum class DialExit {
    ok = 0,            ///< placed; with --follow: answered and ended by either side
    failed = 1,        ///< the server is not there, or says something that is not understood
    usage = 2,         ///< the command line or the request is wrong
    busy = 3,          ///< busy or declined
    not_answered = 4,  ///< it rang, and nobody answered
    refused = 5,       ///< no such number, or the carrier does not call it
    carrier = 6,       ///< no carrier works, or it was lost during the call
    not_allowed = 7,   ///< by dial_allowed, or the token is wrong
    no_room = 8,       ///< all places are taken, or the server is being stopped
};

/// Of an answer to POST /api/v1/calls that is not 202; `reason` is the one in its body.
DialExit exit_of_answer(int status, std::string_view reason) noexcept;

/// Of a call that is over; `reason` as the control API tells it.
DialExit exit_of_call(std::string_view reason) noexcept;

/// `oavc dial NUMBER`: asks a running server to place a call, and follows it.
int dial_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
