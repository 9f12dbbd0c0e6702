#include "caller/opensips_line.hpp"

#include "base/bytes.hpp"
#include "caller/twilio_line.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/json/parse.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace oavc::caller {
namespace {

namespace json = boost::json;

/// A connector of a few lines: subscribes, answers every call, plays what it hears back.
class EchoConnector {
public:
    EchoConnector(async::Shard& shard, std::uint16_t mi_port)
        : socket_{bind(shard)}, rtp_{bind(shard)}, mi_{*net::parse_endpoint("127.0.0.1", mi_port)} {
        socket_->start([this](auto datagram, const auto&) { on_datagram(as_text(datagram)); });
        rtp_->start([this](auto datagram, const auto& from) { rtp_->send_to(datagram, from); });
        mi("event_subscribe",
           fmt::format(
               R"({{"event":"E_UA_SESSION","socket":"udp:127.0.0.1:{}"}})",
               socket_->local_endpoint().port()
           ));
    }
    ~EchoConnector() {
        socket_->close();
        rtp_->close();
    }

    void hang_up() { mi("ua_session_terminate", fmt::format(R"({{"key":"{}"}})", key_)); }

    bool refuses{false};
    std::vector<std::string> events;

private:
    static std::unique_ptr<net::UdpSocket> bind(async::Shard& shard) {
        auto socket =
            net::UdpSocket::bind(shard.executor(), *net::parse_endpoint("127.0.0.1", 0), 4096);
        return std::move(*socket);
    }
    void mi(std::string_view method, const std::string& params) {
        socket_->send_to(
            as_bytes(fmt::format(
                R"({{"jsonrpc":"2.0","id":1,"method":"{}","params":{}}})", method, params
            )),
            mi_
        );
    }
    void on_datagram(std::string_view text) {
        const auto value = json::parse({text.data(), text.size()});
        const auto* params = value.as_object().if_contains("params");
        if (params == nullptr) return;
        events.emplace_back(fmt::format(
            "{} {}",
            params->at("event_type").as_string().c_str(),
            params->at("method").as_string().c_str()
        ));
        key_ = params->at("key").as_string().c_str();
        const std::string method = params->at("method").as_string().c_str();
        if (events.back() == "NEW INVITE" && !refuses) {
            const auto sdp = fmt::format(
                "v=0\\r\\nc=IN IP4 127.0.0.1\\r\\nm=audio {} RTP/AVP 8 101\\r\\n",
                rtp_->local_endpoint().port()
            );
            mi("ua_session_reply",
               fmt::format(
                   R"({{"key":"{}","method":"INVITE","code":200,"reason":"OK","body":"{}"}})",
                   key_,
                   sdp
               ));
        } else if (events.back() == "NEW INVITE") {
            mi("ua_session_reply",
               fmt::format(
                   R"({{"key":"{}","method":"INVITE","code":486,"reason":"Busy Here"}})", key_
               ));
        } else if (method == "INFO") {
            mi("ua_session_reply",
               fmt::format(R"({{"key":"{}","method":"INFO","code":200,"reason":"OK"}})", key_));
        }
    }

    std::unique_ptr<net::UdpSocket> socket_;
    std::unique_ptr<net::UdpSocket> rtp_;
    net::UdpEndpoint mi_;
    std::string key_;
};

class OpenSipsLineTest : public testing::Test, protected Ear {
protected:
    void on_heard(TimePoint, media::Samples samples) noexcept override {
        heard.insert(heard.end(), samples.begin(), samples.end());
    }
    void on_line_over(const std::string& why) noexcept override { over = why; }

    template <class Done>
    bool run_until(Done done) {
        const TimePoint deadline = Clock::now() + 10s;
        while (!done() && Clock::now() < deadline)
            shard.context().run_one_for(10ms);
        return done();
    }
    Dialled dial(Line& line) {
        std::optional<Dialled> result;
        asio::co_spawn(shard.context(), line.dial(*this), [&result](std::exception_ptr, Dialled d) {
            result = std::move(d);
        });
        EXPECT_TRUE(run_until([&] { return result.has_value(); }));
        return result.value_or(Dialled{});
    }
    void wait_for_subscriber() {
        bool subscribed = false;
        asio::co_spawn(
            shard.context(),
            box.wait_for_subscriber(5s),
            [&](std::exception_ptr, bool there) { subscribed = there; }
        );
        ASSERT_TRUE(run_until([&] { return subscribed; }));
    }
    static OpenSipsBox::Config config() {
        OpenSipsBox::Config config;
        config.mi_port = 0;
        return config;
    }

    async::Shard shard{0};
    std::vector<media::Sample> heard;
    std::string over;
    OpenSipsBox box{shard, config()};
};

TEST_F(OpenSipsLineTest, PlacesACallWithAudioBothWaysAndHangsUp) {
    bool subscribed = false;
    asio::co_spawn(
        shard.context(),
        box.wait_for_subscriber(5s),
        [&](std::exception_ptr, bool there) { subscribed = there; }
    );
    shard.context().poll();
    EXPECT_FALSE(subscribed);
    EchoConnector connector{shard, box.mi_port()};
    ASSERT_TRUE(run_until([&] { return subscribed; }));

    const auto line = box.make_line();
    const auto dialled = dial(*line);
    ASSERT_TRUE(dialled.answered) << dialled.what;
    EXPECT_GT(dialled.setup, 0us);
    EXPECT_NE(dialled.what.find("PCMA"), std::string::npos) << "the answer's codec";

    std::vector<media::Sample> frame(160, 1'000);
    const TimePoint began = Clock::now();
    for (int i = 0; i < 5; ++i)
        line->send(began + 20ms * i, frame);
    ASSERT_TRUE(run_until([&] { return heard.size() == 800; }));
    EXPECT_NEAR(heard[400], 1'000, 40);
    EXPECT_EQ(line->stats().sent, 5U);
    EXPECT_EQ(line->stats().received, 5U);
    EXPECT_EQ(line->stats().lost, 0U);

    line->press('1');
    line->press('2');  // waits for the answer to the first
    ASSERT_TRUE(run_until([&] { return connector.events.size() == 3; }));

    asio::co_spawn(shard.context(), line->hang_up(), [](std::exception_ptr) {});
    ASSERT_TRUE(run_until([&] { return connector.events.back() == "TERMINATED BYE"; }));
    EXPECT_EQ(over, "") << "we hung up ourselves";
}

TEST_F(OpenSipsLineTest, TellsThatTheConnectorHungUp) {
    EchoConnector connector{shard, box.mi_port()};
    wait_for_subscriber();
    const auto line = box.make_line();
    const auto dialled = dial(*line);
    ASSERT_TRUE(dialled.answered) << dialled.what;
    connector.hang_up();
    ASSERT_TRUE(run_until([&] { return !over.empty(); }));
}

TEST_F(OpenSipsLineTest, TellsWhyACallWasRefused) {
    EchoConnector connector{shard, box.mi_port()};
    connector.refuses = true;
    wait_for_subscriber();
    const auto line = box.make_line();
    const auto dialled = dial(*line);
    EXPECT_FALSE(dialled.answered);
    EXPECT_EQ(dialled.what, "refused: 486 Busy Here");
}

TEST_F(OpenSipsLineTest, SaysWhatToDoWhenTheMiPortIsTaken) {
    auto taken = config();
    taken.mi_port = box.mi_port();
    try {
        const OpenSipsBox second{shard, taken};
        FAIL() << "bound twice";
    } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string{error.what()}.find("mi_port"), std::string::npos) << error.what();
    }
}

TEST(StreamTarget, MapsTheConnectorsPublicAddressToWhereItReallyIs) {
    const std::string base = "http://127.0.0.1:8088";
    EXPECT_EQ(
        stream_target("wss://voice.example.com/ws", "https://voice.example.com", base),
        "ws://127.0.0.1:8088/ws"
    );
    EXPECT_EQ(
        stream_target("wss://voice.example.com/ws", "https://voice.example.com/", base),
        "ws://127.0.0.1:8088/ws"
    );
    EXPECT_EQ(stream_target("ws://127.0.0.1:9/ws", "", base), "ws://127.0.0.1:9/ws");
    EXPECT_EQ(
        stream_target("wss://elsewhere.example.com/ws", "https://voice.example.com", base),
        "wss://elsewhere.example.com/ws"
    );
    EXPECT_EQ(
        stream_target("wss://voice.example.com.evil/ws", "https://voice.example.com", base),
        "wss://voice.example.com.evil/ws"
    );
}

}  // namespace
}  // namespace oavc::caller
