#include "caller/fake_opensips.hpp"

#include "base/random.hpp"

#include <fmt/format.h>

#include <ctime>
#include <utility>

// The calls and their events.

namespace oavc::caller {

namespace {

/// As OpenSIPS escapes strings: short forms, \u00xx for other control bytes, the rest raw.
void append_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\b':
                out += "\\b";
                break;
            case '\f':
                out += "\\f";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20) {
                    out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
                } else {
                    out += c;
                }
        }
    }
    out += '"';
}

}  // namespace

void FakeOpenSips::raise(
    const std::string& key,
    std::string_view type,
    int status,
    std::string_view reason,
    std::string_view method,
    std::string_view body,
    std::string_view headers,
    std::string_view extra_params,
    TimePoint now
) {
    std::string data = R"({"jsonrpc":"2.0","method":"E_UA_SESSION","params":{"key":)";
    append_string(data, key);
    data += ",\"event_type\":";
    append_string(data, type);
    const auto session = sessions_.find(key);
    const bool outgoing = session != sessions_.end() && session->second.outgoing;
    data += fmt::format(
        R"(,"entity_type":"{}","status":{},"reason":)", outgoing ? "UAC" : "UAS", status
    );
    if (reason.empty()) {
        data += "null";
    } else {
        append_string(data, reason);
    }
    data += ",\"method\":";
    append_string(data, method);
    data += ",\"body\":";
    append_string(data, body);
    data += ",\"headers\":";
    append_string(data, headers);
    data += ",\"extra_params\":";
    if (extra_params.empty()) {
        data += "null";
    } else {
        append_string(data, extra_params);
    }
    data += "}}";
    for (const Subscriber& subscriber : subscribers_) {
        if (subscriber.since + subscriber.expire < now) continue;
        events_.push_back({subscriber.socket.substr(4), data});
    }
}

void FakeOpenSips::raise_request(
    const std::string& key,
    Session& session,
    std::string_view type,
    std::string_view method,
    std::string_view content_type,
    std::string_view body,
    std::string_view more_headers,
    TimePoint now
) {
    const Invite& call = session.call;
    const bool initial = type == "NEW";
    const bool has_cseq_of_invite = initial || method == "CANCEL" || method == "ACK";
    if (!has_cseq_of_invite) ++session.cseq;
    std::string headers = fmt::format(
        "Via: SIP/2.0/UDP {0}:5070;branch=z9hG4bK-{1}-{2}\r\n"
        "Max-Forwards: 69\r\n"
        "From: \"Test caller\" <sip:{3}@{0}:5070>;tag={4}\r\n"
        "To: <sip:{5}@{0}:5060>{6}\r\n"
        "Call-ID: {7}\r\n"
        "CSeq: {2} {8}\r\n",
        call.host,
        session.from_tag,
        has_cseq_of_invite ? 1 : session.cseq,
        call.from_user,
        session.from_tag,
        call.to_user,
        initial || method == "CANCEL" ? "" : ";tag=" + session.to_tag,
        session.call_id,
        method
    );
    if (method == "INVITE") {
        headers += fmt::format("Contact: <sip:{}@{}:5070>\r\n", call.from_user, call.host);
        headers += "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, REFER, NOTIFY, UPDATE\r\n";
    }
    headers += "User-Agent: oavc call " OAVC_VERSION "\r\n";
    headers += more_headers;
    if (!body.empty()) headers += fmt::format("Content-Type: {}\r\n", content_type);
    headers += fmt::format("Content-Length: {}\r\n", body.size());
    raise(
        key, type, 0, {}, method, body, headers, initial ? call.extra_params : std::string{}, now
    );
}

std::string FakeOpenSips::new_key() {
    ++calls_;
    return fmt::format("B2B.{}.{}.{}.{}", calls_ % 512, calls_, std::time(nullptr), random_u32());
}

std::string FakeOpenSips::invite(Invite call, TimePoint now) {
    const auto key = new_key();
    Session session;
    session.to_tag = key;
    session.call = std::move(call);
    session.call_id = fmt::format("{}@{}", random_hex(8), session.call.host);
    session.from_tag = random_hex(6);
    session.pending = "INVITE";
    const auto placed = sessions_.emplace(key, std::move(session)).first;
    Session& kept = placed->second;
    raise_request(key, kept, "NEW", "INVITE", "application/sdp", kept.call.sdp, {}, now);
    return key;
}

void FakeOpenSips::reply_event(
    const std::string& key,
    const Session& session,
    std::string_view type,
    int status,
    std::string_view reason,
    std::string_view body,
    TimePoint now
) {
    const Invite& call = session.call;
    const auto headers = fmt::format(
        "Via: SIP/2.0/UDP {0}:5060;branch=z9hG4bK-{1}\r\n"
        "From: <sip:{2}@{0}:5060>;tag={1}\r\n"
        "To: <sip:{3}@{0}:5070>;tag={4}\r\n"
        "Call-ID: {5}\r\n"
        "CSeq: 2 INVITE\r\n"
        "Contact: <sip:{3}@{0}:5070>\r\n"
        "{6}Content-Length: {7}\r\n",
        call.host,
        session.to_tag,
        call.to_user,
        call.from_user,
        session.from_tag,
        session.call_id,
        body.empty() ? "" : "Content-Type: application/sdp\r\n",
        body.size()
    );
    raise(key, type, status, reason, "INVITE", body, headers, {}, now);
}

void FakeOpenSips::ring(const std::string& key, TimePoint now) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || found->second.state >= State::confirmed) return;
    found->second.state = State::early;
    reply_event(key, found->second, "EARLY", 180, "Ringing", {}, now);
}

void FakeOpenSips::answer(const std::string& key, std::string sdp, TimePoint now) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || found->second.state >= State::confirmed) return;
    Session& session = found->second;
    session.state = State::established;  // without flag d OpenSIPS sends the ACK itself
    session.call.sdp = std::move(sdp);
    reply_event(key, session, "ANSWERED", 200, "OK", session.call.sdp, now);
}

void FakeOpenSips::refuse(
    const std::string& key, int code, std::string_view reason, TimePoint now
) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || found->second.state >= State::confirmed) return;
    reply_event(key, found->second, "REJECTED", code, reason, {}, now);
    sessions_.erase(found);  // with uac_auth.so loaded
}

void FakeOpenSips::ack(const std::string& key) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) return;
    if (found->second.state == State::confirmed) found->second.state = State::established;
}

void FakeOpenSips::bye(const std::string& key, TimePoint now) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || found->second.state < State::confirmed) return;
    raise_request(key, found->second, "TERMINATED", "BYE", {}, {}, {}, now);
    sessions_.erase(found);
}

void FakeOpenSips::cancel(const std::string& key, TimePoint now) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end()) return;
    found->second.cancelled = true;
    raise_request(key, found->second, "TERMINATED", "CANCEL", {}, {}, {}, now);
    // Too late for an answered call: it is over once its ACK came (d5).
    if (found->second.state >= State::confirmed) sessions_.erase(found);
}

void FakeOpenSips::reinvite(const std::string& key, std::string sdp, TimePoint now) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || found->second.state < State::confirmed) return;
    Session& session = found->second;
    if (!session.pending.empty()) return;  // OpenSIPS: 500 Overlapping Requests, no event
    session.state = State::modified;
    session.pending = "INVITE";
    session.call.sdp = std::move(sdp);
    raise_request(key, session, "UPDATED", "INVITE", "application/sdp", session.call.sdp, {}, now);
}

bool FakeOpenSips::press(const std::string& key, char digit, TimePoint now) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || found->second.state < State::confirmed) return false;
    Session& session = found->second;
    if (!session.pending.empty()) return false;
    session.pending = "INFO";
    const auto body = fmt::format("Signal={}\r\nDuration=160\r\n", digit);
    raise_request(key, session, "UPDATED", "INFO", "application/dtmf-relay", body, {}, now);
    return true;
}

void FakeOpenSips::notify(const std::string& key, Session& session, bool final, TimePoint now) {
    session.pending = "NOTIFY";
    session.notify_final = !final;
    raise_request(
        key,
        session,
        "UPDATED",
        "NOTIFY",
        "message/sipfrag",
        final ? "SIP/2.0 200 OK\r\n" : "SIP/2.0 100 Trying\r\n",
        final ? "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
              : "Event: refer\r\nSubscription-State: active;expires=60\r\n",
        now
    );
}

void FakeOpenSips::on_final_reply(
    Sessions::iterator found, const Outcome& given, const std::string& method, TimePoint now
) {
    Session& session = found->second;
    Outcome outcome = given;
    session.pending.clear();
    const bool success = outcome.code < 300;
    if (method != "INVITE") {
        outcome.kind = Outcome::Kind::request_answered;
        outcomes_.push_back(outcome);
        if (method == "NOTIFY" && session.notify_final) notify(found->first, session, true, now);
        return;
    }
    if (session.state == State::modified) {
        session.state = State::established;
        outcome.kind =
            success ? Outcome::Kind::reinvite_answered : Outcome::Kind::reinvite_rejected;
    } else {
        session.state = success ? State::confirmed : State::over;
        outcome.kind = success ? Outcome::Kind::answered : Outcome::Kind::rejected;
    }
    outcomes_.push_back(std::move(outcome));
}

std::vector<FakeOpenSips::Event> FakeOpenSips::take_events() { return std::exchange(events_, {}); }

std::vector<FakeOpenSips::Outcome> FakeOpenSips::take_outcomes() {
    return std::exchange(outcomes_, {});
}

}  // namespace oavc::caller
