#include "api/place_call.hpp"

#include "support/await.hpp"
#include "transports/errors.hpp"

#include <boost/json/parse.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace oavc::api {
namespace {

using pipeline::OutgoingErrc;
using ::testing::HasSubstr;
using transports::CallControlErrc;

TEST(DialRequest, IsReadFromItsMembers) {
    const auto request = parse_dial_request(
        R"({"to":"+902125550111","from":"+12025550123","agent":"sales","patience_s":30,)"
        R"("parameters":{"order":"77","name":"Şükrü"}})"
    );
    ASSERT_TRUE(request);
    EXPECT_EQ(request->to, "+902125550111");
    EXPECT_EQ(request->from, "+12025550123");
    EXPECT_EQ(request->agent, "sales");
    EXPECT_EQ(request->patience, std::chrono::seconds{30});
    EXPECT_EQ(request->parameters.at("name"), "Şükrü");
}

TEST(DialRequest, NamesTheMemberThatIsWrong) {
    struct Case {
        const char* body;
        const char* named;
    };
    for (const auto& c : {
             Case{"", "JSON object"},
             Case{"[]", "JSON object"},
             Case{"{\"to\":", "JSON object"},
             Case{"{}", "\"to\" is missing"},
             Case{R"({"to":5})", "\"to\""},
             Case{R"({"to":"1","from":"a\r\nb"})", "\"from\""},
             Case{R"({"to":"1","patience_s":4})", "5 to 300"},
             Case{R"({"to":"1","patience_s":"45"})", "patience_s"},
             Case{R"({"to":"1","parameters":{"a":1}})", "parameters"},
             Case{R"({"to":"1","number":"2"})", "\"number\" is not known"},
         }) {
        const auto request = parse_dial_request(c.body);
        ASSERT_FALSE(request) << c.body;
        EXPECT_THAT(request.error().what, HasSubstr(c.named)) << c.body;
    }
}

class FakeDialer final : public transports::Dialer {
public:
    asio::awaitable<Result<transports::Dialled>> dial(
        async::Shard&, transports::DialRequest request
    ) override {
        asked = std::move(request);
        if (error) co_return error;
        co_return transports::Dialled{"twilio", "CA1"};
    }
    transports::DialRequest asked;
    error_code error;
};

class PlaceCallTest : public ::testing::Test {
protected:
    PlaceCallTest() { outgoing_.add_carrier("twilio", dialer_); }
    net::HttpResponse post(const std::string& body) {
        net::HttpRequest request;
        request.method = "POST";
        request.target = "/api/v1/calls";
        request.body = body;
        return test::result_of(shard_, place_call(shard_, std::move(request), outgoing_));
    }

    FakeDialer dialer_;
    pipeline::OutgoingCalls outgoing_{
        pipeline::OutgoingConfig{{R"(\+90\d{10})"}, ""}, {"default"}, log::Logger{}};
    async::Shard shard_{0};
};

TEST_F(PlaceCallTest, AnswersWithWhereToFollowTheCall) {
    const auto response = post(R"({"to":"+902125550111"})");
    EXPECT_EQ(response.status, 202);
    EXPECT_EQ(response.content_type, "application/json");
    const auto body = boost::json::parse(response.body).as_object();
    EXPECT_EQ(body.at("via").as_string(), "twilio");
    EXPECT_EQ(body.at("native_id").as_string(), "CA1");
    EXPECT_EQ(std::string{body.at("id").as_string()}, dialer_.asked.id);
}

TEST_F(PlaceCallTest, SaysInItsStatusWhyNot) {
    struct Case {
        error_code error;
        int status;
        const char* reason;
    };
    for (const auto& c : {
             Case{CallControlErrc::busy, 409, "busy"},
             Case{CallControlErrc::not_found, 409, "not_found"},
             Case{CallControlErrc::no_capacity, 429, "no_capacity"},
             Case{CallControlErrc::unavailable, 502, "unavailable"},
             Case{CallControlErrc::no_answer, 504, "no_answer"},
         }) {
        dialer_.error = c.error;
        const auto response = post(R"({"to":"+902125550111"})");
        EXPECT_EQ(response.status, c.status) << c.reason;
        const auto body = boost::json::parse(response.body).as_object();
        EXPECT_EQ(body.at("code").as_string(), c.reason);
    }
    EXPECT_EQ(post(R"({"to":"+4930123456"})").status, 403);
    EXPECT_EQ(post(R"({"to":"sales"})").status, 400);
    EXPECT_EQ(post("{").status, 400);
    EXPECT_EQ(status_of(OutgoingErrc::no_sign), 504);
    outgoing_.begin_drain();
    EXPECT_EQ(post(R"({"to":"+902125550111"})").status, 503);
}

}  // namespace
}  // namespace oavc::api
