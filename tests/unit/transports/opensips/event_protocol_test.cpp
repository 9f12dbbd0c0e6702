#include "transports/opensips/event_protocol.hpp"

#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include <string>

namespace oavc::transports::opensips {
namespace {

std::string event_with(std::string_view members) {
    return R"({"jsonrpc":"2.0","method":"E_UA_SESSION","params":{"key":"B2B.1.2.3.4",)" +
           std::string{members} + "}}";
}
constexpr std::string_view minimal = R"("event_type":"NEW","method":"INVITE")";

Result<UaEvent> parsed(std::string_view text) { return parse_event(as_bytes(text)); }

TEST(ParseEvent, ReadsAllMembers) {
    const auto event = parsed(event_with(
        R"("event_type":"ANSWERED","entity_type":"UAC","status":202,"reason":"Accepted",)"
        R"("method":"REFER","body":"","headers":"A: b\r\n","extra_params":"x","future":[1,{}])"
    ));
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->key, "B2B.1.2.3.4");
    EXPECT_EQ(event->type, UaEventType::answered);
    EXPECT_TRUE(event->outgoing);
    EXPECT_EQ(event->status, 202);
    EXPECT_EQ(event->reason, "Accepted");
    EXPECT_EQ(event->method, "REFER");
    EXPECT_EQ(event->body, "");
    EXPECT_EQ(event->headers, "A: b\r\n");
    EXPECT_EQ(event->extra_params, "x");
}

TEST(ParseEvent, NullIsNotAnEmptyText) {
    const auto event = parsed(event_with(std::string{minimal} + R"(,"body":null,"headers":null)"));
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->body, std::nullopt);
    EXPECT_TRUE(event->is_blind());
}

TEST(ParseEvent, BytesThatAreNoUtf8AreReplacedAndTheRestIsKept) {
    const auto event = parsed(event_with(
        std::string{minimal} +
        ",\"body\":\"a\\u0001b\x7f/\xff\",\"headers\":\"Subject: Gr\xfc\xdf"
        "e \xe4\xbd\xa0\\r\\n\""
    ));
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(
        event->body,
        "a\x01"
        "b\x7f/\xEF\xBF\xBD"
    );
    EXPECT_EQ(
        event->headers,
        "Subject: Gr\xEF\xBF\xBD\xEF\xBF\xBD"
        "e \xE4\xBD\xA0\r\n"
    );
}

TEST(ParseEvent, ANulByteOrARawLineEndDoesNotLoseTheEvent) {
    std::string text = event_with(std::string{minimal} + ",\"body\":\"a?b\"");
    text[text.find('?')] = '\0';
    EXPECT_EQ(parsed(text)->body, "a b");
    EXPECT_TRUE(parsed(event_with(minimal) + "\n").has_value());
}

TEST(ParseEvent, RefusesWhatIsNone) {
    for (const auto* text : {"", "x", "[]", "{\"method\":", "\x80\x02\x00\x01"}) {
        EXPECT_EQ(parsed(text).error(), OpensipsErrc::not_json) << text;
    }
    EXPECT_EQ(
        parsed(R"({"jsonrpc":"2.0","result":"OK","id":1})").error(), OpensipsErrc::not_an_event
    );
    EXPECT_EQ(
        parsed(R"({"method":"E_OTHER","params":{"key":"B2B.1.2.3.4"}})").error(),
        OpensipsErrc::not_an_event
    );
    EXPECT_EQ(
        parsed(event_with(R"("event_type":"ODD","method":"INVITE")")).error(),
        OpensipsErrc::not_an_event
    );
    EXPECT_EQ(parsed(event_with(R"("event_type":"NEW")")).error(), OpensipsErrc::not_an_event);
    EXPECT_EQ(parsed(std::string(66'000, ' ')).error(), OpensipsErrc::too_long);
}

TEST(ParseEvent, TakesOnlyKeysThatMayBeSentBack) {
    for (const auto* key : {"", "B2B 1", "B2B.1\\r\\nX", "\xc3\xbc", "a\\\"b"}) {
        const auto text =
            R"({"method":"E_UA_SESSION","params":{"event_type":"NEW","method":"INVITE","key":")" +
            std::string{key} + "\"}}";
        EXPECT_EQ(parsed(text).error(), OpensipsErrc::not_an_event) << key;
    }
}

TEST(ParseEvent, NoPrefixOfAnEventIsOne) {
    const auto whole = event_with(std::string{minimal} + R"(,"body":"v=0\r\n")");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_TRUE(parsed(std::string_view{whole}.substr(0, size)).has_error()) << size;
    }
}

}  // namespace
}  // namespace oavc::transports::opensips
