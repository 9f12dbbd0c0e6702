#include "caller/bench/twilio_messages.hpp"

#include "base/base64.hpp"
#include "caller/bench/ws_frames.hpp"
#include "caller/twilio_peer.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace oavc::caller::bench {
namespace {

using ::testing::HasSubstr;
using Kind = TwilioOrder::Kind;

class TwilioMessagesTest : public ::testing::Test {
protected:
    boost::json::value json(std::size_t size) const {
        return boost::json::parse({buffer_.data(), size});
    }
    std::string_view sid() const { return ids_.stream_sid; }

    const TwilioIds ids_{TwilioIds::make()};
    TwilioCounter counter_;
    std::array<char, longest_twilio_message> buffer_{};
};

TEST_F(TwilioMessagesTest, AreCountedAndNamedAsTwilioDoes) {
    const std::vector<std::byte> ulaw(160, std::byte{0x7F});
    const auto media = json(counter_.media(buffer_.data(), ids_, ulaw, 20ms));
    EXPECT_EQ(media.at("event").as_string(), "media");
    EXPECT_EQ(media.at("sequenceNumber").as_string(), "2") << "1 is start's";
    EXPECT_EQ(media.at("streamSid").as_string(), sid());
    EXPECT_EQ(media.at("media").at("track").as_string(), "inbound");
    EXPECT_EQ(media.at("media").at("chunk").as_string(), "1");
    EXPECT_EQ(media.at("media").at("timestamp").as_string(), "20");
    EXPECT_EQ(media.at("media").at("payload").as_string(), base64::encode(ulaw));

    const auto mark = json(counter_.mark(buffer_.data(), ids_, R"(a \"name\")"));
    EXPECT_EQ(mark.at("sequenceNumber").as_string(), "3");
    EXPECT_EQ(mark.at("mark").at("name").as_string(), "a \"name\"");
    const auto dtmf = json(counter_.dtmf(buffer_.data(), ids_, '#'));
    EXPECT_EQ(dtmf.at("dtmf").at("digit").as_string(), "#");
    const auto stop = json(counter_.stop(buffer_.data(), ids_));
    EXPECT_EQ(stop.at("sequenceNumber").as_string(), "5");
    EXPECT_EQ(stop.at("stop").at("callSid").as_string(), std::string_view{ids_.call_sid});
}

TEST_F(TwilioMessagesTest, AStreamBeginsWithWhatItsTwimlSaid) {
    const auto start = boost::json::parse(start_message(ids_, {{"token", "secret \"1\""}}));
    EXPECT_EQ(start.at("streamSid").as_string(), sid());
    EXPECT_EQ(start.at("start").at("customParameters").at("token").as_string(), "secret \"1\"");
    EXPECT_EQ(boost::json::parse(connected_message()).at("event").as_string(), "connected");
}

TEST_F(TwilioMessagesTest, TheLongestMessagesFit) {
    const std::vector<std::byte> ulaw(320);
    EXPECT_LT(counter_.media(buffer_.data(), ids_, ulaw, 24h), buffer_.size());
    const std::string name(longest_mark_name, 'x');
    EXPECT_LT(counter_.mark(buffer_.data(), ids_, name), buffer_.size());
}

TEST_F(TwilioMessagesTest, OrdersAreReadWhateverTheirForm) {
    const auto read = [this](std::string text) {
        for (auto at = text.find('@'); at != std::string::npos; at = text.find('@'))
            text.replace(at, 1, sid());
        auto order = read_order(text, ids_);
        return std::pair{order.kind, std::string{order.text}};
    };
    using Order = std::pair<Kind, std::string>;
    EXPECT_EQ(
        read(R"({"event":"media","streamSid":"@","media":{"payload":"f39/"}})"),
        (Order{Kind::media, "f39/"})
    );
    EXPECT_EQ(
        read(R"({ "media" : { "payload" : "f39/" },
                  "streamSid" : "@", "event" : "media" })"),
        (Order{Kind::media, "f39/"})
    );
    EXPECT_EQ(
        read(R"({"event":"mark","streamSid":"@","mark":{"name":"a\"b"}})"),
        (Order{Kind::mark, R"(a\"b)"})
    );
    EXPECT_EQ(read(R"({"event":"clear","streamSid":"@"})"), (Order{Kind::clear, ""}));
    for (const std::string wrong :
         {"",
          "media",
          R"({"event":"clear"})",
          R"({"event":"clear","streamSid":"MZ1"})",
          R"({"event":"media","streamSid":"@"})",
          R"({"event":"mark","streamSid":"@","mark":{}})",
          R"({"event":"dance","streamSid":"@"})",
          R"({"event":"clear","streamSid":"@)"}) {
        EXPECT_EQ(read(wrong).first, Kind::senseless) << wrong;
    }
    const std::string long_name(longest_mark_name + 1, 'x');
    EXPECT_EQ(
        read(R"({"event":"mark","streamSid":"@","mark":{"name":")" + long_name + R"("}})").first,
        Kind::senseless
    );
}

TEST_F(TwilioMessagesTest, TheWebhookIsSigned) {
    TwilioWebhook webhook;
    webhook.host = "127.0.0.1:8088";
    webhook.url = "http://127.0.0.1:8088/";
    webhook.token = "0123456789abcdef0123456789abcdef";
    webhook.from = "+15550100";
    webhook.to = "bench";
    const auto request = webhook_request(webhook, ids_.call_sid);
    EXPECT_THAT(request, ::testing::StartsWith("POST / HTTP/1.1\r\nHost: 127.0.0.1:8088\r\n"));
    TwilioPeer::Identity identity;
    identity.account_sid = bench_account;
    identity.call_sid = ids_.call_sid;
    identity.from = "+15550100";
    identity.to = "bench";
    const auto signature = twilio_signature(
        webhook.token, webhook.url, TwilioPeer{std::move(identity)}.webhook_parameters()
    );
    EXPECT_THAT(request, HasSubstr("X-Twilio-Signature: " + signature + "\r\n"));
    const auto body = request.substr(request.find("\r\n\r\n") + 4);
    EXPECT_THAT(body, HasSubstr(std::string{"CallSid="} + ids_.call_sid));
    EXPECT_THAT(request, HasSubstr("Content-Length: " + std::to_string(body.size()) + "\r\n"));
}

// --- frames ---

std::string sealed(std::string_view text, std::uint32_t mask) {
    std::string room(ws_head_room, '?');
    room += text;
    return std::string{ws_seal(WsOp::text, room.data() + ws_head_room, text.size(), mask)};
}

TEST(WsClientFrames, AreAsTheStandardShows) {
    // RFC 6455 §5.7; the key's bytes in the order in which they are sent.
    EXPECT_EQ(
        sealed("Hello", 0x3D21FA37),
        (std::string{"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11})
    );
    for (const std::size_t size : {0u, 1u, 8u, 125u, 126u, 385u, 4000u}) {
        const std::string text(size, 'a');
        auto frame = sealed(text, 0x12345678);
        const std::size_t head = size < 126 ? 6 : 8;
        ASSERT_EQ(frame.size(), head + size);
        for (std::size_t i = 0; i < size; ++i)
            frame[head + i] = static_cast<char>(frame[head + i] ^ frame[head - 4 + i % 4]);
        EXPECT_EQ(frame.substr(head), text);
    }
}

TEST(WsClientFrames, AServersAreCutHoweverTheyArrive) {
    const std::string bytes = std::string{"\x81\x05Hello\x89\x00\x82\x7E\x01\x00", 13} +
                              std::string(256, 'x') + std::string{"\x88\x02\x03\xE8", 4};
    for (const std::size_t step : {bytes.size(), std::size_t{1}, std::size_t{100}}) {
        WsCutter cutter;
        std::vector<std::pair<WsOp, std::size_t>> frames;
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            EXPECT_TRUE(cutter.feed(bytes.substr(at, step), [&](const WsFrame& frame) {
                frames.emplace_back(frame.op, frame.payload.size());
                return true;
            }));
        }
        EXPECT_EQ(
            frames,
            (std::vector<std::pair<WsOp, std::size_t>>{
                {WsOp::text, 5}, {WsOp::ping, 0}, {WsOp::binary, 256}, {WsOp::close, 2}})
        ) << step;
    }
}

TEST(WsClientFrames, WhatNoServerMaySendIsRefused) {
    for (const std::string_view wrong :
         {std::string_view{"\x81\x81\x00\x00\x00\x00x", 7},
          std::string_view{"\x01\x01x"},
          std::string_view{"\xC1\x01x"},
          std::string_view{"\x83\x01x"},
          std::string_view{"\x82\x7F\x00\x00\x00\x00\x00\x20\x00\x00", 10}}) {
        EXPECT_FALSE(WsCutter{}.feed(wrong, [](const WsFrame&) { return true; }));
    }
}

TEST(HttpReply, IsReadOnceItIsWhole) {
    const std::string text =
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\ncontent-length: 5\r\n\r\nhello";
    for (std::size_t size = 0; size < text.size(); ++size)
        EXPECT_FALSE(read_reply(std::string_view{text}.substr(0, size))) << size;
    const std::string longer = text + "more";
    const auto reply = read_reply(longer);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->body, "hello");
    EXPECT_EQ(reply->size, text.size());
    EXPECT_EQ(read_reply("SMTP\r\n\r\n")->status, 0);
    EXPECT_EQ(read_reply("HTTP/1.1 200 OK\r\n\r\n")->status, 0) << "no length";
    const auto shaken = read_reply(
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: "
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    EXPECT_TRUE(ws_accepted(*shaken, "dGhlIHNhbXBsZSBub25jZQ=="));
    EXPECT_FALSE(ws_accepted(*shaken, "another"));
}

}  // namespace
}  // namespace oavc::caller::bench
