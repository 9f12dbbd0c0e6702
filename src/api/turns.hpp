#pragma once

#include "api/call_log.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace oavc::api {

/// One exchange of a call as the server saw it: what the caller said and our reply to it.
struct TurnRecord {
    std::uint32_t number{0};                     ///< 0: our greeting
    std::string caller_said;                     ///< recognised; empty for the greeting
    std::string connector_said;                  ///< the sentences that went to synthesis
    std::string heard;                           ///< what of them the caller heard
    std::optional<milliseconds> caller_said_at;  ///< on the call's clock
    std::optional<milliseconds> reply_started_at;
    std::optional<pipeline::TurnLatency> latency;
    bool interrupted{false};
    std::optional<microseconds> reaction;  ///< of the interruption: onset → our silence
};

/// Events of one call, in order, put together by turn.
std::vector<TurnRecord> turns_of(std::span<const LoggedEvent> events);

}  // namespace oavc::api
