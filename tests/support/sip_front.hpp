#pragma once

// A proxy with callers behind it, as OpenSIPS with its dispatcher: offers each call to its servers
// in turn, goes on to the next one when a server refuses with 503, and carries RTP both ways. Every
// caller counts what of its RTP is missing.
//
//     SipFront front{{port_of_a, port_of_b}};
//     const auto call = front.call();
//     … front.state(call).server == 0, .lost == 0 …
//     front.hang_up(call);

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::test {

class SipFront {
public:
    /// What a caller notices.
    struct State {
        int server{-1};                 ///< that answered; -1: none yet
        std::vector<int> refused_by{};  ///< 503, with Retry-After
        bool failed{false};             ///< refused otherwise, or by all
        bool answered{false};
        bool cut{false};        ///< the server hung up
        bool over{false};       ///< BYE of either side was answered
        std::uint64_t sent{0};  ///< RTP packets
        std::uint64_t received{0};
        std::uint64_t lost{0};      ///< numbers that were skipped
        std::uint64_t repeated{0};  ///< numbers that came again, or late
        std::uint64_t streams{0};   ///< SSRCs; more than one is a break
    };

    explicit SipFront(std::vector<std::uint16_t> servers)
        : servers_{std::move(servers)}, sip_{bound_socket()}, port_{port_of(sip_)} {
        thread_ = std::thread{[this] { run(); }};
    }
    SipFront(const SipFront&) = delete;
    SipFront& operator=(const SipFront&) = delete;
    ~SipFront() {
        stop_ = true;
        thread_.join();
        for (const auto& call : calls_)
            ::close(call->rtp);
        ::close(sip_);
    }

    /// Begins a call.
    std::size_t call() {
        const std::lock_guard lock{mutex_};
        auto made = std::make_unique<Call>();
        made->id = "front-" + std::to_string(calls_.size()) + "-" + std::to_string(::getpid());
        made->rtp = bound_socket();
        made->number = calls_.size();
        made->ssrc = static_cast<std::uint32_t>(0xF0000000U + calls_.size());
        calls_.push_back(std::move(made));
        offer(*calls_.back());
        return calls_.size() - 1;
    }

    void hang_up(std::size_t index) {
        const std::lock_guard lock{mutex_};
        Call& call = *calls_.at(index);
        if (!call.state.answered || call.state.over) return;
        call.ending = true;
        send_request(call, "BYE", ++call.cseq, {});
    }

    State state(std::size_t index) const {
        const std::lock_guard lock{mutex_};
        return calls_.at(index)->state;
    }

private:
    using Time = std::chrono::steady_clock;

    struct Call {
        std::string id;
        std::size_t number{0};
        int rtp{-1};
        std::uint32_t ssrc{0};
        std::size_t trying{0};  ///< index into servers_
        int attempt{0};
        int cseq{1};
        std::string to_tag{};
        std::string target{};  ///< the server's Contact
        sockaddr_in media{};
        std::uint16_t sequence{0};
        std::uint32_t timestamp{0};
        bool heard{false};
        std::uint16_t next{0};  ///< sequence number that should come
        std::uint32_t their_ssrc{0};
        bool ending{false};
        Time::time_point resend{};  ///< of the INVITE; nothing came yet
        std::string invite{};
        State state{};
    };

    static int bound_socket() {
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const int room = 1 << 20;  // a test that is not scheduled for a while must not lose packets
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        const auto here = loopback(0);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) {  // NOLINT
            throw std::runtime_error{"no UDP port"};
        }
        return fd;
    }
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    static std::uint16_t port_of(int fd) {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);  // NOLINT
        return ntohs(address.sin_port);
    }

    /// The value of a header field; empty: not there. Long names only: ours are the only peers.
    static std::string field(std::string_view message, std::string_view name) {
        const std::string start = "\r\n" + std::string{name} + ": ";
        const auto at = message.find(start);
        if (at == std::string_view::npos) return {};
        const auto from = at + start.size();
        return std::string{message.substr(from, message.find("\r\n", from) - from)};
    }
    static std::string between(
        std::string_view text, std::string_view before, std::string_view end
    ) {
        const auto at = text.find(before);
        if (at == std::string_view::npos) return {};
        const auto from = at + before.size();
        return std::string{text.substr(from, text.find_first_of(end, from) - from)};
    }

    // Signalling; under the lock.

    void send(const std::string& message, std::uint16_t to) const {
        const auto there = loopback(to);
        ::sendto(
            sip_,
            message.data(),
            message.size(),
            0,
            reinterpret_cast<const sockaddr*>(&there),  // NOLINT
            sizeof there
        );
    }

    std::string request(
        const Call& call,
        std::string_view method,
        int cseq,
        std::string_view branch,
        std::string body
    ) const {
        const auto server = std::to_string(servers_[call.trying]);
        const auto here = "127.0.0.1:" + std::to_string(port_);
        std::string out{method};
        out += " " + (call.target.empty() ? "sip:100@127.0.0.1:" + server : call.target) +
               " SIP/2.0\r\nVia: SIP/2.0/UDP " + here + ";branch=z9hG4bK-" + std::string{branch} +
               ";rport\r\nMax-Forwards: 69\r\nFrom: <sip:+9021255501" +
               std::to_string(call.number) + "@127.0.0.1>;tag=f" + std::to_string(call.number) +
               "\r\nTo: <sip:100@127.0.0.1>" + (call.to_tag.empty() ? "" : ";tag=" + call.to_tag) +
               "\r\nCall-ID: " + call.id + "\r\nCSeq: " + std::to_string(cseq) + " " +
               std::string{method} + "\r\nContact: <sip:front@" + here + ">\r\n";
        if (!body.empty()) out += "Content-Type: application/sdp\r\n";
        return out + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    std::string branch(const Call& call, std::string_view what) const {
        return call.id + "-" + std::to_string(call.attempt) + "-" + std::string{what};
    }
    void send_request(Call& call, std::string_view method, int cseq, std::string body) {
        send(
            request(call, method, cseq, branch(call, std::to_string(cseq)), std::move(body)),
            servers_[call.trying]
        );
    }

    void offer(Call& call) {
        ++call.attempt;
        const auto port = std::to_string(port_of(call.rtp));
        call.invite = request(
            call,
            "INVITE",
            call.cseq,
            branch(call, "invite"),
            "v=0\r\no=front 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 "
            "0\r\nm=audio " +
                port + " RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        send(call.invite, servers_[call.trying]);
        call.resend = Time::now() + std::chrono::milliseconds{500};
    }

    void on_message(std::string_view message) {
        const auto id = field(message, "Call-ID");
        for (const auto& call : calls_) {
            if (call->id != id) continue;
            if (message.starts_with("SIP/2.0 ")) return on_response(*call, message);
            return on_request(*call, message);
        }
    }

    void on_response(Call& call, std::string_view message) {
        int status = 0;
        std::from_chars(message.data() + 8, message.data() + 11, status);
        // Of an attempt at a server that was left.
        if (field(message, "Via").find(call.id + "-" + std::to_string(call.attempt) + "-") ==
            std::string::npos) {
            return;
        }
        call.resend = {};
        const auto cseq = field(message, "CSeq");
        if (status < 200) return;
        if (cseq.ends_with("BYE")) {
            call.state.over = true;
            return;
        }
        if (!cseq.ends_with("INVITE")) return;
        const auto tag = between(field(message, "To"), ";tag=", ";");
        if (status >= 300) {
            call.to_tag = tag;
            send(
                request(call, "ACK", call.cseq, branch(call, "invite"), {}), servers_[call.trying]
            );
            call.to_tag.clear();
            const bool later = status == 503 && !field(message, "Retry-After").empty();
            if (later) call.state.refused_by.push_back(static_cast<int>(call.trying));
            if (!later || call.trying + 1 == servers_.size()) {
                call.state.failed = true;
                return;
            }
            ++call.trying;
            return offer(call);
        }
        if (!call.state.answered) {
            call.to_tag = tag;
            call.target = between(field(message, "Contact"), "<", ">");
            std::uint16_t port = 0;
            const auto media = between(message, "m=audio ", " ");
            std::from_chars(media.data(), media.data() + media.size(), port);
            call.media = loopback(port);
            call.state.server = static_cast<int>(call.trying);
            call.state.answered = true;
        }
        send(request(call, "ACK", call.cseq, branch(call, "ack"), {}), servers_[call.trying]);
    }

    void on_request(Call& call, std::string_view message) {
        if (message.starts_with("ACK")) return;
        if (message.starts_with("BYE")) {
            call.state.cut = true;
            call.state.over = true;
        }
        send(
            "SIP/2.0 200 OK\r\nVia: " + field(message, "Via") +
                "\r\nFrom: " + field(message, "From") + "\r\nTo: " + field(message, "To") +
                "\r\nCall-ID: " + call.id + "\r\nCSeq: " + field(message, "CSeq") +
                "\r\nContent-Length: 0\r\n\r\n",
            servers_[call.trying]
        );
    }

    // Media; under the lock.

    static void put(std::uint8_t* at, std::uint32_t value, int bytes) {
        for (int i = 0; i < bytes; ++i)
            at[i] = static_cast<std::uint8_t>(value >> (8 * (bytes - 1 - i)));
    }

    static std::uint32_t read(const std::uint8_t* at, int bytes) {
        std::uint32_t value = 0;
        for (int i = 0; i < bytes; ++i)
            value = value << 8U | at[i];
        return value;
    }

    void send_media(Call& call) const {
        std::array<std::uint8_t, 172> packet;
        packet.fill(0xFF);  // silence in mu-law
        packet[0] = 0x80;
        packet[1] = 0;
        put(&packet[2], call.sequence++, 2);
        put(&packet[4], call.timestamp, 4);
        put(&packet[8], call.ssrc, 4);
        call.timestamp += 160;
        const auto sent = ::sendto(
            call.rtp,
            packet.data(),
            packet.size(),
            0,
            reinterpret_cast<const sockaddr*>(&call.media),  // NOLINT
            sizeof call.media
        );
        if (sent > 0) ++call.state.sent;
    }

    void receive_media(Call& call) const {
        std::array<std::uint8_t, 2048> packet;
        for (;;) {
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const auto got = ::recvfrom(
                call.rtp,
                packet.data(),
                packet.size(),
                0,
                reinterpret_cast<sockaddr*>(&from),  // NOLINT
                &size
            );
            if (got < 0) return;
            const bool rtp = got >= 12 && packet[0] >> 6 == 2 && (packet[1] & 0x7F) == 0;
            if (!rtp || from.sin_port != call.media.sin_port) continue;
            const auto number = static_cast<std::uint16_t>(read(&packet[2], 2));
            const auto ssrc = read(&packet[8], 4);
            ++call.state.received;
            if (!call.heard || ssrc != call.their_ssrc) {
                ++call.state.streams;
                call.heard = true;
                call.their_ssrc = ssrc;
                call.next = number;
            }
            const auto ahead = static_cast<std::uint16_t>(number - call.next);
            if (ahead >= 0x8000) {
                ++call.state.repeated;
                continue;
            }
            call.state.lost += ahead;
            call.next = static_cast<std::uint16_t>(number + 1);
        }
    }

    void run() {
        auto next_packet = Time::now();
        while (!stop_) {
            std::vector<pollfd> ready;
            {
                const std::lock_guard lock{mutex_};
                ready.push_back({sip_, POLLIN, 0});
                for (const auto& call : calls_)
                    ready.push_back({call->rtp, POLLIN, 0});
            }
            ::poll(ready.data(), ready.size(), 5);
            const std::lock_guard lock{mutex_};
            std::array<char, 8192> message;
            for (;;) {
                const auto got = ::recv(sip_, message.data(), message.size(), 0);
                if (got <= 0) break;
                on_message({message.data(), static_cast<std::size_t>(got)});
            }
            const auto now = Time::now();
            for (const auto& call : calls_) {
                receive_media(*call);
                if (call->resend == Time::time_point{} || now < call->resend) continue;
                send(call->invite, servers_[call->trying]);
                call->resend = now + std::chrono::seconds{1};
            }
            for (; next_packet <= now; next_packet += std::chrono::milliseconds{20}) {
                for (const auto& call : calls_) {
                    if (call->state.answered && !call->state.over && !call->ending) {
                        send_media(*call);
                    }
                }
            }
        }
    }

    const std::vector<std::uint16_t> servers_;
    const int sip_;
    const std::uint16_t port_;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Call>> calls_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace oavc::test
