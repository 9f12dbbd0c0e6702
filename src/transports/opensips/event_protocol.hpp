#pragma once

#include "base/result.hpp"
#include "transports/opensips/errors.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace oavc::transports::opensips {

inline constexpr std::string_view ua_session_event = "E_UA_SESSION";

/// What happened in a UA session.
enum class UaEventType { created, early, answered, rejected, updated, terminated };
std::string_view to_string(UaEventType type) noexcept;

/// One E_UA_SESSION notification.
struct UaEvent {
    std::string key;  ///< of the session; the only handle
    UaEventType type{UaEventType::created};
    bool outgoing{false};                ///< entity_type UAC: a call that the connector started
    int status{0};                       ///< of a reply; 0 for requests
    std::string reason;                  ///< of a reply
    std::string method;                  ///< of the request, or of the request that was replied to
    std::optional<std::string> body;     ///< absent: no flag b, or no Content-Length
    std::optional<std::string> headers;  ///< absent: no flag h
    std::optional<std::string> extra_params;

    /// Neither body nor headers: the script was written without the flags b and h.
    bool is_blind() const noexcept { return !body && !headers; }
};

/// Parses an untrusted datagram of up to 65507 bytes. OpenSIPS copies the caller's bytes, so what
/// is not UTF-8 is replaced first; members that we do not know are ignored.
/// Errors: too_long, not_json, not_an_event.
Result<UaEvent> parse_event(std::span<const std::byte> datagram) noexcept;

}  // namespace oavc::transports::opensips
