#include "transports/twilio/twiml.hpp"

#include <gtest/gtest.h>

namespace oavc::transports::twilio {
namespace {

TEST(Twiml, ConnectsAStreamWithItsParameters) {
    EXPECT_EQ(
        connect_stream(
            "wss://voice.example.test/ws", {{"token", "a-b_c"}, {"tenant", "Ş & \"Ö\" <x>"}}
        ),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<Response><Connect><Stream url=\"wss://voice.example.test/ws\">"
        "<Parameter name=\"tenant\" value=\"Ş &amp; &quot;Ö&quot; &lt;x&gt;\"/>"
        "<Parameter name=\"token\" value=\"a-b_c\"/>"
        "</Stream></Connect></Response>\n"
    );
}

TEST(Twiml, RefusesWithBusy) {
    EXPECT_EQ(
        reject_busy(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<Response><Reject reason=\"busy\"/></Response>\n"
    );
}

TEST(Twiml, RefusesWithASentence) {
    EXPECT_EQ(
        say_and_hang_up("Ş & all lines are busy.", "tr-TR"),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<Response><Say language=\"tr-TR\">Ş &amp; all lines are busy.</Say><Hangup/></Response>\n"
    );
}

TEST(Twiml, EscapesWhatMarkupMeansAndDropsWhatXmlForbids) {
    EXPECT_EQ(xml_escape("a&b<c>d\"e'f\n\t"), "a&amp;b&lt;c&gt;d&quot;e&apos;f&#10;&#9;");
    EXPECT_EQ(
        xml_escape(std::string_view{
            "a\0b\x1F"
            "c",
            5}),
        "abc"
    );
}

}  // namespace
}  // namespace oavc::transports::twilio
