#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// SIP (RFC 3261) as the simplest phone speaks it, written by hand: apart from src/sip, so that an
/// error there is not repeated here. Sans-I/O.
namespace oavc::caller::bench {

/// The parts of a message that a phone looks at. Borrows the datagram.
struct SipMessage {
    int status{0};            ///< of a response; 0: a request
    std::string_view reason;  ///< of a response
    std::string_view method;  ///< a response's is that of its CSeq
    std::string_view via;     ///< the topmost
    std::string_view from;
    std::string_view to;
    std::string_view call_id;
    std::uint32_t cseq{0};
    std::string_view contact;  ///< its URI
    std::string_view body;

    std::string_view branch() const noexcept;
};

/// Nothing: no SIP, or a header that every message has is missing.
std::optional<SipMessage> read_sip(std::string_view datagram) noexcept;

/// Who calls whom, for one call.
struct SipDialog {
    std::string local;   ///< "127.0.0.1:40000": of Via and Contact
    std::string server;  ///< "127.0.0.1:8089"
    std::string from;    ///< user part
    std::string to;      ///< user part
    std::string call_id;
    std::string tag;  ///< ours
};

std::string sip_invite(const SipDialog& dialog, std::string_view branch, std::string_view sdp);
std::string sip_cancel(const SipDialog& dialog, std::string_view branch);

/// In the dialog that the 2xx `answer` to our INVITE made: "ACK" or "BYE".
std::string sip_in_dialog(
    std::string_view method,
    const SipMessage& answer,
    std::string_view local,
    std::string_view branch,
    std::uint32_t cseq
);
/// To a failure of our INVITE (§17.1.1.3): in its transaction.
std::string sip_ack_failure(const SipMessage& failure, std::string_view request_uri);

/// The response to a request of the server's. A 2xx of a phone that has no body to send.
std::string sip_response(std::string_view request, int status, std::string_view reason);

}  // namespace oavc::caller::bench
