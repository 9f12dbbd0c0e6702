#include "transports/opensips/mi_protocol.hpp"

#include "base/bytes.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>

#include <string>

namespace oavc::transports::opensips {
namespace {

std::string written(const MiCommand& command) {
    const auto text = write_mi_request(7, command);
    return text ? *text : "error: " + text.error().message();
}

Result<MiResponse> parsed(std::string_view text) { return parse_mi_response(as_bytes(text)); }

TEST(WriteMiRequest, HasExactlyTheParametersThatOpensipsKnows) {
    EXPECT_EQ(
        written(ua_session_reply("B2B.1.2.3.4", "INVITE", 200, "OK", MiBody{"v=0\r\n"})),
        R"({"jsonrpc":"2.0","id":7,"method":"ua_session_reply","params":{"key":"B2B.1.2.3.4",)"
        R"("method":"INVITE","code":200,"reason":"OK","body":"v=0\r\n"}})"
    );
    EXPECT_EQ(written(uptime()), R"({"jsonrpc":"2.0","id":7,"method":"uptime"})");
    EXPECT_EQ(
        written(event_subscribe("E_UA_SESSION", "udp:127.0.0.1:8090", 60)),
        R"({"jsonrpc":"2.0","id":7,"method":"event_subscribe","params":{"event":"E_UA_SESSION",)"
        R"("socket":"udp:127.0.0.1:8090","expire":60}})"
    );
    EXPECT_EQ(
        written(ua_session_terminate("k")),
        R"({"jsonrpc":"2.0","id":7,"method":"ua_session_terminate","params":{"key":"k"}})"
    );
}

TEST(WriteMiRequest, HeadersNeverGoWithoutABody) {
    const auto reply = ua_session_reply("k", "INVITE", 503, "Busy", {}, {{"Retry-After", "10"}});
    EXPECT_EQ(*reply.text("body"), "");
    EXPECT_EQ(*reply.text("content_type"), "");
    EXPECT_EQ(*reply.text("extra_headers"), "Retry-After: 10\r\n");
    const auto refer = ua_session_update("k", "REFER", {}, {{"Refer-To", "<sip:a@b>"}, {"X", "y"}});
    EXPECT_EQ(*refer.text("body"), "");
    EXPECT_EQ(*refer.text("extra_headers"), "Refer-To: <sip:a@b>\r\nX: y\r\n");
    EXPECT_EQ(ua_session_reply("k", "INFO", 200, "OK").text("body"), nullptr);
}

TEST(WriteMiRequest, ContentTypeIsAWholeHeaderLine) {
    const auto info =
        ua_session_update("k", "INFO", MiBody{"Signal=1\r\n", "application/dtmf-relay"});
    EXPECT_EQ(*info.text("content_type"), "Content-Type: application/dtmf-relay\r\n");
}

TEST(WriteMiRequest, ALineEndInAHeaderAddsNoHeader) {
    const auto refer =
        ua_session_update("k", "REFER", {}, {{"Refer-To", "<sip:a@b>\r\nEvil: yes"}});
    EXPECT_EQ(*refer.text("extra_headers"), "Refer-To: <sip:a@b>Evil: yes\r\n");
}

TEST(WriteMiRequest, EveryByteBecomesJsonThatReadsBack) {
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    bytes +=
        "Gr\xC3\xBC\xC3\x9F"
        "e \xE4\xBD\xA0 \xF0\x9F\x98\x80 \xED\xA0\x80";  // … and a surrogate
    const auto text = written(ua_session_reply("k", "INVITE", 200, bytes));
    boost::system::error_code error;
    const auto document = boost::json::parse(text, error);
    ASSERT_FALSE(error) << error.message();
    const std::string reason{document.at("params").at("reason").as_string()};
    EXPECT_EQ(reason.substr(0, 31), bytes.substr(1, 31));  // all but NUL
    EXPECT_NE(
        reason.find("Gr\xC3\xBC\xC3\x9F"
                    "e \xE4\xBD\xA0 \xF0\x9F\x98\x80"),
        std::string::npos
    );
    EXPECT_EQ(text.find('\0'), std::string::npos);
    EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(WriteMiRequest, IsNeverLongerThanOpensipsReads) {
    const auto length = written(ua_session_reply("k", "INVITE", 200, "")).size();
    const std::string fits(max_mi_request - length, 'x');
    EXPECT_EQ(written(ua_session_reply("k", "INVITE", 200, fits)).size(), max_mi_request);
    EXPECT_EQ(
        write_mi_request(7, ua_session_reply("k", "INVITE", 200, fits + "x")).error(),
        OpensipsErrc::too_long
    );
}

TEST(ParseMiResponse, ReadsResultsAndErrors) {
    const auto ok = parsed(R"({"jsonrpc":"2.0","result":"OK","id":3})");
    ASSERT_TRUE(ok.has_value());
    EXPECT_TRUE(ok->ok);
    EXPECT_EQ(ok->id, 3u);
    EXPECT_EQ(ok->message, "OK");
    const auto failed = parsed(
        R"({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":"Too few"},"id":4})"
    );
    ASSERT_TRUE(failed.has_value());
    EXPECT_FALSE(failed->ok);
    EXPECT_EQ(failed->code, -32602);
    EXPECT_EQ(failed->message, "Invalid params: Too few");
}

TEST(ParseMiResponse, ReadsBareLines) {
    const auto bare = parsed("400 Parse_error");
    ASSERT_TRUE(bare.has_value());
    EXPECT_FALSE(bare->ok);
    EXPECT_EQ(bare->code, 400);
    EXPECT_EQ(bare->message, "Parse_error");
    EXPECT_EQ(bare->id, std::nullopt);
    EXPECT_EQ(parsed("500 Internal error\n")->code, 500);
}

TEST(ParseMiResponse, KeepsIdsThatAreOurs) {
    EXPECT_EQ(parsed(R"({"result":"OK","id":2147483647})")->id, 2147483647u);
    for (const auto* id : {"null", "\"7\"", "-1", "2147483648", "7.5", "[7]"}) {
        EXPECT_EQ(parsed(std::string{R"({"result":"OK","id":)"} + id + "}")->id, std::nullopt)
            << id;
    }
}

TEST(ParseMiResponse, ReadsTheListOfSessions) {
    const auto list = parsed(
        R"({"result":[)"
        R"({"state":1,"callid":"1-358@127.0.0.1","from_uri":"sip:a@b","to_uri":"sip:c@d",)"
        R"("to_tag":"B2B.145.275.1795338407.2054031884.3","contact":{"caller":"sip:a@192.0.2.7:5070"}},)"
        R"({"state":5,"callid":"B2B.229.1.1795338407.5","to_tag":"620SIPpUas1"},)"
        R"({"state":1,"callid":"x","to_tag":"y"},7],"id":2})"
    );
    ASSERT_TRUE(list.has_value());
    ASSERT_EQ(list->sessions.size(), 2u);
    EXPECT_EQ(list->sessions[0].key, "B2B.145.275.1795338407.2054031884");
    EXPECT_FALSE(list->sessions[0].outgoing);
    EXPECT_EQ(list->sessions[0].created(), 1795338407);
    EXPECT_EQ(list->sessions[0].contact, "sip:a@192.0.2.7:5070");
    EXPECT_TRUE(list->sessions[1].outgoing);
    EXPECT_EQ(list->sessions[1].key, "B2B.229.1.1795338407.5");
}

TEST(ParseMiResponse, ReadsUptime) {
    const auto up = parsed(
        R"({"result":{"Now":"x","Up since":"Sun Nov 22 09:07:11 2026","Up time":"71 [sec]"},"id":1})"
    );
    ASSERT_TRUE(up.has_value());
    EXPECT_EQ(up->up_since, "Sun Nov 22 09:07:11 2026");
    EXPECT_EQ(up->up_seconds, 71);
}

TEST(ParseMiResponse, RefusesWhatIsNone) {
    for (const auto* text : {"", "{", "[]", "7", "hello", "99", "\xff\xfe", "{\"result\":"}) {
        EXPECT_EQ(parsed(text).error(), OpensipsErrc::not_json) << text;
    }
    EXPECT_EQ(parsed(R"({"id":1})").error(), OpensipsErrc::not_a_response);
    EXPECT_EQ(parsed(std::string(70'000, '[')).error(), OpensipsErrc::too_long);
    EXPECT_EQ(parsed(std::string(60'000, '[')).error(), OpensipsErrc::not_json);
}

}  // namespace
}  // namespace oavc::transports::opensips
