#include "base/base64.hpp"
#include "support/alloc_guard.hpp"
#include "transports/twilio/errors.hpp"
#include "transports/twilio/media_protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace oavc::transports::twilio {
namespace {

constexpr std::string_view stream = "MZ00000000000000000000000000000001";
constexpr std::string_view call = "CA00000000000000000000000000000001";

TEST(StreamParser, ReadsTheMessagesOfACallAsTwilioSendsThem) {
    StreamParser parser;
    const auto connected =
        parser.parse(R"({"event":"connected","protocol":"Call","version":"1.0.0"})");
    ASSERT_TRUE(connected.has_value());
    EXPECT_EQ(connected->event, StreamEvent::connected);

    const auto start = parser.parse(
        R"({"event":"start","sequenceNumber":"1","start":{"accountSid":"AC00000000000000000000000000000001","streamSid":"MZ00000000000000000000000000000001","callSid":"CA00000000000000000000000000000001","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":"b64url-one-time-token","tenant":"acme"}},"streamSid":"MZ00000000000000000000000000000001"})"
    );
    ASSERT_TRUE(start.has_value());
    EXPECT_EQ(start->event, StreamEvent::start);
    EXPECT_EQ(start->stream_sid, stream);
    EXPECT_EQ(start->call_sid, call);
    EXPECT_EQ(start->account_sid, "AC00000000000000000000000000000001");
    EXPECT_EQ(start->encoding, "audio/x-mulaw");
    EXPECT_EQ(start->sample_rate, 8000u);
    EXPECT_EQ(start->channels, 1u);
    ASSERT_EQ(start->parameters.size(), 2u);
    EXPECT_EQ(start->parameters[0].name, "token");
    EXPECT_EQ(start->parameters[0].value, "b64url-one-time-token");
    EXPECT_EQ(start->parameters[1].value, "acme");

    const auto media = parser.parse(
        R"({"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"//////////8="},"streamSid":"MZ00000000000000000000000000000001"})"
    );
    ASSERT_TRUE(media.has_value());
    EXPECT_EQ(media->event, StreamEvent::media);
    EXPECT_EQ(media->payload, "//////////8=");
    EXPECT_EQ(media->chunk, 1u);
    EXPECT_EQ(media->timestamp_ms, 5u);
    EXPECT_EQ(media->sequence_number, 2u);
    EXPECT_EQ(media->track, "inbound");
    EXPECT_TRUE(media->parameters.empty());

    const auto dtmf = parser.parse(
        R"({"event":"dtmf","streamSid":"MZ00000000000000000000000000000001","sequenceNumber":"57","dtmf":{"track":"inbound_track","digit":"1"}})"
    );
    EXPECT_EQ(dtmf->digit, "1");
    const auto mark = parser.parse(
        R"({"event":"mark","sequenceNumber":"58","streamSid":"MZ00000000000000000000000000000001","mark":{"name":"utt-3"}})"
    );
    EXPECT_EQ(mark->mark_name, "utt-3");
    const auto stop = parser.parse(
        R"({"event":"stop","sequenceNumber":"901","streamSid":"MZ00000000000000000000000000000001","stop":{"accountSid":"AC00000000000000000000000000000001","callSid":"CA00000000000000000000000000000001"}})"
    );
    EXPECT_EQ(stop->event, StreamEvent::stop);
    EXPECT_EQ(stop->call_sid, call);
}

TEST(StreamParser, TakesNumbersForStringsAndStringsForNumbers) {
    StreamParser parser;
    const auto media = parser.parse(
        R"({"sequenceNumber":2,"streamSid":"MZ1","media":{"payload":"AAAA","timestamp":5,"chunk":7},"event":"media"})"
    );
    ASSERT_TRUE(media.has_value());
    EXPECT_EQ(media->sequence_number, 2u);
    EXPECT_EQ(media->chunk, 7u);
    EXPECT_EQ(media->timestamp_ms, 5u);
    EXPECT_EQ(parser.parse(R"({"event":"dtmf","dtmf":{"digit":5}})")->digit, "5");
    const auto start = parser.parse(
        R"({"event":"start","start":{"streamSid":"M","callSid":"C","mediaFormat":{"sampleRate":"8000","channels":"1"},"customParameters":{"n":42 ,"yes":true}}})"
    );
    EXPECT_EQ(start->sample_rate, 8000u);
    EXPECT_EQ(start->parameters[0].value, "42");
    EXPECT_EQ(start->parameters[1].value, "true");
    EXPECT_EQ(
        parser
            .parse(R"({"event":"media","sequenceNumber":"x","media":{"payload":"AAAA","chunk":-1}})"
            )
            ->chunk,
        0u
    );
}

TEST(StreamParser, IgnoresWhatTwilioMayAdd) {
    StreamParser parser;
    const auto unknown = parser.parse(R"({"event":"new-thing","new-thing":{"a":[1,{"b":null}]}})");
    ASSERT_TRUE(unknown.has_value());
    EXPECT_EQ(unknown->event, StreamEvent::unknown);
    const auto media = parser.parse(
        R"({"event":"media","extra":[[[]]],"media":{"new":{"x":1},"payload":"AA\/A"},"streamSid":"a\u00e7"})"
    );
    ASSERT_TRUE(media.has_value());
    EXPECT_EQ(media->payload, "AA/A");
    EXPECT_EQ(media->stream_sid, "aç");
}

TEST(StreamParser, RefusesWhatMakesNoSense) {
    StreamParser parser;
    for (const std::string_view broken :
         {"",
          " ",
          "null",
          "[]",
          "\"event\"",
          "{",
          "{\"event\":\"media\"",
          "{\"event\":}",
          "{} x",
          "{\"event\":\"stop\"}{",
          "\xFF\xFE",
          "{\"event\":\"\xC3\"}"}) {
        EXPECT_TRUE(parser.parse(broken).has_error()) << broken;
    }
    for (const std::string_view incomplete :
         {R"({})",
          R"({"media":{"payload":"AAAA"}})",
          R"({"event":"media"})",
          R"({"event":"media","media":{}})",
          R"({"event":"media","media":"AAAA"})",
          R"({"event":"mark"})",
          R"({"event":"mark","mark":{}})",
          R"({"event":"dtmf","dtmf":{"digit":"12"}})",
          R"({"event":"dtmf","dtmf":{"digit":""}})",
          R"({"event":"start","start":{"streamSid":"M"}})",
          R"({"event":"start"})"}) {
        EXPECT_EQ(parser.parse(incomplete).error(), TwilioErrc::bad_message) << incomplete;
    }
    EXPECT_TRUE(parser.parse(R"({"event":"stop"})").has_value()) << "and goes on";
    EXPECT_EQ(
        parser.parse(std::string(max_message_bytes + 1, ' ')).error(), TwilioErrc::bad_message
    );
}

TEST(StreamParser, BoundsTheNumberOfParameters) {
    std::string text =
        R"({"event":"start","start":{"streamSid":"M","callSid":"C","customParameters":{)";
    for (int i = 0; i < 500; ++i)
        text += "\"p" + std::to_string(i) + "\":\"v\",";
    text += R"("last":"v"}}})";
    StreamParser parser;
    EXPECT_EQ(parser.parse(text)->parameters.size(), StreamParser::max_parameters);
}

TEST(StreamParser, NoPrefixOfAMessageParses) {
    const std::string text =
        R"({"event":"media","media":{"payload":"AAAA","chunk":"1"},"streamSid":"MZ1"})";
    StreamParser parser;
    for (std::size_t size = 0; size < text.size(); ++size) {
        EXPECT_TRUE(parser.parse(std::string_view{text}.substr(0, size)).has_error()) << size;
    }
    EXPECT_TRUE(parser.parse(text).has_value());
}

std::vector<std::byte> ramp(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(i);
    return bytes;
}

TEST(FrameAssembler, CutsPayloadsOfAnyLengthIntoFrames) {
    const auto audio = ramp(160 * 40);
    for (const std::size_t step : {1u, 7u, 80u, 159u, 160u, 161u, 320u, 1000u, 4000u}) {
        FrameAssembler assembler;
        std::vector<std::byte> out;
        for (std::size_t at = 0; at < audio.size(); at += step) {
            const auto part = std::span{audio}.subspan(at, std::min(step, audio.size() - at));
            const auto pushed =
                assembler.push_base64(base64::encode(part), [&](FrameAssembler::Frame f) {
                    out.insert(out.end(), f.begin(), f.end());
                });
            EXPECT_TRUE(pushed.has_value());
        }
        EXPECT_EQ(out, audio) << step;
        EXPECT_EQ(assembler.pending_bytes(), 0u);
    }
}

TEST(FrameAssembler, RefusesWhatIsNotBase64) {
    FrameAssembler assembler;
    int frames = 0;
    const auto count = [&](FrameAssembler::Frame) { ++frames; };
    EXPECT_EQ(assembler.push_base64("not base64!", count).error(), TwilioErrc::bad_payload);
    EXPECT_EQ(frames, 0);
    EXPECT_TRUE(assembler.push_base64(base64::encode(ramp(160)), count).has_value());
    EXPECT_EQ(frames, 1);
}

TEST(StreamWriter, WritesWhatTwilioExpects) {
    StreamWriter writer{stream};
    const std::vector<std::byte> silence(8, std::byte{0xFF});
    EXPECT_EQ(
        writer.media(silence),
        R"({"event":"media","streamSid":"MZ00000000000000000000000000000001","media":{"payload":"//////////8="}})"
    );
    EXPECT_EQ(
        writer.mark("e7:3"),
        R"({"event":"mark","streamSid":"MZ00000000000000000000000000000001","mark":{"name":"e7:3"}})"
    );
    EXPECT_EQ(
        writer.clear(), R"({"event":"clear","streamSid":"MZ00000000000000000000000000000001"})"
    );
    StreamWriter hostile{"a\"b\\c\n"};
    EXPECT_EQ(hostile.clear(), R"({"event":"clear","streamSid":"a\"b\\c\u000a"})");
}

TEST(CarrierWriter, WritesWhatOurParserReads) {
    CarrierWriter writer{{"AC1", "CA1", "MZ1", {{"token", "t\"x"}, {"ad", "Şükrü"}}}};
    StreamParser parser;
    EXPECT_EQ(parser.parse(writer.connected())->event, StreamEvent::connected);
    const auto start = parser.parse(writer.start());
    ASSERT_TRUE(start.has_value());
    EXPECT_EQ(start->sequence_number, 1u);
    EXPECT_EQ(start->call_sid, "CA1");
    EXPECT_EQ(start->sample_rate, 8000u);
    EXPECT_EQ(start->parameters[0].value, "Şükrü");
    EXPECT_EQ(start->parameters[1].value, "t\"x");
    const auto media = parser.parse(writer.media(ramp(160), 20));
    EXPECT_EQ(media->chunk, 1u);
    EXPECT_EQ(media->timestamp_ms, 20u);
    EXPECT_EQ(media->payload, base64::encode(ramp(160)));
    EXPECT_EQ(parser.parse(writer.dtmf('#'))->digit, "#");
    EXPECT_EQ(parser.parse(writer.mark("e1:1"))->mark_name, "e1:1");
    const auto stop = parser.parse(writer.stop());
    EXPECT_EQ(stop->event, StreamEvent::stop);
    EXPECT_EQ(stop->sequence_number, 5u);
}

TEST(MediaProtocol, AllocatesNothingPerMessage) {
    CarrierWriter twilio{{"AC1", "CA1", std::string{stream}, {}}};
    const auto message = twilio.media(ramp(160), 20);
    StreamParser parser;
    FrameAssembler assembler;
    StreamWriter writer{stream};
    const auto audio = ramp(160);
    std::size_t bytes = 0;
    const auto once = [&] {
        const auto parsed = parser.parse(message);
        const auto pushed = assembler.push_base64(
            parsed->payload, [&](FrameAssembler::Frame frame) { bytes += frame.size(); }
        );
        bytes += pushed.has_value() ? writer.media(audio).size() : 0;
    };
    once();
    const test::AllocGuard guard;
    for (int i = 0; i < 100; ++i)
        once();
    EXPECT_EQ(guard.count(), 0u);
    EXPECT_GT(bytes, 160u * 100u);
}

}  // namespace
}  // namespace oavc::transports::twilio
