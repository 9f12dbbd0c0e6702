#include "caller/run.hpp"

#include "base/bytes.hpp"
#include "caller/words.hpp"
#include "media/g711.hpp"
#include "media/level.hpp"
#include "media/rtp.hpp"
#include "media/rtp_sender.hpp"
#include "net/udp.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>

namespace oavc::caller {
namespace {

namespace json = boost::json;

/// A connector that repeats whatever it was told, once its caller has been silent for 300 ms.
/// Lives on a shard with a thread of its own.
class Parrot final : private async::TickClient {
public:
    explicit Parrot(std::uint16_t mi_port) : mi_{*net::parse_endpoint("127.0.0.1", mi_port)} {
        shard_.start();
        shard_.post([this] { open(); });
    }
    ~Parrot() {
        shard_.post([this] {
            shard_.remove_tick(*this);
            socket_->close();
            rtp_->close();
        });
        shard_.drain_and_join();
    }

private:
    std::unique_ptr<net::UdpSocket> bind() {
        auto socket =
            net::UdpSocket::bind(shard_.executor(), *net::parse_endpoint("127.0.0.1", 0), 4096);
        return std::move(*socket);
    }
    void open() {
        socket_ = bind();
        rtp_ = bind();
        socket_->start([this](auto datagram, const auto&) { on_event(as_text(datagram)); });
        rtp_->start([this](auto datagram, const auto& from) { on_rtp(datagram, from); });
        mi("event_subscribe",
           fmt::format(
               R"({{"event":"E_UA_SESSION","socket":"udp:127.0.0.1:{}"}})",
               socket_->local_endpoint().port()
           ));
        shard_.add_tick(*this);
    }
    void mi(std::string_view method, const std::string& params) {
        socket_->send_to(
            as_bytes(fmt::format(
                R"({{"jsonrpc":"2.0","id":1,"method":"{}","params":{}}})", method, params
            )),
            mi_
        );
    }
    void on_event(std::string_view text) {
        const auto value = json::parse({text.data(), text.size()});
        const auto* params = value.as_object().if_contains("params");
        if (params == nullptr || params->at("event_type").as_string() != "NEW") return;
        const auto sdp = fmt::format(
            R"(v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {} RTP/AVP 0\r\n)",
            rtp_->local_endpoint().port()
        );
        mi("ua_session_reply",
           fmt::format(
               R"({{"key":"{}","method":"INVITE","code":200,"reason":"OK","body":"{}"}})",
               params->at("key").as_string().c_str(),
               sdp
           ));
    }
    void on_rtp(std::span<const std::byte> datagram, const net::UdpEndpoint& from) {
        const auto packet = media::parse_rtp(datagram);
        if (packet.has_error()) return;
        caller_ = from;
        std::array<media::Sample, 160> samples{};
        media::g711::ulaw_decode(packet->payload, samples);
        if (media::is_voiced(samples)) last_voiced_ = Clock::now();
        if (last_voiced_) memory_.insert(memory_.end(), samples.begin(), samples.end());
    }
    void on_tick(TimePoint now) noexcept override {
        if (caller_.port() == 0) return;
        if (last_voiced_ && Clock::now() - *last_voiced_ >= 300ms) {
            last_voiced_.reset();
            reply_ = std::exchange(memory_, {});
            at_ = 0;
        }
        std::array<std::byte, media::RtpSender::max_datagram> buffer;
        std::span<const std::byte> datagram;
        if (at_ + 160 <= reply_.size()) {
            datagram =
                sender_.build({media::Samples{reply_}.subspan(at_, 160), narrowband}, now, buffer);
            at_ += 160;
        } else {
            datagram = sender_.build_silence(now, buffer);
        }
        rtp_->send_to(datagram, caller_);
    }

    async::Shard shard_{1};
    std::unique_ptr<net::UdpSocket> socket_;
    std::unique_ptr<net::UdpSocket> rtp_;
    const net::UdpEndpoint mi_;
    net::UdpEndpoint caller_;
    media::RtpSender sender_{media::RtpSenderConfig{}};
    std::optional<TimePoint> last_voiced_;
    std::vector<media::Sample> memory_;
    std::vector<media::Sample> reply_;
    std::size_t at_{0};
};

/// Starts the parrot once the run says where its MI listens.
class Aviary final : public RunObserver {
public:
    std::vector<std::string> story;
    std::optional<Parrot> parrot;

private:
    void on_waiting(std::string_view where) override {
        parrot.emplace(
            static_cast<std::uint16_t>(std::stoi(std::string{where.substr(where.rfind(':') + 1)}))
        );
    }
    void on_call(std::size_t, std::string_view) override { story.emplace_back("call"); }
    void on_answered(const Dialled&) override { story.emplace_back("answered"); }
    void on_caller_speaks(milliseconds, const Utterance& said) override {
        story.push_back(said.label);
    }
    void on_server_event(milliseconds, const ServerEvent&) override {}
    void on_over(milliseconds, std::string_view) override { story.emplace_back("over"); }
    void on_report(const CallReport&) override { story.emplace_back("report"); }
};

TEST(CallRun, TalksWithAConnectorAndHearsWhatItSays) {
    const auto recording =
        std::filesystem::temp_directory_path() / fmt::format("oavc-run-test-{}.wav", ::getpid());
    Options options;
    options.speech = {{Options::Speech::Kind::text, "where is the nearest branch", false}};
    options.mi_port = 0;
    options.url = "http://127.0.0.1:1";  // nobody tells the server's side of the story
    options.record = recording.string();
    config::Config config;
    config.pipeline.agents[0].greeting = "where is the nearest branch";  // what its ear knows
    Aviary aviary;
    CallRun run{options, config, aviary};
    const auto& calls = run.run();
    ASSERT_EQ(calls.size(), 1U);
    const CallReport& call = calls[0];
    EXPECT_EQ(call.result, "ok");
    EXPECT_EQ(
        aviary.story,
        (std::vector<std::string>{
            "call", "answered", "where is the nearest branch", "over", "report"})
    );
    ASSERT_EQ(call.turns.size(), 1U);
    ASSERT_TRUE(call.turns[0].heard_latency_ms);
    EXPECT_GE(*call.turns[0].heard_latency_ms, 250);
    EXPECT_LE(*call.turns[0].heard_latency_ms, 700);
    EXPECT_GE(word_accuracy("where is the nearest branch", call.turns[0].connector_said), 0.6);
    EXPECT_FALSE(call.turns[0].stages);
    EXPECT_GT(call.rtp.sent, 100U);
    EXPECT_GT(call.rtp.received, 50U);
    EXPECT_EQ(call.rtp.lost, 0U);
    EXPECT_TRUE(std::filesystem::exists(recording));
    std::filesystem::remove(recording);
}

TEST(CallRun, SaysThatNobodySubscribed) {
    Options options;
    options.speech = {{Options::Speech::Kind::text, "hello", false}};
    options.mi_port = 0;
    options.wait = 100ms;
    class Nobody final : public RunObserver {
        void on_waiting(std::string_view) override {}
        void on_call(std::size_t, std::string_view) override {}
        void on_answered(const Dialled&) override {}
        void on_caller_speaks(milliseconds, const Utterance&) override {}
        void on_server_event(milliseconds, const ServerEvent&) override {}
        void on_over(milliseconds, std::string_view) override {}
        void on_report(const CallReport&) override {}
    } nobody;
    CallRun run{options, config::Config{}, nobody};
    EXPECT_THROW(run.run(), std::runtime_error);
}

}  // namespace
}  // namespace oavc::caller
