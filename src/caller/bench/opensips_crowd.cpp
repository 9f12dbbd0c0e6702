#include "caller/bench/opensips_crowd.hpp"

#include "caller/phone_sdp.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace oavc::caller::bench {

namespace {

constexpr std::size_t max_mi_request = 65'457;  // OpenSIPS reads no more
constexpr int socket_buffer = 4 << 20;

std::optional<sockaddr_in> make_address(std::string ip, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (port == 0 || ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) return std::nullopt;
    return address;
}

/// "127.0.0.1:8090", as subscribed.
std::optional<sockaddr_in> parse_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::uint16_t port = 0;
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    return make_address(std::string{text.substr(0, colon)}, port);
}

int bind_loopback(std::uint16_t& port) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);  // NOLINT: the sockets API
    if (fd < 0 || ::bind(fd, generic, size) != 0 || ::getsockname(fd, generic, &size) != 0) {
        if (fd >= 0) ::close(fd);
        throw std::runtime_error{fmt::format(
            "UDP port {} of 127.0.0.1 is taken: the load test plays OpenSIPS there. Stop the real "
            "one, or give server and test another [telephony.opensips] mi_port.",
            port
        )};
    }
    port = ntohs(address.sin_port);
    // A storm of set-ups must not be lost in a queue that is only kilobytes long.
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &socket_buffer, sizeof socket_buffer);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &socket_buffer, sizeof socket_buffer);
    return fd;
}

}  // namespace

OpensipsCrowd::OpensipsCrowd(Config config, std::size_t phones)
    : config_{std::move(config)},
      trunk_{phones},
      opensips_{Clock::now()},
      mi_port_{config_.mi_port},
      phones_(phones),
      datagram_(max_mi_request) {
    mi_ = bind_loopback(mi_port_);
    std::uint16_t any = 0;
    events_ = bind_loopback(any);
}

OpensipsCrowd::~OpensipsCrowd() {
    ::close(mi_);
    ::close(events_);
}

void OpensipsCrowd::poll(TimePoint now, CrowdEvents& events) {
    for (;;) {
        sockaddr_in from{};
        socklen_t size = sizeof from;
        auto* const generic = reinterpret_cast<sockaddr*>(&from);  // NOLINT: the sockets API
        const auto got = ::recvfrom(mi_, datagram_.data(), datagram_.size(), 0, generic, &size);
        if (got < 0) break;
        const std::string_view request{datagram_.data(), static_cast<std::size_t>(got)};
        if (const auto answer = opensips_.on_mi(request, now))
            ::sendto(mi_, answer->data(), answer->size(), 0, generic, size);
        for (const auto& outcome : opensips_.take_outcomes())
            take(outcome, now, events);
        raise();
    }
    trunk_.receive(now, events);
    while (!deadlines_.empty() && deadlines_.front().at <= now) {
        const Deadline late = std::move(deadlines_.front());
        deadlines_.pop_front();
        const Phone& phone = phones_[late.call];
        if (phone.key != late.key || phone.answered) continue;
        hang_up(late.call, now);
        events.on_over(
            late.call,
            now,
            Ending::failed,
            fmt::format("no answer within {} s", to_ms(config_.answer_limit) / 1000)
        );
    }
}

void OpensipsCrowd::raise() {
    for (const auto& event : opensips_.take_events()) {
        const auto to = parse_address(event.to);
        if (!to) continue;
        const auto* const generic = reinterpret_cast<const sockaddr*>(&*to);  // NOLINT
        ::sendto(events_, event.data.data(), event.data.size(), 0, generic, sizeof *to);
    }
}

void OpensipsCrowd::take(const FakeOpenSips::Outcome& outcome, TimePoint now, CrowdEvents& events) {
    using Kind = FakeOpenSips::Outcome::Kind;
    const auto found = by_key_.find(outcome.key);
    if (found == by_key_.end()) return;
    const CallIndex call = found->second;
    switch (outcome.kind) {
        case Kind::answered: {
            const auto answer = parse_sdp_answer(outcome.body);
            std::optional<sockaddr_in> remote;
            if (answer.has_value() && answer->payload_type == 0)
                remote = make_address(answer->address, answer->port);
            if (!remote) {
                hang_up(call, now);
                events.on_over(
                    call, now, Ending::failed, "the answer has no address for PCMU over IPv4"
                );
                return;
            }
            phones_[call].answered = true;
            opensips_.ack(outcome.key);
            trunk_.begin(call, *remote);
            events.on_answered(call, now);
            return;
        }
        case Kind::rejected:
            forget(call);
            events.on_over(
                call, now, Ending::refused, fmt::format("{} {}", outcome.code, outcome.reason)
            );
            return;
        case Kind::hung_up:
        case Kind::transfer:
            forget(call);
            events.on_over(call, now, Ending::hung_up, "the server hung up");
            return;
        default:
            return;
    }
}

void OpensipsCrowd::forget(CallIndex call) {
    trunk_.end(call);
    by_key_.erase(phones_[call].key);
    phones_[call].key.clear();
}

void OpensipsCrowd::place(CallIndex call, TimePoint now) {
    FakeOpenSips::Invite invite;
    // Every phone has a number of its own, as for [limits] max_calls_per_caller.
    invite.from_user = fmt::format("+1555{:07}", call);
    invite.to_user = config_.to;
    invite.host = trunk_.address(call);
    invite.sdp = make_sdp_offer(invite.host, trunk_.port(call), 1);
    Phone& phone = phones_[call];
    phone.key = opensips_.invite(std::move(invite), now);
    phone.answered = false;
    by_key_[phone.key] = call;
    deadlines_.push_back({now + config_.answer_limit, call, phone.key});
    raise();
}

void OpensipsCrowd::hang_up(CallIndex call, TimePoint now) {
    const Phone& phone = phones_[call];
    if (phone.answered) {
        opensips_.bye(phone.key, now);
    } else {
        opensips_.cancel(phone.key, now);
    }
    forget(call);
    raise();
}

void OpensipsCrowd::send(CallIndex call, FrameBytes ulaw, TimePoint) noexcept {
    trunk_.send(call, ulaw);
}

void OpensipsCrowd::flush(TimePoint) noexcept { trunk_.flush(); }

}  // namespace oavc::caller::bench
