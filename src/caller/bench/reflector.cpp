#include "caller/bench/reflector.hpp"

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "caller/bench/process.hpp"
#include "caller/phone_sdp.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/mi_protocol.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace oavc::caller::bench {

namespace {

namespace mi = transports::opensips;

constexpr auto renewal = 20s;
constexpr std::int64_t subscription_seconds = 60;

class Reflector {
public:
    explicit Reflector(std::uint16_t mi_port) : epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
        opensips_.sin_family = AF_INET;
        opensips_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        opensips_.sin_port = htons(mi_port);
        mi_ = open_socket();
        events_ = open_socket();
        watch(mi_);
        watch(events_);
    }

    [[noreturn]] void run() {
        TimePoint renewed{};
        std::array<epoll_event, 64> ready{};
        for (;;) {
            if (Clock::now() - renewed >= renewal) {
                renewed = Clock::now();
                const auto socket = fmt::format("udp:127.0.0.1:{}", port_of(events_));
                send(mi::event_subscribe(mi::ua_session_event, socket, subscription_seconds));
            }
            const int count =
                ::epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 1000);
            for (int i = 0; i < count; ++i)
                take(ready[static_cast<std::size_t>(i)].data.fd);
        }
    }

private:
    static int open_socket() {
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);  // NOLINT
        return fd;
    }
    static std::uint16_t port_of(int fd) {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);  // NOLINT
        return ntohs(address.sin_port);
    }
    void watch(int fd) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }

    void send(const mi::MiCommand& command) {
        const auto request = mi::write_mi_request(++request_, command);
        if (request.has_error()) return;
        ::sendto(
            mi_,
            request->data(),
            request->size(),
            0,
            reinterpret_cast<const sockaddr*>(&opensips_),  // NOLINT
            sizeof opensips_
        );
    }

    void take(int fd) {
        sockaddr_in from{};
        socklen_t size = sizeof from;
        auto* const generic = reinterpret_cast<sockaddr*>(&from);  // NOLINT: the sockets API
        const auto got = ::recvfrom(fd, bytes_.data(), bytes_.size(), 0, generic, &size);
        if (got <= 0 || fd == mi_) return;  // what OpenSIPS answers does not matter here
        const std::span<const std::byte> datagram{bytes_.data(), static_cast<std::size_t>(got)};
        if (fd == events_) {
            on_event(datagram);
        } else {
            ::sendto(fd, datagram.data(), datagram.size(), 0, generic, size);
        }
    }

    void on_event(std::span<const std::byte> datagram) {
        const auto event = mi::parse_event(datagram);
        if (event.has_error()) return;
        if (event->type == mi::UaEventType::created) {
            const int fd = open_socket();
            if (fd < 0) {
                send(mi::ua_session_reply(event->key, "INVITE", 503, "Service Unavailable"));
                return;
            }
            watch(fd);
            calls_[event->key] = fd;
            mi::MiBody answer;
            answer.text = make_sdp_answer("127.0.0.1", port_of(fd), 0);
            send(mi::ua_session_reply(event->key, "INVITE", 200, "OK", answer));
        } else if (event->type == mi::UaEventType::terminated) {
            const auto call = calls_.find(event->key);
            if (call == calls_.end()) return;
            ::close(call->second);
            calls_.erase(call);
        }
    }

    const int epoll_;
    int mi_{-1};
    int events_{-1};
    sockaddr_in opensips_{};
    std::uint32_t request_{0};
    std::unordered_map<std::string, int> calls_;
    std::vector<std::byte> bytes_ = std::vector<std::byte>(mi::max_datagram);
};

}  // namespace

int run_reflector(std::uint16_t mi_port) {
    raise_file_limit();
    Reflector{mi_port}.run();
}

}  // namespace oavc::caller::bench
