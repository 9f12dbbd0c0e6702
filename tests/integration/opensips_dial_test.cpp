// The real server places calls over OpenSIPS, which we play together with whom it calls.

#include "caller/opensips_line.hpp"
#include "caller/report.hpp"
#include "caller/run.hpp"
#include "support/await.hpp"
#include "support/control_api.hpp"
#include "support/run_program.hpp"
#include "support/running_server.hpp"
#include "support/while_doing.hpp"
#include "support/witness.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace oavc::caller {
namespace {

using test::Program;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using Kind = Options::Speech::Kind;

class OpensipsDial : public testing::Test {
protected:
    OpensipsDial() { server_.start(); }

    test::RunningServer server_{
        "config/dev.ini",
        {{"OAVC_TELEPHONY_DIAL_ALLOWED", R"(\+90\d{10})"},
         {"OAVC_TELEPHONY_OPENSIPS_DIAL_DOMAIN", "gateway.example.test"},
         {"OAVC_TELEPHONY_OPENSIPS_DIAL_SOCKET", "udp:127.0.0.1:5060"}}};
    /// OpenSIPS has sent its answer to our subscription, which says nothing of its arrival: until
    /// then no call is placed (502). Meanwhile somebody has to run OpenSIPS.
    std::string dial(const std::string& body) {
        std::string id;
        EXPECT_TRUE(test::comes_true([&] {
            id = api_.dial(body);
            return !id.empty();
        }));
        return id;
    }

    test::ControlApi api_{server_.config().api.port};
};

TEST_F(OpensipsDial, TalksWithWhomItCalls) {
    test::Witness witness;
    std::unique_ptr<Program> dial;
    witness.on_placing = [&] {
        dial = std::make_unique<Program>(std::vector<std::string>{
            OAVC_BINARY,
            "dial",
            "+90 212 555 01 11",
            "--follow",
            "--url",
            "http://127.0.0.1:" + std::to_string(server_.config().api.port)});
    };
    auto options = test::call_over("opensips", {{Kind::text, "no thank you goodbye"}});
    options.answer = true;
    CallRun run{options, server_.config(), witness};
    const auto calls = run.run();
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_EQ(calls[0].result, "ok") << (dial ? dial->output() : "");
    EXPECT_EQ(verdict(calls[0]), "") << to_json(calls[0]);
    EXPECT_EQ(calls[0].turns.size(), 1U);
    EXPECT_EQ(calls[0].rtp.lost, 0U);
    EXPECT_THAT(witness.over, HasSubstr("hung up")) << "the goodbye of the dialogue";
    ASSERT_TRUE(dial);
    EXPECT_EQ(dial->wait(), 0) << dial->output();
    EXPECT_THAT(dial->output(), HasSubstr("over opensips"));
    EXPECT_THAT(dial->output(), HasSubstr("ringing"));
    EXPECT_THAT(dial->output(), HasSubstr("answered"));
    EXPECT_TRUE(server_.calls_end_within(5s));
}

struct DeafEar final : Ear {
    void on_heard(TimePoint, media::Samples) noexcept override {}
    void on_line_over(const std::string& why) noexcept override { over = why; }
    std::string over;
};

TEST_F(OpensipsDial, HoldsPressesKeysAndTransfersWhomItCalled) {
    async::Shard shard{7};
    OpenSipsBox::Config opensips;
    opensips.mi_port = server_.config().opensips.mi_port;
    OpenSipsBox box{shard, opensips};
    DeafEar ear;
    const auto callee = box.make_callee();
    const auto meanwhile = [&](auto blocking) {
        return test::while_doing(
            [&] {
                shard.context().restart();
                shard.context().run_for(5ms);
            },
            std::move(blocking)
        );
    };
    ASSERT_TRUE(test::result_of(shard, box.wait_for_subscriber(20s)));
    const auto id = meanwhile([&] { return dial(R"({"to": "+902125550111"})"); });
    ASSERT_NE(id, "");
    ASSERT_TRUE(test::result_of(shard, callee->dial(ear)).answered);

    const auto command = [&](const std::string& verb, const std::string& body = "") {
        return meanwhile([&] { return api_.command(id, verb, body); });
    };
    // Wrong state (409) until the server has heard that the call is answered.
    ASSERT_TRUE(meanwhile([&] {
        return test::comes_true([&] {
            return api_.command(id, "digits", R"({"digits": "w"})") != 409;
        });
    }));
    EXPECT_EQ(command("hold"), 200);
    ASSERT_EQ(callee->holds().size(), 1U);
    EXPECT_THAT(callee->holds()[0], ContainsRegex("a=(sendonly|inactive)"));
    EXPECT_EQ(command("resume"), 200);
    ASSERT_EQ(callee->holds().size(), 2U);
    EXPECT_THAT(callee->holds()[1], Not(ContainsRegex("a=(sendonly|recvonly|inactive)")));
    EXPECT_EQ(command("digits", R"({"digits": "42#"})"), 200);
    EXPECT_EQ(callee->keys(), "42#") << "by INFO: the answer has no telephone-event";
    EXPECT_EQ(command("transfer", R"({"to": "sip:sales@127.0.0.1"})"), 200);
    EXPECT_THAT(callee->transferred_to(), HasSubstr("sip:sales@127.0.0.1"));
    EXPECT_THAT(ear.over, HasSubstr("transferred"));
    EXPECT_TRUE(meanwhile([&] { return server_.calls_end_within(10s); }));
}

TEST_F(OpensipsDial, TakesTheCallBackFromWhomItCallsInVain) {
    async::Shard shard{7};
    OpenSipsBox::Config opensips;
    opensips.mi_port = server_.config().opensips.mi_port;
    OpenSipsBox box{shard, opensips};
    ASSERT_TRUE(test::result_of(shard, box.wait_for_subscriber(20s)));
    // Nobody takes it off the hook.
    test::while_doing(
        [&] {
            shard.context().restart();
            shard.context().run_for(5ms);
        },
        [&] {
            EXPECT_NE(dial(R"({"to": "+902125550111", "patience_s": 5})"), "");
            EXPECT_TRUE(server_.calls_end_within(20s));
            return 0;
        }
    );
    EXPECT_EQ(box.cancelled(), 1U) << "CANCEL";
    EXPECT_EQ(box.sessions(), 0U) << "nothing of it is left in OpenSIPS";
}

}  // namespace
}  // namespace oavc::caller
