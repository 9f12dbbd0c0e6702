#include "caller/bench/sip_messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace oavc::caller::bench {

namespace {

constexpr std::string_view version = "SIP/2.0";
constexpr std::size_t npos = std::string_view::npos;

bool same_name(std::string_view a, std::string_view lower) noexcept {
    return std::equal(a.begin(), a.end(), lower.begin(), lower.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) == y;
    });
}

std::string_view trimmed(std::string_view text) noexcept {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

/// Calls `visit(name, value, line)` for each header field. Folded lines are not read.
template <class Visit>
void each_field(std::string_view head, Visit&& visit) {
    for (auto at = head.find("\r\n"); at != npos && at + 2 < head.size();) {
        const auto begin = at + 2;
        at = head.find("\r\n", begin);
        const auto line = head.substr(begin, at - begin);
        const auto colon = line.find(':');
        if (colon != npos)
            visit(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)), line);
    }
}

std::string_view uri_of(std::string_view value) noexcept {
    const auto open = value.find('<');
    if (open == npos) return value.substr(0, value.find(';'));
    return value.substr(open + 1, value.find('>', open) - open - 1);
}

std::string_view head_of(std::string_view datagram) noexcept {
    return datagram.substr(0, datagram.find("\r\n\r\n"));
}

}  // namespace

std::string_view SipMessage::branch() const noexcept {
    constexpr std::string_view name = ";branch=";
    const auto at = via.find(name);
    if (at == npos) return {};
    const auto value = via.substr(at + name.size());
    return value.substr(0, value.find_first_of(";, \t"));
}

std::optional<SipMessage> read_sip(std::string_view datagram) noexcept {
    const auto head = head_of(datagram);
    SipMessage message;
    if (head.size() < datagram.size()) message.body = datagram.substr(head.size() + 4);
    const auto first = head.substr(0, head.find("\r\n"));
    if (first.starts_with("SIP/2.0 ") && first.size() >= 11) {
        std::from_chars(first.data() + 8, first.data() + 11, message.status);
        if (message.status < 100) return std::nullopt;
        message.reason = trimmed(first.substr(11));
    } else if (!first.ends_with(version)) {
        return std::nullopt;
    }
    each_field(head, [&](std::string_view name, std::string_view value, std::string_view) {
        if (same_name(name, "via") || same_name(name, "v")) {
            if (message.via.empty()) message.via = value;
        } else if (same_name(name, "from") || same_name(name, "f")) {
            message.from = value;
        } else if (same_name(name, "to") || same_name(name, "t")) {
            message.to = value;
        } else if (same_name(name, "call-id") || same_name(name, "i")) {
            message.call_id = value;
        } else if (same_name(name, "contact") || same_name(name, "m")) {
            message.contact = uri_of(value);
        } else if (same_name(name, "cseq")) {
            std::from_chars(value.data(), value.data() + value.size(), message.cseq);
            message.method = trimmed(value.substr(std::min(value.find(' '), value.size())));
        }
    });
    const bool whole = !message.via.empty() && !message.from.empty() && !message.to.empty() &&
                       !message.call_id.empty() && !message.method.empty();
    if (!whole) return std::nullopt;
    return message;
}

std::string sip_invite(const SipDialog& dialog, std::string_view branch, std::string_view sdp) {
    return fmt::format(
        "INVITE sip:{to}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={branch};rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:{from}@{local}>;tag={tag}\r\nTo: <sip:{to}@{server}>\r\n"
        "Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:{from}@{local}>\r\n"
        "Content-Type: application/sdp\r\nContent-Length: {size}\r\n\r\n{sdp}",
        fmt::arg("to", dialog.to),
        fmt::arg("server", dialog.server),
        fmt::arg("local", dialog.local),
        fmt::arg("branch", branch),
        fmt::arg("from", dialog.from),
        fmt::arg("tag", dialog.tag),
        fmt::arg("call_id", dialog.call_id),
        fmt::arg("size", sdp.size()),
        fmt::arg("sdp", sdp)
    );
}

std::string sip_cancel(const SipDialog& dialog, std::string_view branch) {
    return fmt::format(
        "CANCEL sip:{to}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={branch};rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:{from}@{local}>;tag={tag}\r\nTo: <sip:{to}@{server}>\r\n"
        "Call-ID: {call_id}\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n",
        fmt::arg("to", dialog.to),
        fmt::arg("server", dialog.server),
        fmt::arg("local", dialog.local),
        fmt::arg("branch", branch),
        fmt::arg("from", dialog.from),
        fmt::arg("tag", dialog.tag),
        fmt::arg("call_id", dialog.call_id)
    );
}

std::string sip_in_dialog(
    std::string_view method,
    const SipMessage& answer,
    std::string_view local,
    std::string_view branch,
    std::uint32_t cseq
) {
    return fmt::format(
        "{0} {1} SIP/2.0\r\nVia: SIP/2.0/UDP {2};branch={3};rport\r\nMax-Forwards: 70\r\n"
        "From: {4}\r\nTo: {5}\r\nCall-ID: {6}\r\nCSeq: {7} {0}\r\nContent-Length: 0\r\n\r\n",
        method,
        answer.contact,
        local,
        branch,
        answer.from,
        answer.to,
        answer.call_id,
        cseq
    );
}

std::string sip_ack_failure(const SipMessage& failure, std::string_view request_uri) {
    return fmt::format(
        "ACK {} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n"
        "CSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
        request_uri,
        failure.via,
        failure.from,
        failure.to,
        failure.call_id,
        failure.cseq
    );
}

std::string sip_response(std::string_view request, int status, std::string_view reason) {
    std::string text = fmt::format("{} {} {}\r\n", version, status, reason);
    each_field(
        head_of(request),
        [&](std::string_view name, std::string_view, std::string_view line) {
            for (const std::string_view copied :
                 {"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq"}) {
                if (same_name(name, copied)) text.append(line).append("\r\n");
            }
        }
    );
    return text + "Content-Length: 0\r\n\r\n";
}

}  // namespace oavc::caller::bench
