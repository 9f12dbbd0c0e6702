#include "services/detail/line_splitter.hpp"
#include "services/detail/sse_parser.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::services {
namespace {

using Strings = std::vector<std::string>;

/// The lines of `text`, pushed in pieces that end after `cut` and at the end.
Strings lines_of(std::string_view text, std::size_t cut) {
    LineSplitter splitter;
    Strings lines;
    for (const auto piece : {text.substr(0, cut), text.substr(cut)}) {
        splitter.push(piece);
        while (const auto line = splitter.next())
            lines.emplace_back(*line);
    }
    lines.emplace_back(splitter.rest());
    return lines;
}

TEST(LineSplitter, GivesTheSameLinesHoweverTheyAreCut) {
    const std::string text = "{\"a\":1}\r\n\n{\"b\":\"ş\"}\nlast";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        EXPECT_EQ(lines_of(text, cut), (Strings{"{\"a\":1}", "", "{\"b\":\"ş\"}", "last"})) << cut;
    }
}

TEST(LineSplitter, TakesSingleBytesAndManyLinesAtOnce) {
    LineSplitter splitter;
    std::string text;
    for (int i = 0; i < 1000; ++i)
        text += std::to_string(i) + "\n";
    int expected = 0;
    for (const char byte : text) {
        splitter.push({&byte, 1});
        while (const auto line = splitter.next())
            EXPECT_EQ(*line, std::to_string(expected++));
    }
    splitter.push(text);
    while (const auto line = splitter.next())
        EXPECT_EQ(*line, std::to_string(expected++ - 1000));
    EXPECT_EQ(expected, 2000);
}

TEST(LineSplitter, ALineOverTheLimitFailsForGood) {
    for (const bool ended : {false, true}) {
        LineSplitter splitter{10};
        splitter.push("0123456789\n");
        EXPECT_EQ(splitter.next(), "0123456789");
        splitter.push(ended ? "0123456789X\n" : "0123456789X");
        EXPECT_EQ(splitter.next(), std::nullopt);
        EXPECT_TRUE(splitter.failed());
        splitter.push("\nok\n");
        EXPECT_EQ(splitter.next(), std::nullopt);
        EXPECT_EQ(splitter.rest(), "");
    }
}

/// "type|data" of every event, pushed in pieces that end after `cut` and at the end.
Strings events_of(std::string_view text, std::size_t cut) {
    SseParser parser;
    Strings events;
    for (const auto piece : {text.substr(0, cut), text.substr(cut)}) {
        parser.push(piece);
        while (const auto event = parser.next())
            events.push_back(event->type + "|" + event->data);
    }
    if (const auto event = parser.finish()) events.push_back(event->type + "|" + event->data);
    EXPECT_FALSE(parser.failed());
    return events;
}

TEST(SseParser, GivesTheSameEventsHoweverTheyAreCut) {
    const std::string text =
        "\xEF\xBB\xBF: comment\r\ndata: {\"a\":1}\r\n\r\n"
        ":\n\n\n"
        "event: error\ndata:no space\nid: 7\nretry: 10\ndata:  two\n\n"
        "event: nothing\n\n"
        "data\n\n"
        "data: [DONE]\n\n"
        "data: not ended";
    const Strings expected{"|{\"a\":1}", "error|no space\n two", "|", "|[DONE]", "|not ended"};
    for (std::size_t cut = 0; cut <= text.size(); ++cut)
        EXPECT_EQ(events_of(text, cut), expected) << cut;
}

TEST(SseParser, AnEventOverTheLimitFailsTheStream) {
    SseParser parser{100};
    for (int i = 0; i < 20; ++i) {
        parser.push("data: 0123456789\n");
        EXPECT_FALSE(parser.next());
    }
    EXPECT_TRUE(parser.failed());
    parser.push("\ndata: x\n\n");
    EXPECT_FALSE(parser.next()) << "what follows cannot be trusted";
    EXPECT_FALSE(parser.finish());
}

}  // namespace
}  // namespace oavc::services
