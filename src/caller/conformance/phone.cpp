#include "caller/conformance/phone.hpp"

#include "base/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace oavc::caller::conformance {

namespace {

constexpr auto t1 = 500ms;  // RFC 3261 §17.1.1.1

std::string new_branch() { return "z9hG4bK-" + random_hex(8); }  // §8.1.1.7

std::string_view rtpmap_of(std::string_view format) {
    if (format == "0") return "PCMU/8000";
    if (format == "8") return "PCMA/8000";
    if (format == "9") return "G722/8000";
    if (format == "101") return "telephone-event/8000";
    return {};
}

}  // namespace

Phone::Phone(const Target& target, bool tcp)
    : rtp{local_address_towards(resolve(target.host, target.port))},
      call_id{random_hex(12)},
      from_tag{random_hex(6)},
      target_{target},
      remote_{resolve(target.host, target.port)} {
    if (tcp) {
        stream_ = std::make_unique<ByteStream>(remote_, Clock::now() + target.timeout);
    } else {
        udp_ = std::make_unique<UdpSocket>(local_address_towards(remote_));
    }
    request_uri = fmt::format("sip:{}@{}", target.user, target.authority());
    if (tcp) request_uri += ";transport=tcp";
}

Phone::~Phone() {
    try {
        if (inviting_) {
            // Nobody waited for its outcome.
            const Written invite = *inviting_;
            send(cancel(invite));
            const TimePoint until = Clock::now() + std::min<milliseconds>(target_.timeout, 1'000ms);
            while (inviting_ && take_one(until)) {
            }
        }
        if (!confirmed || hung_up_by_target) return;
        if (unacknowledged_) send(ack());
        static_cast<void>(try_ask(request("BYE"), 2'000ms));
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
        // The case is over; what it found has been reported.
    }
}

std::string Phone::local() const {
    const Address address = udp_ ? udp_->address() : stream_->local();
    const auto ip = address.ip();
    return address.is_v6() ? fmt::format("[{}]:{}", ip, address.port())
                           : fmt::format("{}:{}", ip, address.port());
}

std::string Phone::local_ip() const { return udp_ ? udp_->address().ip() : stream_->local().ip(); }

Written Phone::request(std::string_view method) {
    const bool counts = method != "ACK" && method != "CANCEL";
    if (counts) ++cseq;
    if (method == "INVITE") invite_cseq_ = cseq;
    const auto number = method == "ACK" ? invite_cseq_ : cseq;
    Written out;
    out.start_line = fmt::format("{} {} SIP/2.0", method, request_uri);
    out.add(
        "Via",
        fmt::format(
            "SIP/2.0/{} {};branch={};rport", is_tcp() ? "TCP" : "UDP", local(), new_branch()
        )
    );
    for (const auto& route : routes)
        out.add("Route", route);
    out.add("Max-Forwards", "70");
    out.add("From", fmt::format("<sip:conformance@{}>;tag={}", local(), from_tag));
    out.add(
        "To",
        fmt::format(
            "<sip:{}@{}>{}",
            target_.user,
            target_.authority(),
            to_tag.empty() ? std::string{} : ";tag=" + to_tag
        )
    );
    out.add("Call-ID", call_id);
    out.add("CSeq", fmt::format("{} {}", number, method));
    out.add(
        "Contact", fmt::format("<sip:conformance@{}{}>", local(), is_tcp() ? ";transport=tcp" : "")
    );
    return out;
}

Written Phone::invite(std::string body) {
    auto out = request("INVITE");
    out.add("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY");
    if (!body.empty()) out.add("Content-Type", "application/sdp");
    out.body = std::move(body);
    return out;
}

Written Phone::ack(std::string body) {
    auto out = request("ACK");
    if (!body.empty()) out.add("Content-Type", "application/sdp");
    out.body = std::move(body);
    return out;
}

Written Phone::cancel(const Written& invite) const {
    Written out;
    // §9.1: the INVITE's own Request-URI, Via, From, To, Call-ID and number.
    out.start_line = "CANCEL" + invite.start_line.substr(invite.start_line.find(' '));
    for (const std::string_view name : {"Via", "Max-Forwards", "From", "To", "Call-ID"})
        out.add(std::string{name}, invite.header(name));
    const auto cseq_value = invite.header("CSeq");
    out.add("CSeq", cseq_value.substr(0, cseq_value.find(' ')) + " CANCEL");
    return out;
}

Written Phone::ack_of(const Written& invite, const Heard& refusal) const {
    auto out = cancel(invite);
    out.start_line.replace(0, 6, "ACK");
    out.set("To", refusal.header("To"));
    const auto number = out.header("CSeq");
    out.set("CSeq", number.substr(0, number.find(' ')) + " ACK");
    return out;
}

std::string Phone::address_lines() const {
    const bool v6 = remote_.is_v6();
    return fmt::format("IN IP{} {}", v6 ? 6 : 4, local_ip());
}

std::string Phone::session_lines() const {
    return fmt::format(
        "v=0\r\no=conformance 4711 {} {}\r\ns=-\r\nc={}\r\nt=0 0\r\n",
        cseq + 1,
        address_lines(),
        address_lines()
    );
}

std::string Phone::sdp(std::string_view formats, std::string_view more) const {
    std::string out = session_lines();
    out += fmt::format("m=audio {} RTP/AVP {}\r\n", rtp.port(), formats);
    std::string_view rest = formats;
    while (!rest.empty()) {
        const auto end = std::min(rest.find(' '), rest.size());
        const auto format = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (const auto map = rtpmap_of(format); !map.empty()) {
            out += fmt::format("a=rtpmap:{} {}\r\n", format, map);
        }
        if (format == "101") out += "a=fmtp:101 0-15\r\n";
    }
    return out + std::string{more};
}

void Phone::send_text(std::string_view text) {
    const auto message = read_message(text);
    if (message.method == "INVITE" && message.status == 0) {
        Written copy;
        copy.start_line = message.start_line;
        copy.headers = message.headers;
        inviting_ = copy;
    }
    if (message.method == "ACK") unacknowledged_.reset();
    if (stream_) {
        stream_->write(text);
    } else {
        udp_->send(text, remote_);
    }
}

std::optional<std::string> Phone::next_text(TimePoint until) {
    if (udp_) {
        auto datagram = udp_->receive(until);
        if (!datagram) return std::nullopt;
        return std::move(datagram->bytes);
    }
    for (;;) {
        while (received_.starts_with("\r\n"))
            received_.erase(0, 2);
        const auto head = received_.find("\r\n\r\n");
        if (head != std::string::npos) {
            const auto length =
                read_message(received_.substr(0, head + 4)).header("Content-Length");
            const auto size = head + 4 + static_cast<std::size_t>(std::atoi(length.c_str()));
            if (received_.size() >= size) {
                std::string text = received_.substr(0, size);
                received_.erase(0, size);
                return text;
            }
        }
        const auto more = stream_->read(until);
        if (more.empty()) return std::nullopt;
        received_ += more;
    }
}

bool Phone::take_one(TimePoint until) {
    const auto text = next_text(until);
    if (!text) return false;
    auto message = read_message(*text);
    message.at = Clock::now();
    if (message.status == 0) {
        if (message.method.empty()) return true;
        answer_request(message);
        requests_.push_back(std::move(message));
        return true;
    }
    if (message.method == "INVITE" && message.status >= 200) {
        const auto number = static_cast<std::uint32_t>(std::atoi(message.header("CSeq").c_str()));
        if (message.status < 300) {
            if (number == invite_cseq_) unacknowledged_ = number;
            if (!confirmed && message.header("Call-ID") == call_id) adopt(message);
        }
        const bool ours = inviting_ && parameter(inviting_->header("Via"), "branch") ==
                                           parameter(message.header("Via"), "branch");
        if (ours) inviting_.reset();
    }
    responses_.push_back(std::move(message));
    return true;
}

void Phone::listen(TimePoint until) {
    while (take_one(until)) {
    }
}

void Phone::answer_request(const Heard& request) {
    if (request.method == "ACK") return;
    if (request.method == "BYE") hung_up_by_target = true;
    Written out;
    out.start_line = "SIP/2.0 200 OK";
    for (const auto& [name, value] : request.headers) {
        for (const std::string_view copied : {"Via", "From", "To", "Call-ID", "CSeq"}) {
            if (same_name(name, copied)) out.add(name, value);
        }
    }
    if (request.method == "INVITE" || request.method == "UPDATE") {
        out.add("Contact", fmt::format("<sip:conformance@{}>", local()));
        if (!request.body.empty()) {
            out.add("Content-Type", "application/sdp");
            out.body = sdp();
        }
    }
    send(out);
}

void Phone::adopt(const Heard& ok) {
    confirmed = true;
    to_tag = parameter(ok.header("To"), "tag");
    routes = ok.all("Record-Route");
    std::reverse(routes.begin(), routes.end());
    if (const auto contact = ok.all("Contact"); !contact.empty()) {
        request_uri = uri_of(contact.front());
    }
}

std::optional<Heard> Phone::response(const Written& request, TimePoint until) {
    const auto branch = parameter(request.header("Via"), "branch");
    const auto cseq_value = request.header("CSeq");
    const auto method = cseq_value.substr(std::min(cseq_value.find(' ') + 1, cseq_value.size()));
    for (;;) {
        const auto found =
            std::find_if(responses_.begin(), responses_.end(), [&](const Heard& heard) {
                const auto via = heard.all("Via");
                return heard.method == method && !via.empty() &&
                       parameter(via.front(), "branch") == branch;
            });
        if (found != responses_.end()) {
            Heard out = std::move(*found);
            responses_.erase(found);
            if (out.status < 200) provisional_.push_back(out);
            return out;
        }
        if (!take_one(until)) return std::nullopt;
    }
}

std::optional<Heard> Phone::final_response(const Written& request, TimePoint until) {
    auto heard = response(request, until);
    while (heard && heard->status < 200)
        heard = response(request, until);
    return heard;
}

std::optional<Heard> Phone::try_ask(const Written& request, milliseconds patience) {
    const bool invite = request.start_line.starts_with("INVITE ");
    const TimePoint until = Clock::now() + patience;
    send(request);
    Clock::duration interval = t1;
    bool repeats = !is_tcp();
    while (Clock::now() < until) {
        const auto heard =
            response(request, repeats ? std::min(until, Clock::now() + interval) : until);
        if (!heard) {
            if (!repeats) break;
            if (Clock::now() < until) send(request);
            interval = std::min<Clock::duration>(2 * interval, 4s);
            continue;
        }
        if (heard->status < 200) {
            if (invite) repeats = false;  // §17.1.1.2
            continue;
        }
        if (invite && heard->status >= 300) send(ack_of(request, *heard));
        return heard;
    }
    return std::nullopt;
}

Heard Phone::ask(const Written& request) {
    const auto heard = try_ask(request, target_.timeout);
    const auto method = request.start_line.substr(0, request.start_line.find(' '));
    expect(
        heard.has_value(),
        fmt::format("no final response to {} within {} ms", method, target_.timeout.count())
    );
    return *heard;
}

std::optional<Heard> Phone::requested(std::string_view method, TimePoint until) {
    for (;;) {
        const auto found =
            std::find_if(requests_.begin(), requests_.end(), [method](const Heard& heard) {
                return heard.method == method;
            });
        if (found != requests_.end()) {
            Heard out = std::move(*found);
            requests_.erase(found);
            return out;
        }
        if (!take_one(until)) return std::nullopt;
    }
}

Heard Phone::call_without_ack(const Written& invite) {
    auto ok = ask(invite);
    expect(ok.status < 300, fmt::format("INVITE was refused: {}", ok.what()));
    answer_ = read_description(ok.body);
    return ok;
}

Heard Phone::call(const Written& invite) {
    auto ok = call_without_ack(invite);
    send(ack(invite.body.empty() ? sdp() : std::string{}));
    return ok;
}

void Phone::accept(const Heard& ok) {
    answer_ = read_description(ok.body);
    send(ack());
}

Heard Phone::reinvite(std::string body) {
    const bool late = body.empty();
    auto heard = ask(invite(std::move(body)));
    if (heard.status < 300) {
        answer_ = read_description(heard.body);
        send(ack(late ? sdp() : std::string{}));
    }
    return heard;
}

void Phone::hang_up() {
    const auto heard = ask(request("BYE"));
    confirmed = false;
    expect(heard.status < 300, fmt::format("BYE was answered {}", heard.what()));
}

void Phone::expect_alive() {
    Phone other{target_};
    const auto heard = other.ask(other.request("OPTIONS"));
    expect(heard.status >= 200, "the target does not answer OPTIONS any more");
}

Address Phone::media_address() const {
    const auto* audio = answer_.audio();
    expect(audio != nullptr, "the answer accepts no audio");
    const auto space = audio->connection.rfind(' ');
    expect(space != std::string::npos, "the answer has no c= line");
    return resolve(audio->connection.substr(space + 1), static_cast<std::uint16_t>(audio->port));
}

}  // namespace oavc::caller::conformance
