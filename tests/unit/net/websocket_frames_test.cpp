#include "net/detail/websocket_frames.hpp"

#include "support/fuzz_websocket.hpp"
#include "support/masked_frame.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace oavc::net::detail {
namespace {

using test::masked_frame;
using Kind = WsReader::Kind;

/// An item whose bytes are its own.
struct Read {
    Kind kind;
    std::string data;
    std::uint16_t code{0};
    friend bool operator==(const Read&, const Read&) = default;
};

/// Everything in `bytes`, handed to the reader `step` bytes at a time.
std::vector<Read> read_all(std::string_view bytes, std::size_t step, std::size_t limit = 1 << 20) {
    WsReader reader{limit};
    std::vector<Read> items;
    std::string stored;
    while (!bytes.empty()) {
        const auto part = bytes.substr(0, step);
        bytes.remove_prefix(part.size());
        stored += part;
        std::span<char> rest = stored;
        for (;;) {
            const auto item = reader.next(rest);
            if (item.kind == Kind::need_more) break;
            items.push_back({item.kind, std::string{item.data}, item.code});
            if (item.kind == Kind::broken) return items;
        }
        stored.erase(0, stored.size() - rest.size());
    }
    if (!stored.empty()) items.push_back({Kind::need_more, stored, 0});
    return items;
}
std::vector<Read> read_all(std::string_view bytes) { return read_all(bytes, bytes.size()); }

Read broken(std::uint16_t code) { return {Kind::broken, "", code}; }

TEST(WsReader, ReadsWhatTheStandardShows) {
    // RFC 6455 §5.7: a single-frame masked text message.
    const std::string hello{"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11};
    EXPECT_EQ(read_all(hello), (std::vector<Read>{{Kind::text, "Hello"}}));
}

TEST(WsReader, ReadsMessagesOfEveryLengthHoweverTheyArrive) {
    for (const std::size_t size : {0u, 1u, 7u, 8u, 9u, 125u, 126u, 127u, 385u, 65'535u, 65'536u}) {
        const std::string text(size, 'a');
        const auto bytes = masked_frame(0x81, text) + masked_frame(0x82, text);
        const std::vector<Read> both{{Kind::text, text}, {Kind::binary, text}};
        EXPECT_EQ(read_all(bytes), both) << size;
        EXPECT_EQ(read_all(bytes, 4096), both) << size;
        if (size < 1000) EXPECT_EQ(read_all(bytes, 1), both) << size;
    }
}

TEST(WsReader, JoinsFragmentsWithControlFramesBetweenThem) {
    const auto bytes = masked_frame(0x01, "one ") + masked_frame(0x89, "ping") +
                       masked_frame(0x00, "two ") + masked_frame(0x8A, "") +
                       masked_frame(0x80, "three") + masked_frame(0x02, "x") +
                       masked_frame(0x80, "y") + masked_frame(0x81, "whole");
    const std::vector<Read> expected{
        {Kind::ping, "ping"},
        {Kind::pong, ""},
        {Kind::text, "one two three"},
        {Kind::binary, "xy"},
        {Kind::text, "whole"}};
    EXPECT_EQ(read_all(bytes), expected);
    EXPECT_EQ(read_all(bytes, 1), expected);
}

TEST(WsReader, AHundredThousandEmptyFragmentsAreOneMessage) {
    std::string bytes = masked_frame(0x01, "");
    for (int i = 0; i < 100'000; ++i)
        bytes += masked_frame(0x00, "");
    bytes += masked_frame(0x80, "end");
    EXPECT_EQ(read_all(bytes), (std::vector<Read>{{Kind::text, "end"}}));
}

TEST(WsReader, RefusesWhatTheStandardForbids) {
    const std::vector<std::string> wrong{
        std::string{"\x81\x05hello"},                                 // not masked
        masked_frame(0xC1, "rsv1"),                                   // no extension was agreed on
        masked_frame(0xA1, "rsv2"),                                   // dto.
        masked_frame(0x91, "rsv3"),                                   // dto.
        masked_frame(0x83, "opcode 3"),                               // reserved
        masked_frame(0x8B, "opcode 11"),                              // dto.
        masked_frame(0x09, "half a ping"),                            // control frames are whole
        masked_frame(0x89, std::string(126, 'x')),                    // … and short
        masked_frame(0x80, "continues nothing"),                      //
        masked_frame(0x01, "a") + masked_frame(0x81, "b"),            // a message within a message
        std::string{"\x81\xFE\x00\x05", 4} + std::string(9, 'x'),     // a length longer than needed
        std::string{"\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00", 10},  // a negative one
        masked_frame(0x88, "x"),                                      // half a close code
        masked_frame(0x88, std::string{"\x03\xE7", 2}),               // 999
        masked_frame(0x88, std::string{"\x03\xED", 2}),               // 1005 is never sent
        masked_frame(0x88, std::string{"\x0B\xB7", 2}),               // 2999
        masked_frame(0x88, std::string{"\x13\x88", 2}),               // 5000
    };
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        const auto items = read_all(wrong[i]);
        ASSERT_FALSE(items.empty()) << i;
        EXPECT_EQ(items.back(), broken(ws_close_protocol_error)) << i;
    }
}

TEST(WsReader, TellsThePeersCloseCodeAndReason) {
    const std::string normal{
        "\x03\xE8"
        "bye",
        5};
    EXPECT_EQ(
        read_all(masked_frame(0x88, normal)), (std::vector<Read>{{Kind::close, "bye", 1000}})
    );
    EXPECT_EQ(
        read_all(masked_frame(0x88, "")), (std::vector<Read>{{Kind::close, "", ws_close_no_status}})
    );
    const std::string own{"\x0F\xA1", 2};
    EXPECT_EQ(read_all(masked_frame(0x88, own)), (std::vector<Read>{{Kind::close, "", 4001}}));
    const std::string bad_reason{"\x03\xE8\xFF", 3};
    EXPECT_EQ(
        read_all(masked_frame(0x88, bad_reason)), (std::vector<Read>{broken(ws_close_bad_text)})
    );
}

TEST(WsReader, TextIsUtf8AndBinaryIsAnything) {
    EXPECT_EQ(
        read_all(masked_frame(0x81, "bir g\xC3\xBCn, \xF0\x9F\x98\x80")),
        (std::vector<Read>{{Kind::text, "bir g\xC3\xBCn, \xF0\x9F\x98\x80"}})
    );
    EXPECT_EQ(
        read_all(masked_frame(0x81, "bad \xFF")), (std::vector<Read>{broken(ws_close_bad_text)})
    );
    EXPECT_EQ(read_all(masked_frame(0x82, "\xFF")), (std::vector<Read>{{Kind::binary, "\xFF"}}));
    // A character may be cut by fragments, but not by the end.
    EXPECT_EQ(
        read_all(masked_frame(0x01, "\xC3") + masked_frame(0x80, "\xBC")),
        (std::vector<Read>{{Kind::text, "\xC3\xBC"}})
    );
    EXPECT_EQ(
        read_all(masked_frame(0x01, "x") + masked_frame(0x80, "\xC3")),
        (std::vector<Read>{broken(ws_close_bad_text)})
    );
}

TEST(WsReader, AMessageOverTheLimitIsRefusedBeforeItsBytesCome) {
    const std::string text(100, 'x');
    EXPECT_EQ(
        read_all(masked_frame(0x81, text), 4096, 100), (std::vector<Read>{{Kind::text, text}})
    );
    const auto too_long = masked_frame(0x81, text + "y");
    EXPECT_EQ(
        read_all(too_long.substr(0, 8), 4096, 100), std::vector<Read>{broken(ws_close_too_big)}
    );
    const auto in_parts = masked_frame(0x01, text) + masked_frame(0x80, "y").substr(0, 2);
    EXPECT_EQ(read_all(in_parts, 4096, 100), std::vector<Read>{broken(ws_close_too_big)});
    const std::string huge{"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10};
    EXPECT_EQ(read_all(huge), std::vector<Read>{broken(ws_close_too_big)});
    // The message before it does not count.
    const auto two = masked_frame(0x01, text) + masked_frame(0x80, "") + masked_frame(0x81, text);
    EXPECT_EQ(
        read_all(two, 4096, 100), (std::vector<Read>{{Kind::text, text}, {Kind::text, text}})
    );
}

TEST(Utf8, AcceptsAndRefusesAsTheStandardSays) {
    for (const std::string_view good :
         {"",
          "plain",
          "\xC2\x80",
          "\xE0\xA0\x80",
          "\xED\x9F\xBF",
          "\xEF\xBF\xBF",
          "\xF4\x8F\xBF\xBF"}) {
        EXPECT_TRUE(valid_utf8(good)) << good;
    }
    for (const std::string_view bad :
         {"\x80",
          "\xC0\x80",
          "\xC1\xBF",
          "\xE0\x9F\xBF",
          "\xED\xA0\x80",
          "\xF0\x8F\xBF\xBF",
          "\xF4\x90\x80\x80",
          "\xF5\x80\x80\x80",
          "\xC2",
          "\xE1\x80",
          "\xF1\x80\x80",
          "\xC2x"}) {
        EXPECT_FALSE(valid_utf8(bad)) << bad;
    }
}

TEST(WsFrames, AreWrittenAsTheStandardShows) {
    std::string out;
    append_frame(out, WsOpcode::text, "Hello");
    EXPECT_EQ(out, "\x81\x05Hello");
    out.clear();
    append_frame(out, WsOpcode::binary, std::string(256, 'x'));
    EXPECT_EQ(out.substr(0, 4), (std::string{"\x82\x7E\x01\x00", 4}));
    out.clear();
    append_frame(out, WsOpcode::binary, std::string(65'536, 'x'));
    EXPECT_EQ(out.substr(0, 10), (std::string{"\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10}));
    EXPECT_EQ(out.size(), 65'546u);
}

TEST(WsFrames, ACloseReasonIsCutBetweenCharacters) {
    std::string out;
    append_close(out, 1000, std::string(122, 'x') + "\xC3\xBC");
    EXPECT_EQ(out.substr(0, 4), (std::string{"\x88\x7C\x03\xE8", 4}));
    EXPECT_EQ(out.size(), 2u + 2u + 122u);
    out.clear();
    append_close(out, ws_close_no_status, "not sent");
    EXPECT_EQ(out, (std::string{"\x88\x00", 2}));
}

TEST(WsHandshake, AcceptsAsTheStandardShows) {
    // RFC 6455 §1.3
    EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_TRUE(valid_websocket_key("dGhlIHNhbXBsZSBub25jZQ=="));
    EXPECT_FALSE(valid_websocket_key(""));
    EXPECT_FALSE(valid_websocket_key("dGhlIHNhbXBsZSBub25jZQ"));
    EXPECT_FALSE(valid_websocket_key("dGhlIHNhbXBsZSBub25j!Q=="));
}

TEST(WsFrames, TheSeedsOfTheFuzzTargetKeepEveryPromise) {
    namespace fs = std::filesystem;
    int count = 0;
    for (const auto& folder :
         {fs::path{OAVC_SOURCE_DIR} / "fuzz/corpus/websocket_frames_fuzz",
          fs::path{OAVC_TEST_DATA} / "crashes/websocket_frames_fuzz"}) {
        if (!fs::exists(folder)) continue;
        for (const auto& entry : fs::directory_iterator{folder}) {
            std::ifstream file{entry.path(), std::ios::binary};
            const std::string input{std::istreambuf_iterator<char>{file}, {}};
            SCOPED_TRACE(entry.path().filename().string());
            test::fuzz_websocket_frames(as_bytes(input));
            ++count;
        }
    }
    EXPECT_GE(count, 5);
}

}  // namespace
}  // namespace oavc::net::detail
