// The SIP user agent over real loopback sockets, against a phone that writes its messages itself.
#include "async/shard_pool.hpp"
#include "base/bytes.hpp"
#include "media/g711.hpp"
#include "media/rtp.hpp"
#include "sip/message.hpp"
#include "support/fake_opensips.hpp"
#include "transports/errors.hpp"
#include "transports/sip/sip_listener.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace oavc::transports::sip_ua {
namespace {

using test::UdpPeer;

/// Plays the pipeline: answers, speaks a constant level, and notes what it is told.
class Pipeline final : public CallHandler, private AdmissionSlot::Owner {
public:
    static constexpr media::Sample our_level = 8000;

    struct Call final : MediaSink {
        std::unique_ptr<Transport> transport;
        async::Shard* shard{nullptr};
        std::atomic<int> loud_frames{0};
        std::atomic<bool> connected{false};
        std::mutex mutex;
        std::string digits;
        std::optional<MediaEnd> end;
        error_code failure;

        void on_frame(media::FrameView frame, TimePoint, bool) noexcept override {
            const auto peak = *std::max_element(frame.samples.begin(), frame.samples.end());
            if (peak > 1000) ++loud_frames;
        }
        void on_tick(TimePoint) noexcept override {
            const auto rate = transport->format().rate;
            std::array<media::Sample, 960> speech;
            speech.fill(our_level);
            const media::Samples frame{speech.data(), samples_in(milliseconds{20}, rate)};
            while (transport->send_room() > 0)
                transport->send_audio({frame, rate});
        }
        void on_digit(char digit, DigitSource) noexcept override {
            const std::lock_guard lock{mutex};
            digits += digit;
        }
        void on_hold(bool) noexcept override {}
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
        const auto connected = co_await call->transport->connect();
        if (connected) {
            call->connected = true;
            const auto end = co_await call->transport->receive_audio(*call);
            {
                const std::lock_guard lock{call->mutex};
                call->end = end;
            }
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            co_await call->transport->hang_up();
        } else {
            call->failure = connected.error();
        }
        // Whoever waits for a wish on this shard is woken before the transport goes.
        co_await asio::post(shard.context(), asio::use_awaitable);
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
        for (int i = 0; i < 2000 && finished_.load() < count; ++i)
            changed_.wait_for(lock, std::chrono::milliseconds{10});
        return finished_.load() >= count;
    }
    int active() const { return active_.load(); }

    std::atomic<int> limit{100};

private:
    void release_slot() noexcept override { --active_; }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<Call>> calls_;
    std::atomic<int> active_{0};
    std::atomic<int> finished_{0};
};

/// A phone, or a proxy: a signalling and a media socket.
struct Phone {
    UdpPeer signalling;
    UdpPeer media;
    std::string tag{"phone"};
    std::string remote_tag;
    unsigned branch{0};
    std::uint32_t cseq{0};

    std::string sdp() const {
        return "v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
               "m=audio " +
               std::to_string(media.port()) +
               " RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(signalling.port()); }

    sip::Message request(const std::string& method, const std::string& protocol = "UDP") {
        sip::Message out;
        out.method = method;
        out.uri = "sip:bot@127.0.0.1";
        if (method != "ACK") ++cseq;
        out.add(
            "Via",
            "SIP/2.0/" + protocol + " " + address() + ";branch=z9hG4bK" + std::to_string(++branch)
        );
        out.add("Max-Forwards", "70");
        out.add("From", "<sip:caller@" + address() + ">;tag=" + tag);
        out.add("To", "<sip:bot@127.0.0.1>" + (remote_tag.empty() ? "" : ";tag=" + remote_tag));
        out.add("Call-ID", "call-" + std::to_string(signalling.port()));
        out.add("CSeq", std::to_string(cseq) + " " + method);
        out.add("Contact", "<sip:caller@" + address() + ">");
        return out;
    }
    sip::Message invite(const std::string& protocol = "UDP") {
        auto out = request("INVITE", protocol);
        out.set_body("application/sdp", sdp());
        return out;
    }
    sip::Message reply(const sip::Message& request, int status, bool with_sdp = false) const {
        auto out = sip::make_response(request, status, tag);
        out.add("Contact", "<sip:callee@" + address() + ">");
        if (with_sdp) out.set_body("application/sdp", sdp());
        return out;
    }
    void say(const sip::Message& message, std::uint16_t port) const {
        signalling.send(sip::write_message(message), port);
    }
    /// The next message; repetitions and 100 are passed over unless asked for.
    std::optional<sip::Message> hear(
        std::string_view method_or_status, std::chrono::milliseconds limit = 10s
    ) const {
        while (const auto got = signalling.receive(limit)) {
            auto parsed = sip::parse_message(got->datagram);
            if (!parsed) continue;
            const auto& message = parsed->message;
            const auto what =
                message.is_request() ? message.method : std::to_string(message.status);
            if (what == method_or_status) return std::move(parsed->message);
        }
        return std::nullopt;
    }
    static std::uint16_t media_port(const sip::Message& message) {
        const auto sdp = sip::parse_sdp(message.body);
        return sdp && !sdp->media.empty() ? sdp->media[0].port : std::uint16_t{0};
    }
    void speak(std::uint16_t to) {
        std::array<std::byte, 160> payload;
        payload.fill(std::byte{0x90});
        oavc::media::RtpPacketView packet;
        packet.payload_type = {0};
        packet.sequence_number = sequence_++;
        packet.timestamp = {timestamp_};
        packet.ssrc = {77};
        packet.payload = payload;
        timestamp_ += 160;
        std::array<std::byte, 300> buffer;
        const auto datagram = oavc::media::build_rtp(packet, buffer);
        media.send(as_text(*datagram), to);
    }
    bool hears_speech() const {
        for (int i = 0; i < 300; ++i) {
            const auto got = media.receive();
            if (!got) return false;
            const auto packet = oavc::media::parse_rtp(as_bytes(got->datagram));
            if (!packet || packet->payload.size() != 160) continue;
            std::array<oavc::media::Sample, 160> samples;
            oavc::media::g711::ulaw_decode(packet->payload, samples);
            if (*std::max_element(samples.begin(), samples.end()) > Pipeline::our_level / 2)
                return true;
        }
        return false;
    }

private:
    std::uint16_t sequence_{100};
    std::uint32_t timestamp_{0};
};

class SipListenerTest : public testing::Test {
protected:
    SipListenerTest() {
        config.bind_ip = "127.0.0.1";
        config.port = 0;
        rtp_config.bind_ip = "127.0.0.1";
        const UdpPeer probe;
        rtp_config.port_start = static_cast<std::uint16_t>(probe.port() / 2 * 2 - 400);
        rtp_config.port_end = static_cast<std::uint16_t>(rtp_config.port_start + 39);
        shards.start();
    }
    ~SipListenerTest() override {
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
        listener = std::make_unique<SipListener>(
            config, rtp_config, *ports, shards, pipeline, log::Logger{}
        );
        listener->start();
        port = listener->udp_endpoint().port();
    }
    /// An answered call; returns our RTP port.
    std::uint16_t call_up() {
        phone.say(phone.invite(), port);
        const auto ok = phone.hear("200");
        EXPECT_TRUE(ok);
        if (!ok) return 0;
        phone.remote_tag = ok->to().tag;
        phone.say(phone.request("ACK"), port);
        return Phone::media_port(*ok);
    }
    template <class Work>
    auto on_shard(async::Shard& shard, Work work) {
        return asio::co_spawn(shard.context(), std::move(work), asio::use_future);
    }

    Config config;
    rtp::Config rtp_config;
    async::ShardPool shards{2};
    Pipeline pipeline;
    Phone phone;
    std::optional<rtp::RtpPorts> ports;
    std::unique_ptr<SipListener> listener;
    std::uint16_t port{0};
};

TEST_F(SipListenerTest, ACallIsAnsweredHeardBothWaysAndEndedByTheCaller) {
    start();
    const auto rtp = call_up();
    ASSERT_NE(rtp, 0);
    const auto call = pipeline.wait_for_call();
    EXPECT_EQ(call->transport->info().to, "bot");
    EXPECT_EQ(call->transport->info().via, "sip");
    for (int i = 0; i < 500 && call->loud_frames < 5; ++i) {
        phone.speak(rtp);
        (void)phone.media.receive(100ms);  // our packets are the clock
    }
    EXPECT_GE(call->loud_frames, 5);
    EXPECT_TRUE(phone.hears_speech());
    auto info = phone.request("INFO");
    info.set_body("application/dtmf-relay", "Signal=7\r\n");
    phone.say(info, port);
    ASSERT_TRUE(phone.hear("200"));
    phone.say(phone.request("BYE"), port);
    ASSERT_TRUE(phone.hear("200"));
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::caller_hung_up);
    EXPECT_EQ(call->digits, "7");
    EXPECT_EQ(listener->stats().agent.calls, 0u);
}

TEST_F(SipListenerTest, HoldsTransfersAndHangsUp) {
    start();
    call_up();
    const auto call = pipeline.wait_for_call();
    for (int i = 0; i < 500 && !call->connected; ++i)
        std::this_thread::sleep_for(10ms);
    auto held = on_shard(*call->shard, call->transport->hold(true));
    const auto reinvite = phone.hear("INVITE");
    ASSERT_TRUE(reinvite);
    EXPECT_NE(reinvite->body.find("a=inactive"), std::string::npos);
    phone.say(phone.reply(*reinvite, 200, true), port);
    ASSERT_TRUE(phone.hear("ACK"));
    EXPECT_FALSE(held.get().has_error());
    auto transferred = on_shard(*call->shard, call->transport->transfer("1000"));
    const auto refer = phone.hear("REFER");
    ASSERT_TRUE(refer);
    EXPECT_EQ(refer->get("Refer-To"), "<sip:1000@127.0.0.1>");
    phone.say(phone.reply(*refer, 202), port);
    auto notify = phone.request("NOTIFY");
    notify.add("Event", "refer");
    notify.set_body("message/sipfrag", "SIP/2.0 486 Busy Here");
    phone.say(notify, port);
    EXPECT_EQ(transferred.get().error(), CallControlErrc::busy);
    listener->stop();
    EXPECT_TRUE(phone.hear("BYE"));
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(SipListenerTest, AsksTheTargetBeforeItJoinsItWithTheCaller) {
    start();
    call_up();
    const auto call = pipeline.wait_for_call();
    for (int i = 0; i < 500 && !call->connected; ++i)
        std::this_thread::sleep_for(10ms);
    Phone target;
    target.tag = "target";
    auto done = on_shard(
        *call->shard, call->transport->transfer_attended("sip:sales@" + target.address(), 10s)
    );
    const auto reinvite = phone.hear("INVITE");  // on hold
    ASSERT_TRUE(reinvite);
    phone.say(phone.reply(*reinvite, 200, true), port);
    // Without a proxy the target is asked by way of who called: the phone plays that proxy.
    const auto asked = phone.hear("INVITE");
    ASSERT_TRUE(asked);
    EXPECT_EQ(asked->uri, "sip:sales@" + target.address());
    phone.say(target.reply(*asked, 200, true), port);
    const auto refer = phone.hear("REFER");
    ASSERT_TRUE(refer);
    const auto refer_to = std::string{refer->get("Refer-To")};
    EXPECT_NE(refer_to.find("?Replaces="), std::string::npos) << refer_to;
    EXPECT_NE(refer_to.find("to-tag%3Dtarget"), std::string::npos) << refer_to;
    phone.say(phone.reply(*refer, 202), port);
    auto notify = phone.request("NOTIFY");
    notify.add("Event", "refer");
    notify.set_body("message/sipfrag", "SIP/2.0 200 OK");
    phone.say(notify, port);
    EXPECT_FALSE(done.get().has_error());
    EXPECT_TRUE(phone.hear("BYE"));
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(call->end->reason, EndReason::transferred);
}

/// A TCP connection of the phone.
class Stream {
public:
    explicit Stream(std::uint16_t port) : fd_{::socket(AF_INET, SOCK_STREAM, 0)} {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        open_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;  // NOLINT
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { ::close(fd_); }

    bool is_open() const { return open_; }
    void send(std::string_view bytes) const {
        EXPECT_EQ(
            ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size())
        );
    }
    /// What comes until `end` has come, or the connection has ended.
    std::string receive_until(std::string_view end) {
        std::string out;
        std::array<char, 4096> buffer;
        while (end.empty() || out.find(end) == std::string::npos) {
            pollfd waiting{fd_, POLLIN, 0};
            if (::poll(&waiting, 1, 10'000) != 1) break;
            const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
            if (got <= 0) {
                open_ = false;
                break;
            }
            out.append(buffer.data(), static_cast<std::size_t>(got));
        }
        return out;
    }

private:
    int fd_;
    bool open_{false};
};

TEST_F(SipListenerTest, TakesMessagesFromAStreamHoweverTheyAreCut) {
    start();
    Stream stream{listener->tcp_port()};
    ASSERT_TRUE(stream.is_open());
    stream.send("\r\n\r\n");
    EXPECT_EQ(stream.receive_until("\r\n"), "\r\n");  // RFC 5626 §3.5.1
    const auto options = sip::write_message(phone.request("OPTIONS", "TCP"));
    stream.send(options.substr(0, 50));
    (void)listener->stats();
    const auto second = sip::write_message(phone.request("OPTIONS", "TCP"));
    stream.send(options.substr(50) + second);
    const auto answers = stream.receive_until("CSeq: 2 OPTIONS");
    EXPECT_NE(answers.find("CSeq: 1 OPTIONS"), std::string::npos);
    EXPECT_EQ(listener->stats().open_connections, 1u);
    // A call over the stream, and its BYE over the same.
    stream.send(sip::write_message(phone.invite("TCP")));
    const auto ok = stream.receive_until("m=audio");
    EXPECT_NE(ok.find(";transport=tcp>"), std::string::npos) << ok;
    const auto at = ok.find("SIP/2.0 200");
    ASSERT_NE(at, std::string::npos);
    const auto tag_at = ok.find("bot@127.0.0.1>;tag=", at) + 19;
    phone.remote_tag = ok.substr(tag_at, ok.find('\r', tag_at) - tag_at);
    stream.send(sip::write_message(phone.request("ACK", "TCP")));
    listener->stop_accepting();
    stream.send(sip::write_message(phone.request("BYE", "TCP")));
    EXPECT_NE(stream.receive_until("BYE").find("SIP/2.0 200"), std::string::npos);
    ASSERT_TRUE(pipeline.wait_until_finished());
}

TEST_F(SipListenerTest, ClosesAStreamThatIsNoSip) {
    start();
    Stream stream{listener->tcp_port()};
    stream.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.receive_until({});
    EXPECT_FALSE(stream.is_open());
    EXPECT_EQ(listener->stats().broken_streams, 1u);
}

TEST_F(SipListenerTest, HasOnlySoManyConnections) {
    config.max_connections = 1;
    start();
    Stream first{listener->tcp_port()};
    first.send("\r\n\r\n");
    first.receive_until("\r\n");
    Stream second{listener->tcp_port()};
    second.receive_until({});
    EXPECT_FALSE(second.is_open());
    EXPECT_TRUE(first.is_open());
    EXPECT_EQ(listener->stats().connections_refused, 1u);
}

TEST_F(SipListenerTest, WhoIsNotAllowedGetsNoAnswer) {
    config.allowed_peers = {"192.0.2.1"};
    start();
    phone.say(phone.request("OPTIONS"), port);
    EXPECT_FALSE(phone.hear("200", 300ms));
    EXPECT_EQ(listener->stats().foreign, 1u);
}

TEST_F(SipListenerTest, WhoFindsNoPlaceIsSentElsewhere) {
    pipeline.limit = 0;
    start();
    phone.say(phone.invite(), port);
    const auto refused = phone.hear("503");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->get("Retry-After"), "10");
}

TEST_F(SipListenerTest, OverflowMayBeARedirection) {
    pipeline.limit = 0;
    config.overflow = "sip:other@192.0.2.9";
    start();
    phone.say(phone.invite(), port);
    const auto moved = phone.hear("302");
    ASSERT_TRUE(moved);
    EXPECT_EQ(moved->get("Contact"), "<sip:other@192.0.2.9>");
}

TEST_F(SipListenerTest, WhileItDrainsItSaysSo) {
    start();
    phone.say(phone.request("OPTIONS"), port);
    EXPECT_TRUE(phone.hear("200"));
    listener->stop_accepting();
    (void)listener->stats();
    phone.say(phone.request("OPTIONS"), port);
    EXPECT_TRUE(phone.hear("503"));
    phone.say(phone.invite(), port);
    EXPECT_TRUE(phone.hear("503"));
}

TEST_F(SipListenerTest, ACallThatNobodyAnsweredIsCancelledAndFreed) {
    config.proxy = "sip:" + phone.address();
    start();
    DialRequest request;
    request.to = "5551234";
    request.patience = std::chrono::seconds{1};
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    const auto invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    EXPECT_EQ(invite->uri, "sip:5551234@127.0.0.1");
    phone.say(phone.reply(*invite, 180), port);
    ASSERT_FALSE(dialled.get().has_error());
    const auto cancel = phone.hear("CANCEL");
    ASSERT_TRUE(cancel);
    phone.say(phone.reply(*cancel, 200), port);
    phone.say(phone.reply(*invite, 487), port);
    EXPECT_TRUE(phone.hear("ACK"));
    ASSERT_TRUE(pipeline.wait_until_finished());
    EXPECT_EQ(pipeline.wait_for_call()->failure, CallControlErrc::no_answer);
}

TEST_F(SipListenerTest, DialsWithItsPasswordAndTalks) {
    config.proxy = "sip:" + phone.address();
    config.username = "bot";
    config.password = "secret";
    start();
    DialRequest request;
    request.to = "5551234";
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    auto invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    auto challenge = phone.reply(*invite, 401);
    challenge.add("WWW-Authenticate", "Digest realm=\"test\", nonce=\"abc\", qop=\"auth\"");
    phone.say(challenge, port);
    ASSERT_TRUE(phone.hear("ACK"));
    invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    EXPECT_NE(invite->get("Authorization").find("username=\"bot\""), std::string_view::npos);
    phone.say(phone.reply(*invite, 200, true), port);
    ASSERT_TRUE(phone.hear("ACK"));
    const auto outcome = dialled.get();
    ASSERT_FALSE(outcome.has_error());
    EXPECT_EQ(outcome->native_id, invite->get("Call-ID"));
    EXPECT_TRUE(phone.hears_speech());
    EXPECT_TRUE(pipeline.wait_for_call()->transport->info().outgoing);
}

TEST_F(SipListenerTest, ACallThatIsRefusedLeavesNothing) {
    config.proxy = "sip:" + phone.address();
    start();
    DialRequest request;
    request.to = "5551234";
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    const auto invite = phone.hear("INVITE");
    ASSERT_TRUE(invite);
    phone.say(phone.reply(*invite, 404), port);
    EXPECT_EQ(dialled.get().error(), CallControlErrc::not_found);
    request.to = "not a target";
    EXPECT_EQ(
        on_shard(shards[0], listener->dialer()->dial(shards[0], request)).get().error(),
        CallControlErrc::bad_target
    );
    EXPECT_EQ(pipeline.active(), 0);
}

TEST_F(SipListenerTest, RegistersAndUnregisters) {
    config.registrar = "sip:" + phone.address();
    config.username = "bot";
    config.password = "secret";
    start();
    auto registering = phone.hear("REGISTER");
    ASSERT_TRUE(registering);
    auto challenge = phone.reply(*registering, 401);
    challenge.add("WWW-Authenticate", "Digest realm=\"test\", nonce=\"abc\", algorithm=SHA-256");
    phone.say(challenge, port);
    registering = phone.hear("REGISTER");
    ASSERT_TRUE(registering);
    EXPECT_NE(registering->get("Authorization").find("SHA-256"), std::string_view::npos);
    phone.say(phone.reply(*registering, 200), port);
    for (int i = 0; i < 500 && !listener->stats().registered; ++i)
        std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(listener->stats().registered);
    listener->stop();
    registering = phone.hear("REGISTER");
    ASSERT_TRUE(registering);
    EXPECT_EQ(registering->get("Expires"), "0");
}

}  // namespace
}  // namespace oavc::transports::sip_ua
