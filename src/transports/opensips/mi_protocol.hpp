#pragma once

#include "base/result.hpp"
#include "transports/opensips/errors.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace oavc::transports::opensips {

/// The management interface of OpenSIPS: one JSON-RPC 2.0 object per UDP datagram. Sans-I/O.
/// What OpenSIPS makes of each form was measured with 3.6.8: the sets of parameter names are exact,
/// `content_type` is a whole header line, and `extra_headers` without `body` send garbage; the
/// functions below know this.

/// OpenSIPS reads this much of a request; a longer one would be cut and answered 400.
inline constexpr std::size_t max_mi_request = 65457;
inline constexpr std::size_t max_datagram = 65507;  ///< of UDP over IPv4

struct MiParameter {
    std::string name;
    std::variant<std::string, std::int64_t> value;
};

struct MiCommand {
    std::string method;
    std::vector<MiParameter> parameters;

    /// The text of a string parameter, or null.
    const std::string* text(std::string_view name) const noexcept;
    std::optional<std::int64_t> number(std::string_view name) const noexcept;
};

/// A header line to add. CR and LF are dropped from both parts.
struct MiHeader {
    std::string name;
    std::string value;
};

/// A SIP body with its media type ("application/sdp").
struct MiBody {
    std::string text;
    std::string media_type{"application/sdp"};
};

/// Answers the pending request `method` of the session. Repeating it is harmless.
MiCommand ua_session_reply(
    std::string_view key,
    std::string_view method,
    int code,
    std::string_view reason,
    const std::optional<MiBody>& body = {},
    const std::vector<MiHeader>& headers = {}
);

/// Sends a request within the session. Not to be repeated: it would be sent again.
MiCommand ua_session_update(
    std::string_view key,
    std::string_view method,
    const std::optional<MiBody>& body = {},
    const std::vector<MiHeader>& headers = {}
);

/// Hangs up, or frees a session that got its final reply. An error means that it was gone.
MiCommand ua_session_terminate(std::string_view key);

/// An INVITE of ours. Not to be repeated: it would ring twice. The response's `message` is the
/// session's key.
struct MiCall {
    std::string request_uri;
    std::string to;      ///< URI
    std::string from;    ///< URI
    std::string proxy;   ///< URI of the next hop; empty: none
    std::string socket;  ///< of OpenSIPS, "udp:192.0.2.1:5060"; empty: advertised_contact is set
    MiBody offer;
};
MiCommand ua_session_client_start(const MiCall& call);

/// Whether OpenSIPS may be sent this as a key. Anything that it did not make itself can bring it
/// down.
bool looks_like_key(std::string_view text) noexcept;

MiCommand ua_session_list();
MiCommand ua_session_list(std::string_view key);
MiCommand event_subscribe(std::string_view event, std::string_view socket, std::int64_t expire);
MiCommand uptime();

/// The datagram. `id` comes back in the response; it must fit 31 bits. Error: too_long.
Result<std::string> write_mi_request(std::uint32_t id, const MiCommand& command);

/// One element of ua_session_list.
struct MiSession {
    std::string key;      ///< what the other commands want: the To tag, or the Call-ID if outgoing
    int state{0};         ///< see `SessionState`
    std::string call_id;  ///< may look like a key without being one: who calls chooses it
    bool outgoing{false};
    std::string from_uri;
    std::string to_uri;
    std::string contact;  ///< the caller's

    /// Unix time of its creation, which is the fourth part of its key; 0 when it is not there.
    std::int64_t created() const noexcept;
};

/// `MiSession::state`.
enum SessionState : int {
    session_new = 1,
    session_new_after_auth = 2,
    session_early = 3,
    session_confirmed = 4,
    session_established = 5,
    session_modified = 6,
    session_terminated = 7,
};

/// What came back.
struct MiResponse {
    std::optional<std::uint32_t> id;  ///< absent in plain-text answers, null ids and foreign ids
    bool ok{false};
    int code{0};          ///< of the error: -32700…-32600 (JSON-RPC), 400, 404, 500
    std::string message;  ///< of the error, with its data; or the result if that is a text
    std::vector<MiSession> sessions;  ///< the result of ua_session_list
    std::string up_since;             ///< the result of uptime
    std::optional<std::int64_t> up_seconds;
};

inline constexpr std::size_t max_listed_sessions = 1024;

/// Parses an untrusted datagram: a JSON-RPC response, or a bare line such as "400 Parse_error".
/// Errors: too_long, not_json, not_a_response.
Result<MiResponse> parse_mi_response(std::span<const std::byte> datagram) noexcept;

}  // namespace oavc::transports::opensips
