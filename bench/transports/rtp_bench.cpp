// What one packet of a call in and one out cost the server: CPU of the thread that serves, over
// real loopback sockets, as a leg of ours does it and as a reflector without any logic does: the
// floor.

#include "benchmark/benchmark.h"
#include "media/rtp.hpp"
#include "transports/rtp/rtp_leg.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

using namespace oavc;
using namespace oavc::transports;

constexpr std::uint16_t first_port = 20'000;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int udp_socket(std::uint16_t port = 0) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const auto address = loopback(port);
    if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error{"no socket; ulimit -n?"};
    }
    return fd;
}

std::chrono::nanoseconds thread_cpu() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// Callers on a thread of their own: one packet of G.711 each per 20 ms, spread over the time.
class Callers {
public:
    explicit Callers(const std::vector<std::uint16_t>& ports) {
        for (const auto port : ports) {
            const int fd = udp_socket();
            const auto to = loopback(port);
            ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
            sockets_.push_back(fd);
        }
        thread_ = std::thread{[this] { run(); }};
    }
    Callers(const Callers&) = delete;
    Callers& operator=(const Callers&) = delete;
    ~Callers() {
        stop_ = true;
        thread_.join();
        for (const int fd : sockets_)
            ::close(fd);
    }

    std::uint64_t sent() const { return sent_; }
    std::uint64_t received() const { return received_; }

private:
    void run() {
        std::array<std::byte, 172> packet;
        std::array<std::byte, 160> speech;
        speech.fill(std::byte{0x55});
        std::array<std::byte, 2048> answer;
        media::RtpPacketView view;
        view.payload = speech;
        view.ssrc = {1};
        auto next = Clock::now();
        for (std::uint32_t round = 0; !stop_; ++round) {
            const auto slice = round % 20;
            view.sequence_number = static_cast<std::uint16_t>(round / 20);
            view.timestamp = {round / 20 * 160};
            static_cast<void>(media::build_rtp(view, packet));
            for (std::size_t i = slice; i < sockets_.size(); i += 20) {
                while (::recv(sockets_[i], answer.data(), answer.size(), 0) > 0)
                    ++received_;
                if (::send(sockets_[i], packet.data(), packet.size(), MSG_NOSIGNAL) > 0) ++sent_;
            }
            next += milliseconds{1};
            std::this_thread::sleep_until(next);
        }
    }

    std::vector<int> sockets_;
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> sent_{0};
    std::atomic<std::uint64_t> received_{0};
    std::thread thread_;
};

/// The floor: waits for all sockets, and sends back what comes.
class Reflector {
public:
    explicit Reflector(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const auto port = static_cast<std::uint16_t>(first_port + 2 * i);
            const int fd = udp_socket(port);
            watch(fd);
            sockets_.push_back(fd);
            ports.push_back(port);
        }
        watch(ask_);
        thread_ = std::thread{[this] { run(); }};
    }
    Reflector(const Reflector&) = delete;
    Reflector& operator=(const Reflector&) = delete;
    ~Reflector() {
        stop_ = true;
        ::eventfd_write(ask_, 1);
        thread_.join();
        for (const int fd : sockets_)
            ::close(fd);
        ::close(ask_);
        ::close(epoll_);
    }

    std::chrono::nanoseconds cpu() {
        const auto before = answers_.load();
        ::eventfd_write(ask_, 1);
        while (answers_ == before)
            std::this_thread::yield();
        return std::chrono::nanoseconds{cpu_};
    }

    std::vector<std::uint16_t> ports;

private:
    void watch(int fd) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }
    void run() {
        std::array<epoll_event, 64> events;
        std::array<std::byte, 2048> packet;
        while (!stop_) {
            const int count = ::epoll_wait(epoll_, events.data(), events.size(), -1);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<std::size_t>(i)].data.fd;
                if (fd == ask_) {
                    eventfd_t asked{};
                    ::eventfd_read(ask_, &asked);
                    cpu_ = thread_cpu().count();
                    ++answers_;
                    continue;
                }
                sockaddr_in from{};
                socklen_t length = sizeof from;
                auto* const name = reinterpret_cast<sockaddr*>(&from);
                const auto size = ::recvfrom(fd, packet.data(), packet.size(), 0, name, &length);
                if (size <= 0) continue;
                static_cast<void>(
                    ::sendto(fd, packet.data(), static_cast<std::size_t>(size), 0, name, length)
                );
            }
        }
    }

    int epoll_{::epoll_create1(EPOLL_CLOEXEC)};
    int ask_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    std::vector<int> sockets_;
    std::atomic<bool> stop_{false};
    std::atomic<std::int64_t> cpu_{0};
    std::atomic<std::uint64_t> answers_{0};
    std::thread thread_;
};

/// Who is called: hears every frame, and speaks all the time.
struct Person final : MediaSink, rtp::RtpLeg::Observer {
    rtp::RtpLeg* leg{nullptr};
    std::array<media::Sample, 160> speech{};

    void on_frame(media::FrameView frame, TimePoint, bool) noexcept override {
        benchmark::DoNotOptimize(frame.samples.data());
    }
    void on_tick(TimePoint) noexcept override {
        if (leg->send_room() > 0) leg->send_audio({speech, narrowband});
    }
    void on_digit(char, DigitSource) noexcept override {}
    void on_hold(bool) noexcept override {}
    void on_media_timeout() noexcept override {}
    void on_leg_tick(TimePoint) noexcept override {}
    void on_rtp_digit(char) noexcept override {}
};

class Legs {
public:
    explicit Legs(std::size_t count)
        : ports_{
              boost::asio::ip::make_address("127.0.0.1"),
              first_port,
              static_cast<std::uint16_t>(first_port + 2 * count + 1)} {
        for (std::size_t i = 0; i < count; ++i) {
            auto pair = ports_.allocate(Clock::now());
            if (!pair) throw std::runtime_error{pair.error().message()};
            ports.push_back(pair->port());
            people_.push_back(std::make_unique<Person>());
            rtp::RtpLeg::Observer& observer = *people_.back();
            legs_.push_back(std::make_unique<rtp::RtpLeg>(
                shard_, std::move(*pair), std::chrono::seconds{3'600}, observer
            ));
            people_.back()->leg = legs_.back().get();
        }
        shard_.start();
        on_shard([this] {
            for (std::size_t i = 0; i < legs_.size(); ++i) {
                auto audio = sip::assumed_audio(sip::AudioCodec::pcmu);
                legs_[i]->apply(audio);  // its address is learned
                legs_[i]->attach(*people_[i]);
            }
        });
    }
    Legs(const Legs&) = delete;
    Legs& operator=(const Legs&) = delete;
    ~Legs() {
        on_shard([this] { legs_.clear(); });
        shard_.stop();
    }

    std::chrono::nanoseconds cpu() {
        std::chrono::nanoseconds out{};
        on_shard([&out] { out = thread_cpu(); });
        return out;
    }
    std::vector<std::uint16_t> ports;

private:
    template <class Work>
    void on_shard(Work work) {
        std::promise<void> done;
        shard_.post([&] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }

    async::Shard shard_{0};
    rtp::RtpPorts ports_;
    std::vector<std::unique_ptr<Person>> people_;
    std::vector<std::unique_ptr<rtp::RtpLeg>> legs_;
};

/// An iteration is a second of all calls; its time is the server's CPU per packet there and back.
template <class Server>
void serve(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    Server server{count};
    const Callers callers{server.ports};
    std::this_thread::sleep_for(std::chrono::seconds{1});
    double busy = 0;
    double elapsed = 0;
    std::uint64_t lost = 0;
    for (auto _ : state) {
        const auto sent = callers.sent();
        const auto received = callers.received();
        const auto began = Clock::now();
        const auto cpu = server.cpu();
        std::this_thread::sleep_for(std::chrono::seconds{1});
        const auto used = std::chrono::duration<double>(server.cpu() - cpu).count();
        const auto packets = callers.sent() - sent;
        busy += used;
        elapsed += std::chrono::duration<double>(Clock::now() - began).count();
        lost += packets - std::min(packets, callers.received() - received);
        state.SetIterationTime(used / static_cast<double>(packets));
    }
    state.counters["core_share"] = busy / elapsed;
    state.counters["missing"] = static_cast<double>(lost);
}
BENCHMARK(serve<Reflector>)->Arg(100)->Arg(500)->Arg(1'500)->UseManualTime()->Iterations(3);
BENCHMARK(serve<Legs>)->Arg(100)->Arg(500)->Arg(1'500)->UseManualTime()->Iterations(3);

}  // namespace
