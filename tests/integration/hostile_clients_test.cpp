// Strangers at the HTTP port while somebody talks: each is refused and counted, and the caller's
// audio does not lose a packet.

#include "support/http.hpp"
#include "support/raw_client.hpp"
#include "support/running_server.hpp"
#include "support/sip_front.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace oavc {
namespace {

using namespace std::chrono_literals;
using test::RawClient;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t most_of_one_source = 40;

class HostileClients : public testing::Test {
protected:
    HostileClients() {
        server_.start();
        wait_until([this] { return front_.state(call_).received > 25; });
    }
    ~HostileClients() override {
        const auto before = front_.state(call_).received;
        EXPECT_TRUE(wait_until([&] { return front_.state(call_).received > before + 25; }));
        const auto state = front_.state(call_);
        EXPECT_EQ(state.lost, 0u);
        EXPECT_EQ(state.repeated, 0u);
        EXPECT_FALSE(state.cut);
        front_.hang_up(call_);
        EXPECT_TRUE(wait_until([this] { return front_.state(call_).over; }));
        EXPECT_TRUE(server_.calls_end_within(30s));
    }

    template <class Condition>
    static bool wait_until(Condition done) {
        const auto limit = Clock::now() + 60s;
        while (!done() && Clock::now() < limit)
            std::this_thread::sleep_for(5ms);  // polls
        return done();
    }

    std::uint16_t port() const { return server_.config().api.port; }

    /// The status of one request on a connection of its own.
    std::string answer(const std::string& head, const std::string& body = {}) {
        RawClient client{port()};
        client.send(head + "Host: t\r\nConnection: close\r\n\r\n" + body);
        return client.read_all();
    }
    std::string metrics() { return answer("GET /metrics HTTP/1.1\r\n"); }

    test::RunningServer server_{
        "tests/data/sip.ini",
        {{"OAVC_API_TOKEN", "all"},
         {"OAVC_API_READ_TOKEN", "look"},
         {"OAVC_API_MAX_CONNECTIONS_PER_SOURCE", std::to_string(most_of_one_source)},
         {"OAVC_TELEPHONY_FALLBACK_PROVIDER", "twilio"},
         {"OAVC_TELEPHONY_TWILIO_AUTH_TOKEN", "for-tests-only"},
         {"OAVC_LOGGING_LEVEL", "off"}}};
    test::SipFront front_{{server_.config().sip.port}};
    std::size_t call_{front_.call()};
};

TEST_F(HostileClients, WithoutTheRightTokenHear401Or403AndThen429) {
    const std::string hang_up = "POST /api/v1/calls/x/hangup HTTP/1.1\r\n";
    EXPECT_THAT(answer(hang_up + "Authorization: Bearer look\r\n"), StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(answer(hang_up), StartsWith("HTTP/1.1 401 "));
    std::size_t too_many = 0;
    for (int i = 0; i < 60; ++i) {
        const auto said = answer(hang_up + "Authorization: Bearer guess\r\n");
        if (said.starts_with("HTTP/1.1 429 ")) ++too_many;
    }
    EXPECT_GT(too_many, 0u);
    EXPECT_THAT(
        metrics(),
        HasSubstr("oavc_api_refused_total{reason=\"too_many\"} " + std::to_string(too_many) + "\n")
    );
    EXPECT_THAT(metrics(), HasSubstr("oavc_api_refused_total{reason=\"forbidden\"} 1\n"));
    EXPECT_THAT(
        answer("GET /api/v1/calls HTTP/1.1\r\nAuthorization: Bearer look\r\n"),
        StartsWith("HTTP/1.1 200 ")
    ) << "who has the right token is served";
}

TEST_F(HostileClients, ForgersOfWebhooksHear403) {
    for (int i = 0; i < 50; ++i) {
        const auto said = answer(
            "POST / HTTP/1.1\r\nX-Twilio-Signature: Zm9yZ2Vk\r\nContent-Length: 11\r\n",
            "CallSid=CA1"
        );
        EXPECT_THAT(said, StartsWith("HTTP/1.1 403 "));
    }
}

TEST_F(HostileClients, WhoSendsTooMuchIsToldSo) {
    EXPECT_THAT(
        answer("POST / HTTP/1.1\r\nContent-Length: 262145\r\n"), StartsWith("HTTP/1.1 413 ")
    );
    EXPECT_THAT(
        answer("GET / HTTP/1.1\r\nX-Long: " + std::string(70'000, 'x') + "\r\n"),
        StartsWith("HTTP/1.1 431 ")
    );
    EXPECT_THAT(answer("\x16\x03\x01 garbage\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(metrics(), HasSubstr("oavc_http_events_total{event=\"bad_requests\"} 3\n"));
}

TEST_F(HostileClients, WhoHoldsConnectionsOpenLeavesRoomForOthers) {
    std::vector<std::unique_ptr<RawClient>> slow;
    for (std::size_t i = 0; i < 2 * most_of_one_source; ++i) {
        slow.push_back(std::make_unique<RawClient>(port()));
        slow.back()->send("GET / HTTP/1.1\r\nHost:");
    }
    // The last of them are closed at once; so is everybody else of this source, for now.
    EXPECT_EQ(slow.back()->read_all(), "");
    slow.clear();
    EXPECT_TRUE(wait_until([this] {
        return answer("GET /health/live HTTP/1.1\r\n").starts_with("HTTP/1.1 200 ");
    }));
    EXPECT_THAT(metrics(), testing::Not(HasSubstr("{event=\"refused_source\"} 0\n")));
}

}  // namespace
}  // namespace oavc
