// The whole transport over real loopback UDP, against a fake OpenSIPS and a fake caller.
#include "async/shard_pool.hpp"
#include "base/bytes.hpp"
#include "media/g711.hpp"
#include "media/rtp.hpp"
#include "sip/sdp.hpp"
#include "support/fake_opensips.hpp"
#include "transports/errors.hpp"
#include "transports/opensips/opensips_listener.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace oavc::transports::opensips {
namespace {

using test::FakeOpensips;
using test::UdpPeer;

/// Plays the pipeline: answers, listens, and speaks a constant level that is easy to recognise.
class Pipeline final : public CallHandler, private AdmissionSlot::Owner {
public:
    static constexpr media::Sample our_level = 8000;

    struct Call final : MediaSink {
        std::unique_ptr<Transport> transport;
        async::Shard* shard{nullptr};
        std::atomic<int> loud_frames{0};
        std::atomic<int> frames{0};
        std::atomic<int> held{0};  ///< times
        std::atomic<int> resumed{0};
        std::atomic<bool> connected{false};
        std::atomic<bool> right_rate{true};  ///< of every frame
        std::mutex mutex;
        std::string digits;
        std::optional<MediaEnd> end;
        MediaStats stats;

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
        void on_digit(char digit, DigitSource) noexcept override {
            const std::lock_guard lock{mutex};
            digits += digit;
        }
        void on_hold(bool is_held) noexcept override { ++(is_held ? held : resumed); }
    };

    Result<AdmissionSlot, Refusal> admit(const CallOffer&) noexcept override {
        if (active_.load() >= limit.load()) return Refusal::full;
        ++active_;
        return AdmissionSlot{*this};
    }

    asio::awaitable<void> run_call(
        async::Shard& shard, std::unique_ptr<Transport> transport, AdmissionSlot slot
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
            call->end = MediaEnd{EndReason::protocol_error, connected.error().message()};
        }
        call->transport.reset();
        slot = {};
        ++finished_;
        changed_.notify_all();
    }

    std::shared_ptr<Call> wait_for_call(std::size_t index = 0) {
        std::unique_lock lock{mutex_};
        changed_.wait_for(lock, std::chrono::seconds{10}, [&] { return calls_.size() > index; });
        return calls_.size() > index ? calls_[index] : nullptr;
    }
    bool wait_until_finished(int count = 1) {
        std::unique_lock lock{mutex_};
        // The counter is not changed under the lock: look again now and then.
        for (int i = 0; i < 1000 && finished_.load() < count; ++i) {
            changed_.wait_for(lock, std::chrono::milliseconds{10});
        }
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

/// The caller's phone: an RTP socket and what it sends.
struct Phone {
    UdpPeer rtp;
    std::uint16_t sequence{1000};
    std::uint32_t timestamp{0};

    std::string sdp(const std::string& more = "", int port = 0, int version = 1) const {
        return "v=0\r\no=caller 100 " + std::to_string(version) +
               " IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio " +
               std::to_string(port == 0 ? rtp.port() : port) +
               " RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n" + more;
    }

    /// 20 ms of loud audio.
    void speak(std::uint16_t to, const UdpPeer* from = nullptr) {
        std::array<std::byte, 160> payload;
        payload.fill(std::byte{0x90});  // µ-law, far from silence
        send(0, payload, to, from);
        timestamp += 160;
    }
    void press(int event, std::uint16_t to) {
        for (const unsigned end : {0u, 0x80u, 0x80u}) {
            const std::array payload{
                std::byte(event), std::byte(end | 10), std::byte{2}, std::byte{0x80}};
            send(101, payload, to, nullptr);
        }
        timestamp += 640;
    }
    void send(
        std::uint8_t type, std::span<const std::byte> payload, std::uint16_t to, const UdpPeer* from
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
            if (loud == (level > Pipeline::our_level / 2)) return true;
        }
        return false;
    }
};

std::uint16_t answered_port(const FakeOpensips::Request& request) {
    const auto sdp = sip::parse_sdp(request.text("body"));
    return sdp && !sdp->media.empty() ? sdp->media[0].port : std::uint16_t{0};
}

/// An even port with free neighbours, as far as one can tell.
std::uint16_t some_port() {
    for (;;) {
        const UdpPeer probe;
        if (probe.port() < 65'000) return static_cast<std::uint16_t>((probe.port() + 2) / 2 * 2);
    }
}

class OpensipsListenerTest : public testing::Test {
protected:
    OpensipsListenerTest() {
        config.event_ip = "127.0.0.1";
        config.event_port = 0;
        config.mi_port = opensips.mi_port();
        config.mi_timeout = 200ms;
        config.subscribe_expire = std::chrono::seconds{1};  // a round every 333 ms
        config.subscribe_retry = 50ms;
        rtp_config.bind_ip = "127.0.0.1";
        rtp_config.port_start = some_port();
        rtp_config.port_end = static_cast<std::uint16_t>(rtp_config.port_start + 39);
        shards.start();
    }
    ~OpensipsListenerTest() override {
        if (listener) listener->stop();
        listener.reset();
        shards.drain_and_join();
        EXPECT_EQ(pipeline.active(), 0);
    }

    void start() {
        ports.emplace(
            boost::asio::ip::make_address(rtp_config.bind_ip),
            rtp_config.port_start,
            rtp_config.port_end
        );
        listener = std::make_unique<OpensipsListener>(
            config, rtp_config, *ports, shards, pipeline, log::Logger{}
        );
        listener->start();
        ASSERT_TRUE(opensips.wait_for_subscriber());
    }

    /// An answered call with audio in both directions.
    struct Up {
        std::string key;
        std::uint16_t port;  ///< our RTP
        std::shared_ptr<Pipeline::Call> call;
    };
    Up call_up(std::size_t index = 0) {
        Up up;
        up.key = opensips.invite(phone.sdp());
        const auto reply = opensips.wait_for("ua_session_reply INVITE 200", up.key);
        EXPECT_TRUE(reply.has_value());
        if (!reply) return up;
        up.port = answered_port(*reply);
        up.call = pipeline.wait_for_call(index);
        phone.speak(up.port);
        EXPECT_TRUE(phone.hears(true));
        return up;
    }
    template <class Condition>
    bool speak_until(const Up& up, Condition condition) {
        for (int i = 0; i < 500; ++i) {
            if (condition()) return true;
            phone.speak(up.port);
            (void)phone.rtp.receive(100ms);  // our packets are the clock
        }
        return condition();
    }

    FakeOpensips opensips;
    Config config;
    rtp::Config rtp_config;
    async::ShardPool shards{2};
    Pipeline pipeline;
    Phone phone;
    std::optional<rtp::RtpPorts> ports;
    std::unique_ptr<OpensipsListener> listener;
};

TEST_F(OpensipsListenerTest, ACallIsAnsweredHeardBothWaysAndEndedByTheCaller) {
    start();
    const auto up = call_up();
    EXPECT_EQ(up.call->transport->info().to, "bot");
    EXPECT_EQ(up.call->transport->info().from, "caller@127.0.0.1");
    EXPECT_EQ(up.port % 2, 0);
    EXPECT_GE(up.port, rtp_config.port_start);
    EXPECT_LE(up.port, rtp_config.port_end);
    EXPECT_TRUE(speak_until(up, [&] { return up.call->loud_frames >= 5; }));
    phone.press(5, up.port);
    opensips.request(up.key, "INFO", "Signal=7\r\n", "Content-Type: application/dtmf-relay\r\n");
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INFO 200", up.key).has_value());
    EXPECT_TRUE(speak_until(up, [&] {
        const std::lock_guard lock{up.call->mutex};
        return up.call->digits == "57" || up.call->digits == "75";
    }));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::caller_hung_up);
    EXPECT_GE(up.call->stats.received, 5u);
    EXPECT_GE(up.call->stats.sent, 2u);
    EXPECT_EQ(up.call->stats.rejected, 0u);
    EXPECT_EQ(opensips.count("ua_session_terminate"), 0u);
    (void)listener->stats();  // lets the call's last message to shard 0 pass
    EXPECT_EQ(listener->stats().rtp_ports_in_use, 0u);
}

TEST_F(OpensipsListenerTest, AWidebandCallerIsHeardAndAnsweredInSixteenKilohertz) {
    start();
    const auto offer =
        "v=0\r\no=caller 100 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"
        "t=0 0\r\nm=audio " +
        std::to_string(phone.rtp.port()) + " RTP/AVP 97 0\r\na=rtpmap:97 L16/16000\r\n";
    const auto key = opensips.invite(offer);
    const auto reply = opensips.wait_for("ua_session_reply INVITE 200", key);
    ASSERT_TRUE(reply.has_value());
    EXPECT_NE(reply->text("body").find("a=rtpmap:97 L16/16000"), std::string::npos);
    const auto port = answered_port(*reply);
    const auto call = pipeline.wait_for_call();

    std::array<std::byte, 640> loud;
    loud.fill(std::byte{0x20});  // 8224 in network order
    bool heard_us = false;
    for (int i = 0; i < 500 && !(heard_us && call->loud_frames > 3); ++i) {
        phone.send(97, loud, port, nullptr);
        phone.timestamp += 320;
        const auto got = phone.rtp.receive(100ms);
        if (!got) continue;
        const auto packet = media::parse_rtp(as_bytes(got->datagram));
        if (!packet || packet->payload.size() != 640) continue;
        const auto high = std::to_integer<int>(packet->payload[200]);
        heard_us = heard_us || high == Pipeline::our_level >> 8;
    }
    EXPECT_TRUE(heard_us);
    EXPECT_GT(call->loud_frames, 3);
    EXPECT_EQ(call->transport->format().rate, wideband);
    EXPECT_TRUE(call->right_rate);
}

TEST_F(OpensipsListenerTest, HoldSilencesBothDirectionsUntilItIsResumed) {
    start();
    const auto up = call_up();
    opensips.clear_requests();
    opensips.reinvite(up.key, phone.sdp("a=sendonly\r\n", 0, 2));
    const auto hold = opensips.wait_for("ua_session_reply INVITE 200", up.key);
    ASSERT_TRUE(hold.has_value());
    EXPECT_NE(hold->text("body").find("a=recvonly"), std::string::npos);
    // What was sent before the hold may still lie in our socket; then there is nothing.
    while (phone.rtp.receive(100ms)) {
    }
    EXPECT_EQ(up.call->held, 1);
    const int frames = up.call->frames;
    for (int i = 0; i < 5; ++i)
        phone.speak(up.port);
    EXPECT_FALSE(phone.rtp.receive(100ms).has_value());
    EXPECT_EQ(up.call->frames, frames);
    opensips.clear_requests();
    opensips.reinvite(up.key, phone.sdp("", 0, 3));
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INVITE 200", up.key).has_value());
    EXPECT_TRUE(phone.hears(true));
    EXPECT_EQ(up.call->resumed, 1);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, ARestartOfOpensipsEndsItsCallsAndIsSubscribedToAgain) {
    start();
    const auto up = call_up();
    opensips.restart();
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::carrier_lost);
    ASSERT_TRUE(opensips.wait_for_subscriber());
    EXPECT_EQ(listener->stats().calls_lost, 1u);
    const auto next = call_up(1);
    EXPECT_NE(next.port, 0);
    opensips.bye(next.key);
    ASSERT_TRUE(pipeline.wait_until_finished(2));
}

TEST_F(OpensipsListenerTest, ACallThatCameWhileNobodyWasSubscribedIsAnswered) {
    const auto key = opensips.invite(phone.sdp());
    ASSERT_EQ(opensips.state(key), 1);
    start();
    const auto reply = opensips.wait_for("ua_session_reply INVITE 200", key);
    ASSERT_TRUE(reply.has_value());
    const auto call = pipeline.wait_for_call();
    // Its offer was never seen: we hear where its audio comes from.
    EXPECT_FALSE(phone.rtp.receive(60ms).has_value());
    phone.speak(answered_port(*reply));
    EXPECT_TRUE(phone.hears(true));
    EXPECT_EQ(listener->stats().adopted, 1u);
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::caller_hung_up);
}

TEST_F(OpensipsListenerTest, ACallThatWasCancelledWhileNobodyWasSubscribedIsFinished) {
    const auto key = opensips.invite(phone.sdp());
    opensips.cancel(key);
    start();
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 487", key).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(key));
}

TEST_F(OpensipsListenerTest, ASessionThatOpensipsEndedWithoutAnEventIsNoticed) {
    start();
    const auto up = call_up();
    const auto other = call_up(1);
    opensips.forget(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::carrier_lost);
    phone.rtp.drain();
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(other.key);
    ASSERT_TRUE(pipeline.wait_until_finished(2));
    EXPECT_EQ(other.call->end->reason, EndReason::caller_hung_up);
}

TEST_F(OpensipsListenerTest, GarbageToEveryPortChangesNothing) {
    start();
    const auto up = call_up();
    const auto mi_socket = opensips.wait_for("ua_session_reply INVITE 200")->from;
    const UdpPeer stranger;
    std::string noise;
    for (int i = 0; i < 3000; ++i)
        noise += static_cast<char>(i * 7919 >> 3);
    for (const std::size_t size : {0u, 1u, 2u, 11u, 12u, 28u, 172u, 1400u, 3000u}) {
        const auto bytes = std::string_view{noise}.substr(0, size);
        for (const int port :
             {int{listener->event_endpoint().port()}, int{mi_socket}, int{up.port}, up.port + 1}) {
            stranger.send(bytes, static_cast<std::uint16_t>(port));
        }
        opensips.send_event_bytes(std::string{bytes});
    }
    stranger.send(R"({"jsonrpc":"2.0","result":"OK","id":1})", mi_socket);
    EXPECT_TRUE(speak_until(up, [&, was = up.call->loud_frames.load()] {
        return up.call->loud_frames > was + 5;
    }));
    EXPECT_TRUE(phone.hears(true));
    const auto stats = listener->stats();
    EXPECT_GE(stats.broken_events, 18u);
    EXPECT_EQ(stats.calls, 1u);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::caller_hung_up);
    EXPECT_GE(up.call->stats.rejected, 9u);
}

TEST_F(OpensipsListenerTest, EventsFromOtherAddressesAreIgnored) {
    config.event_ip = "0.0.0.0";
    start();
    const UdpPeer stranger{"127.0.0.2"};
    stranger.send(
        FakeOpensips::event_text("B2B.1.1.1795338852.1", "NEW", "INVITE", phone.sdp()),
        listener->event_endpoint().port()
    );
    const auto up = call_up();  // comes after it
    EXPECT_EQ(listener->stats().foreign_events, 1u);
    EXPECT_EQ(listener->stats().calls, 1u);
    EXPECT_EQ(opensips.count("ua_session_reply INVITE 200"), 1u);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, TheCallersRealAddressIsLearnedOnceAndThenPinned) {
    start();
    const UdpPeer nat;  // where its packets really come from; the SDP names `phone.rtp`
    const UdpPeer stranger;
    const auto key = opensips.invite(phone.sdp());
    const auto port = answered_port(*opensips.wait_for("ua_session_reply INVITE 200", key));
    const auto call = pipeline.wait_for_call();
    EXPECT_TRUE(phone.hears(true));  // until something comes, the SDP's address is all we know
    stranger.send("not RTP", port);
    phone.speak(port, &nat);
    EXPECT_TRUE(phone.hears(true, &nat));
    for (int i = 0; i < 10; ++i) {
        phone.speak(port, &stranger);
        phone.speak(port, &nat);
    }
    EXPECT_TRUE(phone.hears(true, &nat));
    EXPECT_FALSE(stranger.receive(50ms).has_value());
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->stats.rejected, 11u);
    EXPECT_EQ(call->stats.received, 11u);
}

TEST_F(OpensipsListenerTest, AReinviteWithAnotherAddressIsFollowed) {
    start();
    const auto up = call_up();
    const UdpPeer elsewhere;
    opensips.clear_requests();
    opensips.reinvite(up.key, phone.sdp("", elsewhere.port(), 2));
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INVITE 200", up.key).has_value());
    EXPECT_TRUE(phone.hears(true, &elsewhere));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, WithoutRoomACallIsRefusedPolitely) {
    pipeline.limit = 0;
    start();
    const auto key = opensips.invite(phone.sdp());
    const auto reply = opensips.wait_for("ua_session_reply INVITE 503", key);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->text("extra_headers"), "Retry-After: 10\r\n");
    EXPECT_EQ(reply->text("body"), "");
    EXPECT_TRUE(reply->params.contains("content_type"));
    EXPECT_TRUE(opensips.wait_until_gone(key));
    pipeline.limit = 1;
    const auto up = call_up();
    const auto second = opensips.invite(phone.sdp());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 503", second).has_value());
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(listener->stats().refused_busy, 2u);
}

TEST_F(OpensipsListenerTest, WithoutPortsACallIsRefusedPolitely) {
    rtp_config.port_end = static_cast<std::uint16_t>(rtp_config.port_start + 1);
    const UdpPeer taken{"127.0.0.1", rtp_config.port_start};
    start();
    const auto key = opensips.invite(phone.sdp());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 503", key).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(key));
}

TEST_F(OpensipsListenerTest, AfterStopAcceptingNewCallsGet503AndRunningOnesGoOn) {
    start();
    const auto up = call_up();
    listener->stop_accepting();
    const auto second = opensips.invite(phone.sdp());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 503", second).has_value());
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::caller_hung_up);
}

TEST_F(OpensipsListenerTest, OffersWithNothingForUsNeverReachTheHandler) {
    start();
    const auto g729 = opensips.invite(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=audio 6000 RTP/AVP 18\r\n"
    );
    const auto none = opensips.invite("");
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 488", g729).has_value());
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 415", none).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(g729));
    EXPECT_TRUE(opensips.wait_until_gone(none));
    EXPECT_EQ(listener->stats().calls, 0u);
    EXPECT_EQ(listener->stats().refused_offers, 2u);
}

TEST_F(OpensipsListenerTest, TheHandlerMayRefuseACall) {
    pipeline.reject_with = 486;
    start();
    const auto key = opensips.invite(phone.sdp());
    const auto reply = opensips.wait_for("ua_session_reply INVITE 486", key);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->text("reason"), "Busy Here");
    EXPECT_TRUE(opensips.wait_until_gone(key));
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, WeHangUpByTerminatingTheSession) {
    start();
    const auto up = call_up();
    asio::co_spawn(up.call->shard->context(), up.call->transport->hang_up(), asio::use_future)
        .get();
    EXPECT_EQ(opensips.count("ua_session_terminate"), 1u);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::we_hung_up);
    EXPECT_EQ(opensips.state(up.key), std::nullopt);
}

TEST_F(OpensipsListenerTest, ATransferEndsTheCallOnceTheOtherSideHasTakenOver) {
    start();
    const auto up = call_up();
    auto transfer = asio::co_spawn(
        up.call->shard->context(), up.call->transport->transfer("agent"), asio::use_future
    );
    const auto refer = opensips.wait_for("ua_session_update REFER", up.key);
    ASSERT_TRUE(refer.has_value());
    EXPECT_NE(
        refer->text("extra_headers").find("Refer-To: <sip:agent@127.0.0.1>"), std::string::npos
    );
    opensips.reply_event(up.key, "ANSWERED", "REFER", 202);
    opensips.request(
        up.key,
        "NOTIFY",
        "SIP/2.0 200 OK\r\n",
        "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n"
    );
    EXPECT_TRUE(transfer.get().has_value());
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::transferred);
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", up.key).has_value());
}

TEST_F(OpensipsListenerTest, ADeclinedTransferLeavesTheCallUp) {
    start();
    const auto up = call_up();
    auto transfer = asio::co_spawn(
        up.call->shard->context(),
        up.call->transport->transfer("sip:agent@127.0.0.1"),
        asio::use_future
    );
    ASSERT_TRUE(opensips.wait_for("ua_session_update REFER", up.key).has_value());
    opensips.reply_event(up.key, "REJECTED", "REFER", 603);
    EXPECT_EQ(transfer.get().error(), CallControlErrc::busy);
    phone.rtp.drain();
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, PressesKeysOneByOneAndHoldsTheCaller) {
    start();
    const auto up = call_up();
    auto& transport = *up.call->transport;
    auto& context = up.call->shard->context();
    EXPECT_TRUE(transport.controls().hold);
    EXPECT_TRUE(transport.controls().send_digits);
    auto in_rtp = asio::co_spawn(context, transport.send_digits("1w#"), asio::use_future);
    std::vector<int> events;
    while (in_rtp.wait_for(0ms) != std::future_status::ready) {
        const auto got = phone.rtp.receive(100ms);
        if (!got) continue;
        const auto packet = media::parse_rtp(as_bytes(got->datagram));
        if (!packet || packet->payload_type.value != 101) continue;
        const auto event = std::to_integer<int>(packet->payload[0]);
        if (events.empty() || events.back() != event) events.push_back(event);
    }
    EXPECT_TRUE(in_rtp.get().has_value());
    EXPECT_EQ(events, (std::vector{1, 11}));

    // Who takes no keys in RTP gets them by INFO.
    auto without = phone.sdp("", 0, 2);
    without.erase(without.find(" 101"), 4);
    opensips.clear_requests();
    opensips.reinvite(up.key, without);
    ASSERT_TRUE(opensips.wait_for("ua_session_reply INVITE 200", up.key).has_value());
    auto digits = asio::co_spawn(context, transport.send_digits("1w#"), asio::use_future);
    for (const char* key : {"1", "#"}) {
        const auto info = opensips.wait_for("ua_session_update INFO", up.key);
        ASSERT_TRUE(info.has_value());
        EXPECT_EQ(info->text("body").substr(0, 8), std::string{"Signal="} + key);
        opensips.clear_requests();
        opensips.reply_event(up.key, "ANSWERED", "INFO", 200);
    }
    EXPECT_TRUE(digits.get().has_value());

    auto hold = asio::co_spawn(context, transport.hold(true), asio::use_future);
    const auto reinvite = opensips.wait_for("ua_session_update INVITE", up.key);
    ASSERT_TRUE(reinvite.has_value());
    EXPECT_NE(reinvite->text("body").find("a=sendonly"), std::string::npos);
    opensips.reply_event(up.key, "REJECTED", "INVITE", 488);
    EXPECT_EQ(hold.get().error(), CallControlErrc::refused);
    opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(OpensipsListenerTest, ACallerWhoSendsNoMediaAnyMoreIsHungUpOn) {
    rtp_config.media_timeout = std::chrono::seconds{1};
    start();
    const auto up = call_up();
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(up.call->end->reason, EndReason::media_timeout);
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", up.key).has_value());
}

TEST_F(OpensipsListenerTest, RequestsOfCallsThatNobodyKnowsAreAnswered) {
    start();
    const std::string key = "B2B.9.9.1795338852.9";
    opensips.request(key, "INFO", "x", "");
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INFO 481", key).has_value());
    opensips.cancel(key);
    EXPECT_TRUE(opensips.wait_for("ua_session_reply INVITE 487", key).has_value());
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", key).has_value());
}

TEST_F(OpensipsListenerTest, StopHangsUpWhatIsLeftAndUnsubscribes) {
    start();
    const auto up = call_up();
    listener->stop();
    EXPECT_EQ(pipeline.active(), 0);
    EXPECT_EQ(opensips.state(up.key), std::nullopt);
    EXPECT_EQ(up.call->end->reason, EndReason::we_hung_up);
    EXPECT_EQ(opensips.subscriber(), std::nullopt);
    listener->stop();  // once more does no harm
}

TEST_F(OpensipsListenerTest, StopReturnsEvenIfOpensipsIsDown) {
    config.mi_timeout = 20ms;
    start();
    const auto up = call_up();
    opensips.set_answering(false);
    listener->stop();
    EXPECT_EQ(pipeline.active(), 0);
}

TEST_F(OpensipsListenerTest, TwoServersOnOnePortGetAClearError) {
    start();
    auto second_config = config;
    second_config.event_port = listener->event_endpoint().port();
    OpensipsListener second{second_config, rtp_config, *ports, shards, pipeline, log::Logger{}};
    try {
        second.start();
        FAIL();
    } catch (const std::runtime_error& error) {
        const std::string what = error.what();
        EXPECT_NE(what.find("is in use"), std::string::npos) << what;
        EXPECT_NE(what.find("event_port"), std::string::npos) << what;
    }
}

TEST_F(OpensipsListenerTest, ABrokenConfigurationIsToldBeforeAnythingStarts) {
    config.mi_ip = "opensips.example.org";
    rtp::RtpPorts none{boost::asio::ip::address{}, 1, 1};
    OpensipsListener broken{config, rtp_config, none, shards, pipeline, log::Logger{}};
    EXPECT_THROW(broken.start(), std::runtime_error);
    config.mi_ip = "127.0.0.1";
    rtp_config.bind_ip = "rtp.example.org";
    OpensipsListener no_media{config, rtp_config, none, shards, pipeline, log::Logger{}};
    EXPECT_THROW(no_media.start(), std::runtime_error);
}

TEST_F(OpensipsListenerTest, ManyCallsAtOnceKeepTheirAudioApart) {
    start();
    constexpr std::size_t count = 8;
    std::vector<std::unique_ptr<Phone>> phones;
    std::vector<Up> ups;
    for (std::size_t i = 0; i < count; ++i) {
        phones.push_back(std::make_unique<Phone>());
        Up up;
        up.key = opensips.invite(phones[i]->sdp());
        const auto reply = opensips.wait_for("ua_session_reply INVITE 200", up.key);
        ASSERT_TRUE(reply.has_value());
        up.port = answered_port(*reply);
        ups.push_back(up);
    }
    std::set<std::uint16_t> ports;
    for (std::size_t i = 0; i < count; ++i) {
        ports.insert(ups[i].port);
        EXPECT_TRUE(phones[i]->hears(true));
        for (int n = 0; n < 4; ++n) {
            const auto got = phones[i]->rtp.receive();
            ASSERT_TRUE(got.has_value());
            EXPECT_EQ(got->port, ups[i].port);
        }
    }
    EXPECT_EQ(ports.size(), count);
    for (const auto& up : ups)
        opensips.bye(up.key);
    ASSERT_TRUE(pipeline.wait_until_finished(count));
}

// --- Calls that we place ---

class OpensipsDialTest : public OpensipsListenerTest {
protected:
    OpensipsDialTest() { config.dial_domain = "gateway.example.test"; }

    void start() {
        OpensipsListenerTest::start();
        while (!listener->stats().subscribed) {
            std::this_thread::sleep_for(2ms);
        }
    }

    std::future<Result<Dialled>> dial(const std::string& to = "+902125550111") {
        DialRequest request;
        request.id = "0123456789abcdef";
        request.to = to;
        request.patience = std::chrono::seconds{30};
        auto& shard = shards[1];
        return asio::co_spawn(
            shard.context(), listener->dialer()->dial(shard, std::move(request)), asio::use_future
        );
    }
};

TEST_F(OpensipsDialTest, ACallIsPlacedAnsweredHeardAndEnded) {
    start();
    auto dialled = dial();
    const auto key = opensips.wait_for_dial();
    const auto invite = opensips.wait_for("ua_session_client_start");
    ASSERT_TRUE(invite.has_value());
    EXPECT_EQ(invite->text("ruri"), "sip:+902125550111@gateway.example.test");
    EXPECT_EQ(invite->text("from"), "sip:oavc@gateway.example.test");
    opensips.ring(key);
    const auto placed = dialled.get();
    ASSERT_TRUE(placed) << placed.error().message();
    EXPECT_EQ(placed->via, "opensips");
    EXPECT_EQ(placed->native_id, key);
    const auto call = pipeline.wait_for_call();
    ASSERT_NE(call, nullptr);
    EXPECT_FALSE(call->connected);
    EXPECT_TRUE(call->transport->info().outgoing);
    EXPECT_EQ(call->transport->info().id, "0123456789abcdef");
    opensips.answer(key, phone.sdp());
    const Up up{key, answered_port(*invite), call};
    EXPECT_TRUE(speak_until(up, [&] { return call->loud_frames >= 5; }));
    EXPECT_TRUE(phone.hears(true));
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::caller_hung_up);
    (void)listener->stats();
    EXPECT_EQ(listener->stats().rtp_ports_in_use, 0u);
}

TEST_F(OpensipsDialTest, AnEventThatOvertakesTheKeyIsNotLost) {
    opensips.set_hasty(true);
    start();
    const auto placed = dial().get();
    ASSERT_TRUE(placed) << placed.error().message();
    const auto key = opensips.wait_for_dial();
    opensips.answer(key, phone.sdp());
    const auto call = pipeline.wait_for_call();
    const Up up{key, answered_port(*opensips.wait_for("ua_session_client_start")), call};
    EXPECT_TRUE(speak_until(up, [&] { return call->loud_frames >= 1; }));
    opensips.bye(key);
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(listener->stats().orphans, 0u);
}

TEST_F(OpensipsDialTest, TellsWhatBecameOfTheRinging) {
    start();
    auto busy = dial();
    opensips.reject(opensips.wait_for_dial(), 486);
    EXPECT_EQ(busy.get().error(), CallControlErrc::busy) << "at once: nothing is left of it";
    opensips.refuse_calls(true);
    EXPECT_EQ(dial().get().error(), CallControlErrc::unavailable);
    EXPECT_EQ(dial("sip:").get().error(), CallControlErrc::bad_target);
    pipeline.limit = 0;
    EXPECT_EQ(dial("sip:alice@127.0.0.1").get().error(), CallControlErrc::no_capacity);
    (void)listener->stats();
    EXPECT_EQ(listener->stats().rtp_ports_in_use, 0u);
}

TEST_F(OpensipsDialTest, WithoutADomainOnlyAddressesAreCalled) {
    config.dial_domain.clear();
    start();
    EXPECT_EQ(dial().get().error(), CallControlErrc::unavailable);
    auto address = dial("sip:alice@127.0.0.1:5080");
    opensips.reject(opensips.wait_for_dial(), 404);
    EXPECT_EQ(address.get().error(), CallControlErrc::not_found);
}

TEST_F(OpensipsDialTest, StoppingCancelsWhatRings) {
    start();
    auto dialled = dial();
    const auto key = opensips.wait_for_dial();
    opensips.ring(key);
    ASSERT_TRUE(dialled.get());
    ASSERT_NE(pipeline.wait_for_call(), nullptr);
    listener->stop();
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", key).has_value());
    EXPECT_TRUE(opensips.wait_until_gone(key));
}

TEST_F(OpensipsDialTest, ACallOfAnEarlierLifeIsHungUp) {
    start();
    auto dialled = dial();
    const auto key = opensips.wait_for_dial();
    opensips.ring(key);
    ASSERT_TRUE(dialled.get());
    // Another key rings that nobody here has asked for.
    const std::string stranger = "B2B.9.9.9.9";
    opensips.send_event_bytes(
        FakeOpensips::event_text(stranger, "EARLY", "INVITE", "", "", 180, "UAC")
    );
    EXPECT_TRUE(opensips.wait_for("ua_session_terminate", stranger).has_value());
    EXPECT_EQ(listener->stats().orphans, 1u);
}

TEST_F(OpensipsDialTest, NobodyIsCalledWhileOpensipsIsSilent) {
    start();
    opensips.set_answering(false);
    while (listener->stats().subscribed) {
        std::this_thread::sleep_for(10ms);
    }
    EXPECT_EQ(dial().get().error(), CallControlErrc::unavailable);
}

}  // namespace
}  // namespace oavc::transports::opensips
