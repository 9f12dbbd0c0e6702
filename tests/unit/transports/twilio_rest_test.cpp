// Twilio's REST interface: what is asked, what the answers mean, how long we insist.

#include "support/await.hpp"
#include "support/fake_twilio.hpp"
#include "support/tls_front.hpp"
#include "transports/twilio/rest.hpp"
#include "transports/twilio/twiml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::transports::twilio {
namespace {

using test::FakeTwilioRest;
using ::testing::HasSubstr;

constexpr auto account = "AC00000000000000000000000000000001";

TEST(TwilioRest, AsksAsTheInterfaceWantsIt) {
    const auto hang_up = hang_up_request(account, "CA12");
    EXPECT_EQ(
        hang_up.path, "/2010-04-01/Accounts/AC00000000000000000000000000000001/Calls/CA12.json"
    );
    EXPECT_EQ(hang_up.body, "Status=completed");
    EXPECT_TRUE(hang_up.repeatable);

    const auto redirect = redirect_request(account, "CA12", dial("+902125550111"));
    ASSERT_TRUE(redirect);
    const auto form = parse_form(redirect->body);
    EXPECT_THAT(
        std::string{find_field(*form, "Twiml")}, HasSubstr("<Number>+902125550111</Number>")
    );

    NewCall call;
    call.to = "+902125550111";
    call.from = "+12025550123";
    call.answer_url = "https://voice.example.test/twilio/answered?shard=0&call=x";
    call.status_url = "https://voice.example.test/twilio/status?shard=0&call=x";
    call.ringing = std::chrono::seconds{30};
    const auto place = place_request(account, call);
    EXPECT_EQ(place.path, "/2010-04-01/Accounts/AC00000000000000000000000000000001/Calls.json");
    EXPECT_FALSE(place.repeatable);
    const auto fields = parse_form(place.body);
    EXPECT_EQ(find_field(*fields, "To"), "+902125550111");
    EXPECT_EQ(find_field(*fields, "Url"), call.answer_url);
    EXPECT_EQ(find_field(*fields, "StatusCallback"), call.status_url);
    EXPECT_EQ(find_field(*fields, "Timeout"), "30");
    std::vector<std::string> events;
    for (const auto& field : *fields) {
        if (field.name == "StatusCallbackEvent") events.push_back(field.value);
    }
    EXPECT_THAT(events, ::testing::ElementsAre("initiated", "ringing", "answered", "completed"));
}

TEST(TwilioRest, ASidCannotLeaveItsPath) {
    EXPECT_THAT(hang_up_request(account, "../../x?y=1").path, HasSubstr("/Calls/..%2F..%2Fx%3Fy"));
}

TEST(TwilioRest, ADocumentLongerThanTwilioTakesIsNotSent) {
    const auto redirect = redirect_request(account, "CA12", std::string(4001, 'x'));
    EXPECT_EQ(redirect.error(), CallControlErrc::bad_target);
}

TEST(TwilioRest, TargetsBecomeNumbersOrAddresses) {
    EXPECT_EQ(*dial_target(" +90 (212) 555-01.11 "), "+902125550111");
    EXPECT_EQ(*dial_target("tel:+49-30-1234"), "+49301234");
    EXPECT_EQ(
        *dial_target("sip:desk@pbx.example.test;transport=tls"),
        "sip:desk@pbx.example.test;transport=tls"
    );
    EXPECT_EQ(*dial_target("client:alice"), "client:alice");
    for (const auto* bad :
         {"",
          "   ",
          "12",
          "sales",
          "+",
          "1+234",
          "sip:",
          "sip:nobody",
          "sip:a b@c",
          "https://example.test",
          "+9021255501110000000000000",
          "+90<212>",
          "client:"}) {
        EXPECT_FALSE(dial_target(bad)) << bad;
    }
}

TEST(TwilioRest, DocumentsNameTheKindOfTarget) {
    EXPECT_THAT(dial("sip:a@b.test?X-T=1&X-U=2"), HasSubstr("<Sip>sip:a@b.test?X-T=1&amp;X-U=2<"));
    EXPECT_THAT(dial("client:alice"), HasSubstr("<Client>alice</Client>"));
}

struct AnswerCase {
    const char* name;
    bool placing;
    int status;
    const char* body;
    error_code error;
    bool again;
};

class TwilioRestAnswer : public ::testing::TestWithParam<AnswerCase> {};

TEST_P(TwilioRestAnswer, MeansTheSameAsOnEveryCarrier) {
    const auto& c = GetParam();
    RestRequest request;
    request.repeatable = !c.placing;
    net::HttpResponse response;
    response.status = c.status;
    response.body = c.body;
    const auto answer = read_answer(request, response);
    EXPECT_EQ(answer.error, c.error);
    EXPECT_EQ(answer.again, c.again);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    TwilioRestAnswer,
    ::testing::Values(
        AnswerCase{"Placed", true, 201, R"({"sid":"CA9","status":"queued"})", {}, false},
        AnswerCase{"PlacedButNameless", true, 201, "[1", CallControlErrc::unavailable, false},
        AnswerCase{"Updated", false, 200, "garbage", {}, false},
        AnswerCase{
            "WrongToken", true, 401, R"({"code":20003})", CallControlErrc::unavailable, false},
        AnswerCase{"CallGone", false, 404, R"({"code":20404})", CallControlErrc::gone, false},
        AnswerCase{
            "AccountGone", true, 404, R"({"code":20404})", CallControlErrc::unavailable, false},
        AnswerCase{"CallOver", false, 400, R"({"code":21220})", CallControlErrc::gone, false},
        AnswerCase{"NoNumber", true, 400, R"({"code":21211})", CallControlErrc::bad_target, false},
        AnswerCase{
            "Unreachable", true, 400, R"({"code":21214})", CallControlErrc::not_found, false},
        AnswerCase{"NotAllowed", true, 400, R"({"code":21215})", CallControlErrc::refused, false},
        AnswerCase{"NoBody", true, 400, "", CallControlErrc::refused, false},
        AnswerCase{"TooMany", true, 429, R"({"code":20429})", CallControlErrc::no_capacity, true},
        AnswerCase{"UpdateFailed", false, 503, "<html>", CallControlErrc::unavailable, true},
        AnswerCase{"PlacingFailed", true, 500, "", CallControlErrc::unavailable, false},
        AnswerCase{"Moved", true, 302, "", CallControlErrc::unavailable, false}
    ),
    [](const auto& info) { return info.param.name; }
);

TEST(TwilioRest, InsistsForAsLongAsItMakesSense) {
    RestAnswer busy;
    busy.again = true;
    EXPECT_EQ(wait_before(2, busy, 0ms, 0), 200ms);
    EXPECT_EQ(wait_before(3, busy, 0ms, 50), 600ms);
    EXPECT_EQ(wait_before(5, busy, 0ms, 0), std::nullopt) << "enough attempts";
    EXPECT_EQ(wait_before(2, busy, 7'900ms, 0), std::nullopt) << "enough time";
    busy.retry_after = 2s;
    EXPECT_EQ(wait_before(2, busy, 0ms, 0), 2000ms);
    busy.retry_after = 60s;
    EXPECT_EQ(wait_before(2, busy, 0ms, 0), std::nullopt) << "nobody waits that long";
    EXPECT_EQ(wait_before(2, RestAnswer{}, 0ms, 0), std::nullopt);
}

class TwilioRestClient : public ::testing::Test {
protected:
    TwilioRestClient() {
        config_.account_sid = account;
        config_.auth_token = "secret";
        config_.api_url = rest_.url();
    }
    RestClient client() const { return RestClient{config_, log::Logger{}}; }
    template <class T>
    Result<T> outcome(asio::awaitable<Result<T>> work) {
        return test::result_of(shard_, std::move(work));
    }
    static NewCall new_call() {
        NewCall call;
        call.to = "+902125550111";
        call.from = "+12025550123";
        return call;
    }

    FakeTwilioRest rest_;
    Config config_;
    async::Shard shard_{0};
};

TEST_F(TwilioRestClient, PlacesACallAsTheAccount) {
    const auto client = this->client();
    const auto placed = outcome(client.place(shard_, new_call()));
    ASSERT_TRUE(placed) << placed.error().message();
    EXPECT_EQ(*placed, "CAout1");
    EXPECT_EQ(
        rest_.asked(0).authorization,
        "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTpzZWNyZXQ="
    );
}

TEST_F(TwilioRestClient, RepeatsAfter429AndAfterServerErrorsOfUpdates) {
    rest_.next({429, R"({"code":20429,"message":"Too many"})", "Retry-After: 0\r\n"});
    rest_.next({503, "<html>"});
    const auto client = this->client();
    EXPECT_TRUE(outcome(client.redirect(shard_, "CA12", dial("+902125550111"))));
    EXPECT_EQ(rest_.count(), 3u);
}

TEST_F(TwilioRestClient, NeverPlacesACallTwice) {
    rest_.next({500, ""});
    const auto client = this->client();
    EXPECT_EQ(outcome(client.place(shard_, new_call())).error(), CallControlErrc::unavailable);
    rest_.next({.breaks = true});
    EXPECT_EQ(outcome(client.place(shard_, new_call())).error(), CallControlErrc::unavailable);
    EXPECT_EQ(rest_.count(), 2u);
}

TEST_F(TwilioRestClient, ACallThatIsOverCountsAsHungUpButCannotBeTransferred) {
    rest_.next({404, R"({"code":20404,"status":404})"});
    rest_.next({404, R"({"code":20404,"status":404})"});
    const auto client = this->client();
    EXPECT_TRUE(outcome(client.hang_up(shard_, "CA12")));
    EXPECT_EQ(
        outcome(client.redirect(shard_, "CA12", dial("+902125550111"))).error(),
        CallControlErrc::gone
    );
}

TEST_F(TwilioRestClient, GivesUpWhenNothingComes) {
    config_.api_timeout = 100ms;
    for (int i = 0; i < 5; ++i)
        rest_.next({.after = 30s});
    const auto client = this->client();
    EXPECT_EQ(outcome(client.place(shard_, new_call())).error(), CallControlErrc::unavailable);
    EXPECT_EQ(rest_.count(), 1u) << "it may have been placed";
    EXPECT_EQ(outcome(client.hang_up(shard_, "CA12")).error(), CallControlErrc::unavailable);
}

TEST_F(TwilioRestClient, VerifiesTheCertificate) {
    const test::SelfMadeCertificate certificate{::testing::TempDir(), "localhost"};
    const test::TlsFront front{certificate, rest_.port()};
    config_.api_url = "https://localhost:" + std::to_string(front.port());
    const auto strict = this->client();
    EXPECT_FALSE(outcome(strict.hang_up(shard_, "CA12")));
    EXPECT_EQ(rest_.count(), 0u) << "the token went to nobody";
    config_.api_ca_file = certificate.certificate_file;
    const auto client = this->client();
    EXPECT_TRUE(outcome(client.hang_up(shard_, "CA12")));
}

TEST_F(TwilioRestClient, WithoutAnAccountAsksNobody) {
    config_.account_sid.clear();
    const auto client = this->client();
    EXPECT_FALSE(client.usable());
    EXPECT_EQ(outcome(client.place(shard_, new_call())).error(), CallControlErrc::not_supported);
    EXPECT_EQ(rest_.count(), 0u);
}

}  // namespace
}  // namespace oavc::transports::twilio
