#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace oavc {

/// Our name for one call, unique over instances: what logs, traces and the API use. Never confused
/// with SIP's Call-ID, OpenSIPS's session key or Twilio's CallSid (those are `native_id`).
struct SessionId {
    std::string value;
    friend auto operator<=>(const SessionId&, const SessionId&) = default;
};

/// Counts the caller's utterances within one call, from 1. Results that carry an older number than
/// the current one are stale and dropped.
struct UtteranceId {
    std::uint32_t value{0};
    friend constexpr auto operator<=>(const UtteranceId&, const UtteranceId&) = default;
};

/// Counts our replies within one call, from 1. It travels with every token and frame of a reply;
/// anything that carries an older number cannot reach the wire.
struct Generation {
    std::uint32_t value{0};
    friend constexpr auto operator<=>(const Generation&, const Generation&) = default;
};

}  // namespace oavc
