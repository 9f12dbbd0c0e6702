#include "caller/bench/twilio_crowd.hpp"

#include "base/base64.hpp"
#include "base/random.hpp"
#include "caller/twilio_peer.hpp"
#include "net/url.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

namespace oavc::caller::bench {

namespace {

constexpr std::size_t most_events = 1024;
constexpr std::size_t most_unsent = 64 * 1024;  ///< of one phone: eight seconds of media
constexpr milliseconds farewell{1000};          ///< for the server to read our last words

/// Numeric addresses: a crowd resolves no names.
std::optional<sockaddr_in> address_of(const net::Url& url) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(url.port);
    const std::string host = url.host == "localhost" ? "127.0.0.1" : url.host;
    if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return std::nullopt;
    return address;
}

bool is_loopback(const sockaddr_in& address) noexcept {
    return ntohl(address.sin_addr.s_addr) >> 24 == 127;
}

const sockaddr* generic(const sockaddr_in& address) noexcept {
    return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the sockets API
}

std::string make_key() {
    std::array<std::byte, 16> bytes;
    random_bytes(bytes);
    return base64::encode(bytes);
}

int make_epoll() {
    const int fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) throw std::runtime_error{"no descriptor is left: raise ulimit -n"};
    return fd;
}

}  // namespace

TwilioCrowd::TwilioCrowd(Config config, std::size_t phones)
    : config_{std::move(config)},
      phones_(phones),
      incoming_(64 * 1024),
      outgoing_(ws_head_room + longest_twilio_message) {
    const auto url = net::parse_url(config_.url);
    const auto address = url ? address_of(*url) : std::nullopt;
    if (!address || url->scheme != "http") {
        throw std::runtime_error{
            fmt::format("--url {}: a crowd needs http:// and a numeric IPv4 address", config_.url)};
    }
    server_ = *address;
    host_ = url->authority();
    webhook_url_ = "http://" + host_ + "/";
    signalling_ = make_epoll();
    media_ = make_epoll();
}

TwilioCrowd::~TwilioCrowd() {
    for (const auto& phone : phones_) {
        if (phone.socket >= 0) ::close(phone.socket);
    }
    for (const auto& leaving : leaving_)
        ::close(leaving.socket);
    ::close(signalling_);
    ::close(media_);
}

// --- what the engine asks for ---

void TwilioCrowd::place(CallIndex call, TimePoint now) {
    auto& phone = phones_[call];
    phone = Phone{.state = State::webhook, .serial = phone.serial + 1, .ids = TwilioIds::make()};
    // Every phone has a number of its own, as for [limits] max_calls_per_caller.
    const auto from = fmt::format("+1555{:07}", call);
    TwilioWebhook webhook;
    webhook.host = host_;
    webhook.url = webhook_url_;
    webhook.token = config_.auth_token;
    webhook.from = from;
    webhook.to = config_.to;
    deadlines_.push_back({now + config_.answer_limit, call, phone.serial});
    if (!connect(call, server_, webhook_request(webhook, phone.ids.call_sid))) {
        troubles_.push_back({call, phone.serial, std::strerror(errno)});
    }
}

void TwilioCrowd::hang_up(CallIndex call, TimePoint now) {
    auto& phone = phones_[call];
    if (phone.state == State::open) {
        say(call, WsOp::text, phone.counter.stop(payload(), phone.ids));
    }
    leave(call, now);
}

void TwilioCrowd::send(CallIndex call, FrameBytes ulaw, TimePoint now) noexcept {
    auto& phone = phones_[call];
    if (phone.state != State::open) return;
    const auto since = std::chrono::duration_cast<milliseconds>(now - phone.started);
    if (say(call, WsOp::text, phone.counter.media(payload(), phone.ids, ulaw, since))) {
        ++stats_.sent;
    } else {
        ++stats_.send_errors;
    }
    due_.push_back(call);
}

// --- what happens ---

void TwilioCrowd::poll(TimePoint now, CrowdEvents& events) {
    std::array<epoll_event, most_events> ready;
    for (const int epoll : {signalling_, media_}) {
        int count = 0;
        do {
            count = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), 0);
            for (int i = 0; i < count; ++i)
                on_event(ready[static_cast<std::size_t>(i)].data.u64, now, events);
        } while (count == static_cast<int>(ready.size()));
    }
    for (const CallIndex call : due_)
        play(call, now, events);
    due_.clear();

    for (const auto& trouble : std::exchange(troubles_, {})) {
        if (phones_[trouble.call].serial != trouble.serial) continue;
        over(trouble.call, now, Ending::failed, trouble.why, events);
    }
    while (!deadlines_.empty() && deadlines_.front().at <= now) {
        const Deadline late = deadlines_.front();
        deadlines_.pop_front();
        const auto& phone = phones_[late.call];
        const bool waits = phone.state == State::webhook || phone.state == State::handshake;
        if (phone.serial == late.serial && waits) {
            over(late.call, now, Ending::failed, "no answer within the time limit", events);
        }
    }
    while (!leaving_.empty() && leaving_.front().until <= now) {
        ::close(leaving_.front().socket);
        leaving_.pop_front();
    }
}

void TwilioCrowd::on_event(std::uint64_t id, TimePoint now, CrowdEvents& events) {
    const auto call = static_cast<CallIndex>(id & 0xFFFFFFFF);
    auto& phone = phones_[call];
    const auto serial = phone.serial;
    if (serial != id >> 32 || phone.socket < 0) return;
    if (phone.waits_to_write && !push(call, {})) {
        return over(call, now, Ending::failed, std::strerror(errno), events);
    }
    const auto size = ::recv(phone.socket, incoming_.data(), incoming_.size(), MSG_DONTWAIT);
    if (size > 0) {
        const std::string_view bytes{incoming_.data(), static_cast<std::size_t>(size)};
        return on_bytes(call, bytes, now, events);
    }
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const bool open = phone.state == State::open;
    over(
        call,
        now,
        open ? Ending::hung_up : Ending::failed,
        size == 0 ? "the connection ended" : std::strerror(errno),
        events
    );
}

void TwilioCrowd::on_bytes(
    CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events
) {
    switch (phones_[call].state) {
        case State::idle:
            break;
        case State::webhook:
            return on_webhook(call, bytes, now, events);
        case State::handshake:
            return on_handshake(call, bytes, now, events);
        case State::open:
            return on_stream(call, bytes, now, events);
    }
}

void TwilioCrowd::on_webhook(
    CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events
) {
    auto& phone = phones_[call];
    phone.received += bytes;
    const auto reply = read_reply(phone.received);
    if (!reply) return;
    if (reply->status != 200) {
        const auto why = fmt::format("the webhook's answer has status {}", reply->status);
        return over(call, now, Ending::failed, why, events);
    }
    auto order = parse_twiml(reply->body);
    if (!order) {
        const auto& why = order.error().what;
        const bool refused = why.find("refuses") != std::string::npos;
        return over(call, now, refused ? Ending::refused : Ending::failed, why, events);
    }
    const auto url = net::parse_url(order->url);
    const auto address = url ? address_of(*url) : std::nullopt;
    if (!address || url->scheme != "ws") {
        const auto why = fmt::format("the stream is at {}: not ws:// and an address", order->url);
        return over(call, now, Ending::failed, why, events);
    }
    ::close(std::exchange(phone.socket, -1));
    phone.received.clear();
    phone.state = State::handshake;
    phone.key = make_key();
    const auto signature = twilio_signature(config_.auth_token, order->url, {});
    auto request = ws_handshake(url->authority(), url->target, phone.key, signature);
    phone.order = std::move(*order);
    if (!connect(call, *address, std::move(request))) {
        over(call, now, Ending::failed, std::strerror(errno), events);
    }
}

void TwilioCrowd::on_handshake(
    CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events
) {
    auto& phone = phones_[call];
    phone.received += bytes;
    const auto reply = read_reply(phone.received);
    if (!reply) return;
    if (!ws_accepted(*reply, phone.key)) {
        const auto why = fmt::format("the media socket is refused with status {}", reply->status);
        return over(call, now, Ending::failed, why, events);
    }
    // Media: no longer what wakes the engine.
    ::epoll_ctl(signalling_, EPOLL_CTL_DEL, phone.socket, nullptr);
    phone.state = State::open;
    phone.started = now;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = std::uint64_t{phone.serial} << 32 | call;
    ::epoll_ctl(media_, EPOLL_CTL_ADD, phone.socket, &event);

    bool said = true;
    for (const auto& text :
         {connected_message(), start_message(phone.ids, phone.order.parameters)}) {
        if (text.size() > longest_twilio_message) said = false;
        if (!said) break;
        std::copy(text.begin(), text.end(), payload());
        said = say(call, WsOp::text, text.size());
    }
    const std::string rest = phone.received.substr(reply->size);
    phone.received = {};
    phone.key = {};
    phone.order = {};
    if (!said) return over(call, now, Ending::failed, "the stream cannot be started", events);
    const auto serial = phone.serial;
    events.on_answered(call, now);
    if (phone.serial == serial && !rest.empty()) on_stream(call, rest, now, events);
}

void TwilioCrowd::on_stream(
    CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events
) {
    auto& phone = phones_[call];
    std::optional<std::uint16_t> close_code;
    const bool whole = phone.cutter.feed(bytes, [&](const WsFrame& frame) {
        switch (frame.op) {
            case WsOp::text:
                on_message(call, frame.payload, now, events);
                return phone.state == State::open;
            case WsOp::ping:
                std::copy(frame.payload.begin(), frame.payload.end(), payload());
                return say(call, WsOp::pong, frame.payload.size());
            case WsOp::close:
                close_code = 0;
                if (frame.payload.size() >= 2) {
                    const auto high = static_cast<unsigned char>(frame.payload[0]);
                    const auto low = static_cast<unsigned char>(frame.payload[1]);
                    close_code = static_cast<std::uint16_t>(high << 8 | low);
                }
                std::copy(frame.payload.begin(), frame.payload.end(), payload());
                say(call, WsOp::close, frame.payload.size());
                return false;
            case WsOp::binary:
                events.on_wrong_audio(call);  // Twilio warning 31950
                return true;
            case WsOp::pong:
                return true;
        }
        return false;
    });
    if (whole || phone.state != State::open) return;
    if (close_code) {
        const auto why = fmt::format("the server closed the stream with {}", *close_code);
        return over(call, now, Ending::hung_up, why, events);
    }
    over(call, now, Ending::hung_up, "the server broke the WebSocket protocol", events);
}

void TwilioCrowd::on_message(
    CallIndex call, std::string_view text, TimePoint now, CrowdEvents& events
) {
    auto& phone = phones_[call];
    const auto order = read_order(text, phone.ids);
    switch (order.kind) {
        case TwilioOrder::Kind::media: {
            std::array<std::byte, 8000> ulaw;  // a second at once
            const auto size = base64::decode(order.text, ulaw);
            if (!size) return events.on_wrong_audio(call);
            // A buffer that ran dry since the last look must not go on as if it had not.
            if (phone.playback.ran_dry(now)) play(call, now, events);
            const auto gap = phone.playback.put(std::span{ulaw}.first(*size), now);
            if (gap > Clock::duration{0}) events.on_underrun(call, gap);
            return;
        }
        case TwilioOrder::Kind::mark:
            phone.playback.mark(order.text);
            if (!phone.playback.plays()) play(call, now, events);  // echoed at once
            return;
        case TwilioOrder::Kind::clear:
            // What sounded before it was heard.
            play(call, now, events);
            phone.playback.clear();
            return play(call, now, events);
        case TwilioOrder::Kind::senseless:
            return events.on_wrong_audio(call);
    }
}

void TwilioCrowd::play(CallIndex call, TimePoint now, CrowdEvents& events) {
    auto& phone = phones_[call];
    if (phone.state != State::open || !phone.playback.busy()) return;
    phone.playback.advance(
        now,
        [&](TimePoint at, std::span<const std::byte> ulaw) {
            events.on_heard(call, Heard{at, ulaw, std::nullopt});
        },
        [&](std::string_view name) {
            if (name.size() > longest_mark_name) return;
            say(call, WsOp::text, phone.counter.mark(payload(), phone.ids, name));
        }
    );
}

// --- sockets ---

bool TwilioCrowd::connect(CallIndex call, const sockaddr_in& to, std::string request) {
    auto& phone = phones_[call];
    phone.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (phone.socket < 0) return false;
    const int yes = 1;
    ::setsockopt(phone.socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (is_loopback(to)) {
        sockaddr_in own{};
        own.sin_family = AF_INET;
        own.sin_addr.s_addr = htonl(0x7F010000U + (call & 0xFFFF));  // 127.1.0.0/16
        ::setsockopt(phone.socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
        if (::bind(phone.socket, generic(own), sizeof own) != 0) return false;
    }
    const int connected = ::connect(phone.socket, generic(to), sizeof to);
    if (connected != 0 && errno != EINPROGRESS) return false;
    phone.unsent = std::move(request);
    phone.waits_to_write = true;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    event.data.u64 = std::uint64_t{phone.serial} << 32 | call;
    return ::epoll_ctl(signalling_, EPOLL_CTL_ADD, phone.socket, &event) == 0;
}

/// Sends what lies at payload(). False: there is no room, or the connection is broken.
bool TwilioCrowd::say(CallIndex call, WsOp op, std::size_t size) noexcept {
    return push(call, ws_seal(op, payload(), size, mask()));
}

bool TwilioCrowd::push(CallIndex call, std::string_view bytes) noexcept {
    auto& phone = phones_[call];
    if (!phone.unsent.empty()) {
        if (phone.unsent.size() + bytes.size() > most_unsent) return false;
        phone.unsent += bytes;
        bytes = phone.unsent;
    }
    const bool stored = !phone.unsent.empty();
    auto sent = ::send(phone.socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) return false;
        sent = 0;
    }
    if (stored) {
        phone.unsent.erase(0, static_cast<std::size_t>(sent));
    } else {
        phone.unsent.assign(bytes.substr(static_cast<std::size_t>(sent)));
    }
    if (phone.waits_to_write != !phone.unsent.empty()) watch(call, !phone.unsent.empty());
    return true;
}

void TwilioCrowd::watch(CallIndex call, bool to_write) noexcept {
    auto& phone = phones_[call];
    phone.waits_to_write = to_write;
    epoll_event event{};
    event.events = to_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u64 = std::uint64_t{phone.serial} << 32 | call;
    const int epoll = phone.state == State::open ? media_ : signalling_;
    ::epoll_ctl(epoll, EPOLL_CTL_MOD, phone.socket, &event);
}

/// Need not be secret here; but an easy key would make unmasking easy.
std::uint32_t TwilioCrowd::mask() noexcept {
    mask_ ^= mask_ << 13;  // xorshift32
    mask_ ^= mask_ >> 17;
    mask_ ^= mask_ << 5;
    return mask_;
}

void TwilioCrowd::over(
    CallIndex call, TimePoint now, Ending how, std::string_view why, CrowdEvents& events
) {
    const std::string words{why};  // may be of the phone
    leave(call, now);
    events.on_over(call, now, how, words);
}

void TwilioCrowd::leave(CallIndex call, TimePoint now) noexcept {
    auto& phone = phones_[call];
    if (phone.socket >= 0) {
        const int socket = std::exchange(phone.socket, -1);
        // Closing what holds unread bytes would reset the connection, and with it our last words.
        ::epoll_ctl(
            phone.state == State::open ? media_ : signalling_, EPOLL_CTL_DEL, socket, nullptr
        );
        ::shutdown(socket, SHUT_WR);
        leaving_.push_back({now + farewell, socket});
    }
    ++phone.serial;
    phone.state = State::idle;
}

}  // namespace oavc::caller::bench
