#include "sip/headers.hpp"

#include <gtest/gtest.h>

#include <string>

namespace oavc::sip {
namespace {

TEST(Headers, FindsNamesInAnyCaseCompactAndWithBlanksBeforeTheColon) {
    const Headers headers{
        "v: SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bK-raw-cpt\r\n"
        "Max-Forwards: 69\r\n"
        "f: <sip:caller@127.0.0.1:5071>;tag=rawcpt\r\n"
        "t : \"The Bot\"  <sip:bot@127.0.0.1:5060>\r\n"
        "subject: first line\r\n"
        " second line\r\n"
        "\tthird\r\n"
        "c: application/sdp\r\n"};
    EXPECT_EQ(headers.find("From"), "<sip:caller@127.0.0.1:5071>;tag=rawcpt");
    EXPECT_EQ(headers.find("To"), "\"The Bot\"  <sip:bot@127.0.0.1:5060>");
    EXPECT_EQ(headers.find("MAX-FORWARDS"), "69");
    EXPECT_EQ(headers.find("Subject"), "first line second line third");
    EXPECT_EQ(headers.find("Content-Type"), "application/sdp");
    EXPECT_EQ(headers.find("Call-ID"), std::nullopt);
}

TEST(Headers, TheFirstOfSeveralCountsAndAFoldedLineIsNeverAName) {
    const Headers headers{"Subject: one\n To: not a header\nSubject: two\nTo: <sip:a@b>\n"};
    EXPECT_EQ(headers.find("Subject"), "one To: not a header");
    EXPECT_EQ(headers.find("To"), "<sip:a@b>");
}

TEST(Headers, AreBoundedAndReadAnyBytes) {
    std::string many;
    for (std::size_t i = 0; i < Headers::max_lines; ++i)
        many += "X: y\r\n";
    EXPECT_EQ(Headers{many + "To: <sip:a@b>\r\n"}.find("To"), std::nullopt);
    const std::string huge =
        "Subject: " + std::string(20'000, 'x') + "\r\n " + std::string(9000, 'y');
    EXPECT_EQ(Headers{huge}.find("Subject")->size(), Headers::max_value);
    EXPECT_EQ(
        Headers{"Subject: Gr\xfc\xdf"
                "e\r\n"}
            .find("Subject"),
        "Gr\xfc\xdf"
        "e"
    );
    EXPECT_EQ(Headers{""}.find("To"), std::nullopt);
    EXPECT_EQ(Headers{"\r\n\r\n:\r\nTo"}.find("To"), std::nullopt);
}

TEST(ParseNameAddress, ReadsTheFormsOfFromAndTo) {
    struct Case {
        const char* text;
        const char* name;
        const char* address;
        const char* tag;
    };
    for (const auto& c : {
             Case{
                 "\"SIPp caller\" <sip:caller@127.0.0.1:5070>;tag=1",
                 "SIPp caller",
                 "caller@127.0.0.1",
                 "1"},
             Case{"Bob <sips:bob@example.org;transport=tcp>", "Bob", "bob@example.org", ""},
             Case{"sip:alice@example.org;tag=x;other=y", "", "alice@example.org", "x"},
             Case{"<sip:%2B4930123@example.org;user=phone>;TAG=z", "", "+4930123@example.org", "z"},
             Case{"<sip:+4930;phone-context=x@example.org>", "", "+4930@example.org", ""},
             Case{"<sip:u:secret@example.org>", "", "u@example.org", ""},
             Case{"<sip:example.org>", "", "example.org", ""},
             Case{"<sip:bot@[2001:db8::1]:5060>", "", "bot@[2001:db8::1]", ""},
             Case{"<tel:+49-30-(123).456;phone-context=example.org>", "", "+4930123456", ""},
             Case{"\"a \\\" < sip:x \" <sip:y@z>;tag=q", "a \" < sip:x ", "y@z", "q"},
         }) {
        const auto parsed = parse_name_address(c.text);
        ASSERT_TRUE(parsed.has_value()) << c.text;
        EXPECT_EQ(parsed->display_name, c.name) << c.text;
        EXPECT_EQ(parsed->uri.address(), c.address) << c.text;
        EXPECT_EQ(parsed->tag, c.tag) << c.text;
    }
}

TEST(ParseNameAddress, RefusesWhatIsNone) {
    for (const auto* text :
         {"",
          "<>",
          "bob",
          "<sip:>",
          "<sip:a@>",
          "\"open <sip:a@b>",
          "<sip:a@b",
          "<http://a/b>",
          "<tel:>",
          "\"q\" sip:a@b",
          "<sip:a@[::1>"}) {
        EXPECT_EQ(parse_name_address(text).error(), SipErrc::bad_address) << text;
    }
}

TEST(Uri, KnowsACallerWhoWantsToStayUnknown) {
    EXPECT_TRUE(
        parse_name_address("\"Anonymous\" <sip:anonymous@anonymous.invalid>")->uri.is_anonymous()
    );
    EXPECT_TRUE(parse_name_address("<sip:Anonymous@example.org>")->uri.is_anonymous());
    EXPECT_FALSE(parse_name_address("<sip:bob@example.org>")->uri.is_anonymous());
}

TEST(MediaType, IsLowerCaseWithoutParameters) {
    EXPECT_EQ(media_type("Application/SDP ; charset=utf-8"), "application/sdp");
    EXPECT_EQ(media_type(""), "");
}

}  // namespace
}  // namespace oavc::sip
