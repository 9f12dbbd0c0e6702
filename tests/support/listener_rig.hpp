#pragma once

#include "async/awaitable.hpp"
#include "async/shard_pool.hpp"
#include "base/bytes.hpp"
#include "media/g711.hpp"
#include "media/rtp.hpp"
#include "support/fake_opensips.hpp"
#include "transports/listener.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/transport.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::test {

/// Plays the pipeline: answers, listens, speaks a constant level that is easy to recognise, and
/// notes what it is told.
class AnsweringPipeline final : public transports::CallHandler,
                                private transports::AdmissionSlot::Owner {
public:
    static constexpr media::Sample our_level = 8000;

    struct Call final : transports::MediaSink {
        std::unique_ptr<transports::Transport> transport;
        async::Shard* shard{nullptr};
        std::atomic<int> loud_frames{0};
        std::atomic<int> frames{0};
        std::atomic<int> held{0};  ///< times
        std::atomic<int> resumed{0};
        std::atomic<bool> connected{false};
        std::atomic<bool> right_rate{true};  ///< of every frame
        std::mutex mutex;
        std::string digits;
        std::optional<transports::MediaEnd> end;
        transports::MediaStats stats;
        error_code failure;  ///< to connect

        void on_frame(media::FrameView frame, TimePoint, bool) noexcept override {
            ++frames;
            right_rate = right_rate && frame.rate == transport->format().rate;
            const auto peak = *std::max_element(frame.samples.begin(), frame.samples.end());
            if (peak > 1000) ++loud_frames;
        }
        void on_tick(TimePoint) noexcept override {
            std::array<media::Sample, media::max_frame_samples> speech;
            speech.fill(our_level);
            const auto& format = transport->format();
            const auto frame = media::Samples{speech}.first(format.samples_per_frame());
            while (transport->send_room() > 0)
                transport->send_audio({frame, format.rate});
        }
        void on_digit(char digit, transports::DigitSource) noexcept override {
            const std::lock_guard lock{mutex};
            digits += digit;
        }
        void on_hold(bool is_held) noexcept override { ++(is_held ? held : resumed); }
    };

    Result<transports::AdmissionSlot, transports::Refusal>
    admit(const transports::CallOffer&) noexcept override {
        if (active_.load() >= limit.load()) return transports::Refusal::full;
        ++active_;
        return transports::AdmissionSlot{*this};
    }

    asio::awaitable<void> run_call(
        async::Shard& shard,
        std::unique_ptr<transports::Transport> transport,
        transports::AdmissionSlot slot
    ) override {
        auto call = std::make_shared<Call>();
        call->shard = &shard;
        call->transport = std::move(transport);
        {
            const std::lock_guard lock{mutex_};
            calls_.push_back(call);
        }
        changed_.notify_all();
        if (reject_with != 0) {
            co_await call->transport->reject(reject_with, "");
        } else if (const auto connected = co_await call->transport->connect()) {
            call->connected = true;
            const auto end = co_await call->transport->receive_audio(*call);
            {
                const std::lock_guard lock{call->mutex};
                call->end = end;
                call->stats = call->transport->stats();
            }
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            co_await call->transport->hang_up();
        } else {
            const std::lock_guard lock{call->mutex};
            call->failure = connected.error();
            call->end = transports::MediaEnd{
                transports::EndReason::protocol_error, connected.error().message()};
        }
        // Whoever waits for a wish on this shard is woken before the transport goes.
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await boost::asio::post(shard.context(), boost::asio::use_awaitable);
        call->transport.reset();
        slot = {};
        ++finished_;
        changed_.notify_all();
    }

    std::shared_ptr<Call> wait_for_call(std::size_t index = 0) {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return calls_.size() > index; });
        return calls_.size() > index ? calls_[index] : nullptr;
    }
    bool wait_until_finished(int count = 1) {
        std::unique_lock lock{mutex_};
        // The counter is not changed under the lock: look again now and then.
        for (int i = 0; i < 2000 && finished_.load() < count; ++i)
            changed_.wait_for(lock, std::chrono::milliseconds{10});
        return finished_.load() >= count;
    }
    int active() const { return active_.load(); }

    std::atomic<int> limit{100};
    std::atomic<int> reject_with{0};

private:
    void release_slot() noexcept override { --active_; }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<Call>> calls_;
    std::atomic<int> active_{0};
    std::atomic<int> finished_{0};
};

/// The media of a phone: an RTP socket and what it sends, PCMU and telephone-event 101.
struct RtpPhone {
    UdpPeer rtp;
    std::uint16_t sequence{1000};
    std::uint32_t timestamp{0};

    /// 20 ms of loud audio.
    void speak(std::uint16_t to, const UdpPeer* from = nullptr) {
        std::array<std::byte, 160> payload;
        payload.fill(std::byte{0x90});  // µ-law, far from silence
        send(0, payload, to, from);
        timestamp += 160;
    }
    /// Speaks until `condition` holds. False: it did not come to that.
    template <class Condition>
    bool speak_until(std::uint16_t to, Condition condition) {
        for (int i = 0; i < 500; ++i) {
            if (condition()) return true;
            speak(to);
            (void)rtp.receive(std::chrono::milliseconds{100});  // our packets are the clock
        }
        return condition();
    }
    void press(int event, std::uint16_t to) {
        for (const unsigned end : {0u, 0x80u, 0x80u}) {
            const std::array payload{
                std::byte(event), std::byte(end | 10), std::byte{2}, std::byte{0x80}};
            send(101, payload, to);
        }
        timestamp += 640;
    }
    void send(
        std::uint8_t type,
        std::span<const std::byte> payload,
        std::uint16_t to,
        const UdpPeer* from = nullptr
    ) {
        media::RtpPacketView packet;
        packet.payload_type = {type};
        packet.sequence_number = sequence++;
        packet.timestamp = {timestamp};
        packet.ssrc = {77};
        packet.payload = payload;
        std::array<std::byte, 800> buffer;
        const auto datagram = media::build_rtp(packet, buffer);
        (from != nullptr ? *from : rtp).send(as_text(*datagram), to);
    }

    /// Whether a packet with our speech (or, if not `loud`, silence) comes in time.
    bool hears(bool loud, const UdpPeer* at = nullptr, int most = 300) const {
        const auto& socket = at != nullptr ? *at : rtp;
        for (int i = 0; i < most; ++i) {
            const auto got = socket.receive();
            if (!got) return false;
            const auto packet = media::parse_rtp(as_bytes(got->datagram));
            if (!packet || packet->payload.size() != 160) continue;
            std::array<media::Sample, 160> samples;
            media::g711::ulaw_decode(packet->payload, samples);
            const auto level = *std::max_element(samples.begin(), samples.end());
            if (loud == (level > AnsweringPipeline::our_level / 2)) return true;
        }
        return false;
    }
};

/// What every listener of RTP calls is tested with. Whoever derives stops its listener in its
/// destructor.
class ListenerTest : public testing::Test {
protected:
    using Pipeline = AnsweringPipeline;

    ListenerTest() {
        rtp_config.bind_ip = "127.0.0.1";
        rtp_config.port_start = some_port();
        rtp_config.port_end = static_cast<std::uint16_t>(rtp_config.port_start + 39);
        shards.start();
    }
    ~ListenerTest() override {
        shards.drain_and_join();
        EXPECT_EQ(pipeline.active(), 0);
    }
    void open_ports() {
        ports.emplace(
            boost::asio::ip::make_address(rtp_config.bind_ip),
            rtp_config.port_start,
            rtp_config.port_end
        );
    }
    /// Looks every 10 ms, for 20 s at most.
    template <class Condition>
    static bool comes_true(Condition condition) {
        for (int i = 0; i < 2000 && !condition(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        return condition();
    }
    template <class Work>
    static auto on_shard(async::Shard& shard, Work work) {
        return asio::co_spawn(shard.context(), std::move(work), boost::asio::use_future);
    }

    transports::rtp::Config rtp_config;
    async::ShardPool shards{2};
    AnsweringPipeline pipeline;
    std::optional<transports::rtp::RtpPorts> ports;

private:
    /// An even port with free neighbours, as far as one can tell.
    static std::uint16_t some_port() {
        for (;;) {
            const UdpPeer probe;
            if (probe.port() < 65'000)
                return static_cast<std::uint16_t>((probe.port() + 2) / 2 * 2);
        }
    }
};

}  // namespace oavc::test
