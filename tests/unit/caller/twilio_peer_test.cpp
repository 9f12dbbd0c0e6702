#include "caller/twilio_peer.hpp"

#include "caller/errors.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace oavc::caller {
namespace {

namespace json = boost::json;

constexpr std::string_view token = "0123456789abcdef0123456789abcdef";

class TwilioPeerTest : public testing::Test {
protected:
    void SetUp() override {
        peer.send_start({}, TimePoint{});
        peer.take_outgoing();
    }
    /// `bytes` (whole groups of three) of loud audio: 0x10 each.
    Result<void> media(milliseconds at, std::size_t bytes) {
        std::string payload;
        for (std::size_t i = 0; i < bytes / 3; ++i)
            payload += "EBAQ";
        return send(
            at,
            fmt::format(
                R"({{"event":"media","streamSid":"{}","media":{{"payload":"{}"}}}})", sid(), payload
            )
        );
    }
    Result<void> mark(milliseconds at, std::string_view name) {
        return send(
            at,
            fmt::format(
                R"({{"event":"mark","streamSid":"{}","mark":{{"name":"{}"}}}})", sid(), name
            )
        );
    }
    Result<void> clear(milliseconds at) {
        return send(at, fmt::format(R"({{"event":"clear","streamSid":"{}"}})", sid()));
    }
    Result<void> send(milliseconds at, const std::string& message) {
        return peer.on_message(message, TimePoint{} + at);
    }
    const std::string& sid() const { return peer.identity().stream_sid; }
    std::vector<std::string> echoes() {
        std::vector<std::string> names;
        for (const auto& message : peer.take_outgoing()) {
            const auto value = json::parse(message);
            EXPECT_EQ(value.at("event").as_string(), "mark");
            names.emplace_back(value.at("mark").at("name").as_string());
        }
        return names;
    }
    /// Samples heard since the last call.
    std::size_t heard() {
        std::size_t samples = 0;
        for (const auto& piece : peer.take_heard())
            samples += piece.samples.size();
        return samples;
    }

    TwilioPeer peer{TwilioPeer::make_identity("", "+15550001", "+15550002")};
};

TEST(TwilioSignature, MatchesTheOfficialLibrary) {
    const std::map<std::string, std::string> parameters{
        {"AccountSid", "AC00000000000000000000000000000001"},
        {"ApiVersion", "2010-04-01"},
        {"CallSid", "CA00000000000000000000000000000001"},
        {"CallStatus", "ringing"},
        {"Direction", "inbound"},
        {"From", "+905321112233"},
        {"To", "+902125550100"},
    };
    EXPECT_EQ(
        twilio_signature(token, "https://voice.example.test/twilio/voice", parameters),
        "80XJN1WHgZbmX2MrnZGbpb67m6U="
    );
    EXPECT_EQ(
        twilio_signature(token, "wss://voice.example.test/twilio/media", {}),
        "jO+qLHLp+lz9/rbFAwoUaDtDsdc="
    );
}

TEST(FormEncoded, EscapesWhatIsNotPlain) {
    EXPECT_EQ(
        form_encoded({{"From", "+90 5"}, {"Name", "Şü&="}}), "From=%2B90+5&Name=%C5%9E%C3%BC%26%3D"
    );
}

TEST(ParseTwiml, FindsTheStreamAndItsParameters) {
    const auto order = parse_twiml(
        "<?xml version=\"1.0\"?>\n<Response><Connect action='/after'>\n"
        "<Stream url=\"wss://voice.example.test/ws\"><Parameter name=\"token\" value=\"a&amp;b\"/>"
        "<Parameter value='x' name='tenant'/></Stream></Connect><Hangup/></Response>"
    );
    ASSERT_TRUE(order);
    EXPECT_EQ(order->url, "wss://voice.example.test/ws");
    EXPECT_EQ(order->parameters.at("token"), "a&b");
    EXPECT_EQ(order->parameters.at("tenant"), "x");
}

TEST(ParseTwiml, SaysWhyThereIsNoStream) {
    EXPECT_EQ(parse_twiml("").error().code, CallerErrc::bad_twiml);
    EXPECT_NE(
        parse_twiml("<Response><Reject reason=\"busy\"/></Response>").error().what.find("refuses"),
        std::string::npos
    );
    EXPECT_TRUE(
        parse_twiml("<Response><Start><Stream url=\"wss://x/ws\"/></Start></Response>").has_error()
    );
    EXPECT_TRUE(
        parse_twiml("<Response><Connect><Stream url=\"wss://x/ws?a=1\"/></Connect></Response>")
            .has_error()
    );
    EXPECT_TRUE(parse_twiml("<html><Connect><Stream url=\"wss://x\"/></Connect></html>").has_error()
    );
    EXPECT_TRUE(parse_twiml("<Response><Connect").has_error());
}

TEST(TwilioPeer, SendsWhatTwilioSends) {
    TwilioPeer peer{TwilioPeer::make_identity("AC1", "+1", "+2")};
    peer.send_start({{"token", "t\"1"}}, TimePoint{});
    const std::vector<media::Sample> silence(160, 0);
    peer.send_media(silence, TimePoint{} + 20ms);
    peer.send_digit('5');
    peer.send_stop();
    const auto sent = peer.take_outgoing();
    ASSERT_EQ(sent.size(), 5U);
    EXPECT_EQ(sent[0], R"({"event":"connected","protocol":"Call","version":"1.0.0"})");
    const auto start = json::parse(sent[1]);
    EXPECT_EQ(start.at("sequenceNumber").as_string(), "1");
    EXPECT_EQ(start.at("start").at("customParameters").at("token").as_string(), "t\"1");
    EXPECT_EQ(start.at("start").at("mediaFormat").at("sampleRate").as_int64(), 8000);
    const auto media = json::parse(sent[2]);
    EXPECT_EQ(media.at("media").at("timestamp").as_string(), "20");
    EXPECT_EQ(media.at("media").at("payload").as_string().size(), 216U);
    EXPECT_TRUE(media.at("media").at("payload").as_string().starts_with("////"));
    EXPECT_EQ(json::parse(sent[3]).at("dtmf").at("digit").as_string(), "5");
    EXPECT_EQ(json::parse(sent[4]).at("sequenceNumber").as_string(), "4");
}

TEST_F(TwilioPeerTest, PlaysInRealTimeFromTheMomentMediaComesIn) {
    ASSERT_TRUE(media(5ms, 240));  // 30 ms, between two ticks
    peer.advance(TimePoint{} + 20ms);
    const auto first = peer.take_heard();
    ASSERT_EQ(first.size(), 1U);
    EXPECT_EQ(first[0].at, TimePoint{} + 5ms);
    EXPECT_EQ(first[0].samples.size(), 120U);
    peer.advance(TimePoint{} + 40ms);
    EXPECT_EQ(heard(), 120U);
    EXPECT_EQ(peer.buffered(), 0ms);
}

TEST_F(TwilioPeerTest, EchoesAMarkOnceWhatWasBeforeItHasBeenHeard) {
    ASSERT_TRUE(media(0ms, 240));
    ASSERT_TRUE(mark(1ms, "a"));
    ASSERT_TRUE(media(2ms, 240));
    ASSERT_TRUE(mark(2ms, "b"));
    peer.advance(TimePoint{} + 29ms);
    EXPECT_TRUE(echoes().empty());
    peer.advance(TimePoint{} + 30ms);
    EXPECT_EQ(echoes(), std::vector<std::string>{"a"});
    peer.advance(TimePoint{} + 60ms);
    EXPECT_EQ(echoes(), std::vector<std::string>{"b"});
    ASSERT_TRUE(mark(100ms, "empty"));
    EXPECT_EQ(echoes(), std::vector<std::string>{"empty"}) << "an empty buffer echoes at once";
}

TEST_F(TwilioPeerTest, ClearSilencesAtOnceAndEchoesPendingMarks) {
    ASSERT_TRUE(media(0ms, 2400));  // 300 ms
    ASSERT_TRUE(mark(0ms, "end"));
    peer.advance(TimePoint{} + 20ms);
    heard();
    ASSERT_TRUE(clear(33ms));
    EXPECT_EQ(heard(), 13U * 8) << "what sounded until the clear came";
    EXPECT_EQ(echoes(), std::vector<std::string>{"end"});
    peer.advance(TimePoint{} + 500ms);
    EXPECT_EQ(heard(), 0U);
    EXPECT_EQ(peer.stats().clears, 1U);
    ASSERT_TRUE(media(600ms, 240));
    peer.advance(TimePoint{} + 700ms);
    EXPECT_EQ(heard(), 240U) << "what comes after a clear is heard";
}

TEST_F(TwilioPeerTest, NoticesWhenSpeechRanDry) {
    ASSERT_TRUE(media(0ms, 240));
    peer.advance(TimePoint{} + 40ms);
    ASSERT_TRUE(media(75ms, 240));
    peer.advance(TimePoint{} + 200ms);
    ASSERT_TRUE(media(3000ms, 240));  // a pause between two replies
    EXPECT_EQ(peer.stats().longest_gap, 45ms);
    EXPECT_EQ(peer.stats().deepest, 30ms);
}

TEST_F(TwilioPeerTest, RefusesWhatTwilioWouldWarnAbout) {
    for (const std::string& wrong : {
             std::string{"not json"},
             std::string{"[]"},
             std::string{R"({"event":"media"})"},
             fmt::format(
                 R"({{"event":"media","streamSid":"{}","media":{{"payload":"%%%%"}}}})", sid()
             ),
             fmt::format(R"({{"event":"mark","streamSid":"{}","mark":{{}}}})", sid()),
             fmt::format(R"({{"event":"dance","streamSid":"{}"}})", sid()),
             std::string{R"({"event":"clear","streamSid":"MZother"})"},
         }) {
        EXPECT_EQ(send(0ms, wrong).error(), CallerErrc::bad_message) << wrong;
    }
    EXPECT_EQ(peer.stats().refused, 7U);
}

}  // namespace
}  // namespace oavc::caller
