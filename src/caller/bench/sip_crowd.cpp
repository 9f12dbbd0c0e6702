#include "caller/bench/sip_crowd.hpp"

#include "base/random.hpp"
#include "caller/phone_sdp.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <utility>

namespace oavc::caller::bench {

namespace {

constexpr auto t1 = 500ms;                    // RFC 3261 §17.1.1.1
constexpr auto t2 = std::chrono::seconds{4};  // dto.
constexpr auto longest_try = 64 * t1;         // dto.: timers B and F
constexpr int socket_buffer = 4 << 20;

sockaddr_in loopback(std::uint16_t port) noexcept {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

std::optional<sockaddr_in> make_address(const std::string& ip, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (port == 0 || ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) return std::nullopt;
    return address;
}

}  // namespace

SipCrowd::SipCrowd(Config config, std::size_t phones)
    : config_{std::move(config)},
      server_{fmt::format("127.0.0.1:{}", config_.server_port)},
      address_{loopback(config_.server_port)},
      trunk_{phones},
      phones_(phones),
      datagram_(64 * 1024) {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in own = loopback(0);
    socklen_t size = sizeof own;
    auto* const generic = reinterpret_cast<sockaddr*>(&own);  // NOLINT: the sockets API
    if (socket_ < 0 || ::bind(socket_, generic, size) != 0 ||
        ::getsockname(socket_, generic, &size) != 0) {
        if (socket_ >= 0) ::close(socket_);
        throw std::runtime_error{"no UDP port of 127.0.0.1 is free for the phones' SIP"};
    }
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &socket_buffer, sizeof socket_buffer);
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &socket_buffer, sizeof socket_buffer);
    local_ = fmt::format("127.0.0.1:{}", ntohs(own.sin_port));
}

SipCrowd::~SipCrowd() { ::close(socket_); }

void SipCrowd::place(CallIndex call, TimePoint now) {
    Phone& phone = phones_[call];
    phone.state = State::inviting;
    ++phone.serial;
    phone.answer.clear();
    phone.dialog = {
        local_,
        server_,
        fmt::format("+1555{:07}", call),  // as for [limits] max_calls_per_caller
        config_.to,
        fmt::format("{}-{}-{}", call, phone.serial, random_hex(4)),
        random_hex(4)};
    const auto sdp = make_sdp_offer(trunk_.address(call), trunk_.port(call), 1);
    const auto id = branch(phone.dialog.call_id, 'i');
    request(id, sip_invite(phone.dialog, id, sdp), now);
    deadlines_.push_back({now + config_.answer_limit, call, phone.serial});
}

void SipCrowd::hang_up(CallIndex call, TimePoint now) {
    Phone& phone = phones_[call];
    const auto& call_id = phone.dialog.call_id;
    if (phone.state == State::answered) {
        if (const auto answer = read_sip(phone.answer)) {
            const auto id = branch(call_id, 'b');
            request(id, sip_in_dialog("BYE", *answer, local_, id, 2), now);
        }
    } else if (phone.state == State::inviting) {
        // CANCEL has the INVITE's branch (§9.1); a 200 that crosses it gets its BYE.
        const auto id = branch(call_id, 'i');
        unanswered_.erase(id);
        transmit(sip_cancel(phone.dialog, id));
    }
    free(call);
}

void SipCrowd::free(CallIndex call) noexcept {
    trunk_.end(call);
    phones_[call].state = State::idle;
}

void SipCrowd::send(CallIndex call, FrameBytes ulaw, TimePoint) noexcept {
    trunk_.send(call, ulaw);
}

void SipCrowd::flush(TimePoint) noexcept { trunk_.flush(); }

void SipCrowd::poll(TimePoint now, CrowdEvents& events) {
    for (;;) {
        const auto size = ::recv(socket_, datagram_.data(), datagram_.size(), 0);
        if (size < 0) break;
        take({datagram_.data(), static_cast<std::size_t>(size)}, now, events);
    }
    trunk_.receive(now, events);
    repeat(now);
    while (!deadlines_.empty() && deadlines_.front().at <= now) {
        const Deadline late = deadlines_.front();
        deadlines_.pop_front();
        const Phone& phone = phones_[late.call];
        if (phone.serial != late.serial || phone.state != State::inviting) continue;
        hang_up(late.call, now);
        events.on_over(late.call, now, Ending::failed, "no answer within the time limit");
    }
}

void SipCrowd::take(std::string_view datagram, TimePoint now, CrowdEvents& events) {
    const auto message = read_sip(datagram);
    if (!message) return;
    if (message->status == 0) return on_request(*message, datagram, now, events);
    unanswered_.erase(std::string{message->branch()});
    if (message->method != "INVITE" || message->status < 200) return;
    if (message->status >= 300) {
        transmit(sip_ack_failure(*message, fmt::format("sip:{}@{}", config_.to, server_)));
    } else {
        // Every repeated 200 wants its ACK (§13.2.2.4).
        transmit(
            sip_in_dialog("ACK", *message, local_, branch(message->call_id, 'a'), message->cseq)
        );
    }
    const auto call = call_of(message->call_id);
    if (call) return on_invite_response(*call, *message, datagram, now, events);
    if (message->status < 300) {  // we have given up meanwhile, or hung up already
        const auto id = branch(message->call_id, 'b');
        request(id, sip_in_dialog("BYE", *message, local_, id, 2), now);
    }
}

void SipCrowd::on_invite_response(
    CallIndex call,
    const SipMessage& response,
    std::string_view text,
    TimePoint now,
    CrowdEvents& events
) {
    Phone& phone = phones_[call];
    if (phone.state != State::inviting) return;
    if (response.status >= 300) {
        free(call);
        const auto why = fmt::format("{} {}", response.status, response.reason);
        return events.on_over(call, now, Ending::refused, why);
    }
    phone.state = State::answered;
    phone.answer = text;
    const auto sdp = parse_sdp_answer(response.body);
    std::optional<sockaddr_in> remote;
    if (sdp.has_value() && sdp->payload_type == 0) remote = make_address(sdp->address, sdp->port);
    if (!remote) {
        hang_up(call, now);
        constexpr std::string_view why = "the answer has no address for PCMU over IPv4";
        return events.on_over(call, now, Ending::failed, why);
    }
    trunk_.begin(call, *remote);
    events.on_answered(call, now);
}

void SipCrowd::on_request(
    const SipMessage& request, std::string_view text, TimePoint now, CrowdEvents& events
) {
    if (request.method == "ACK") return;
    if (request.method == "INVITE") return transmit(sip_response(text, 488, "Not Acceptable Here"));
    transmit(sip_response(text, 200, "OK"));
    if (request.method != "BYE") return;
    const auto call = call_of(request.call_id);
    if (!call || phones_[*call].state != State::answered) return;
    free(*call);
    events.on_over(*call, now, Ending::hung_up, "the server hung up");
}

std::optional<CallIndex> SipCrowd::call_of(std::string_view call_id) const noexcept {
    CallIndex call = 0;
    std::from_chars(call_id.data(), call_id.data() + call_id.size(), call);
    if (call >= phones_.size()) return std::nullopt;
    const Phone& phone = phones_[call];
    const bool up = phone.state != State::idle && phone.dialog.call_id == call_id;
    return up ? std::optional{call} : std::nullopt;
}

std::string SipCrowd::branch(std::string_view call_id, char kind) const {
    return fmt::format("z9hG4bK{}{}", kind, call_id);
}

void SipCrowd::transmit(std::string_view text) noexcept {
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address_);  // NOLINT
    ::sendto(socket_, text.data(), text.size(), MSG_DONTWAIT, generic, sizeof address_);
}

void SipCrowd::request(const std::string& branch, std::string text, TimePoint now) {
    const auto [entry, added] = unanswered_.try_emplace(branch);
    entry->second = {std::move(text), t1, now + longest_try};
    transmit(entry->second.text);
    if (added) repeats_.emplace(now + t1, branch);
}

void SipCrowd::repeat(TimePoint now) {
    while (!repeats_.empty() && repeats_.begin()->first <= now) {
        auto due = repeats_.extract(repeats_.begin());
        const auto found = unanswered_.find(due.mapped());
        if (found == unanswered_.end()) continue;
        Request& late = found->second;
        if (now >= late.give_up) {
            unanswered_.erase(found);
            continue;
        }
        transmit(late.text);
        late.interval = std::min<Clock::duration>(2 * late.interval, t2);
        due.key() = now + late.interval;
        repeats_.insert(std::move(due));
    }
}

}  // namespace oavc::caller::bench
