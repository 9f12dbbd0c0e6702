#include "transports/twilio/errors.hpp"
#include "transports/twilio/form.hpp"

#include <gtest/gtest.h>

namespace oavc::transports::twilio {
namespace {

TEST(ParseForm, DecodesAWebhook) {
    const auto form =
        parse_form("CallSid=CA01&From=%2B905321112233&CallerName=%C5%9E%C3%BCkr%C3%BC+%C3%96z");
    ASSERT_TRUE(form.has_value());
    EXPECT_EQ(find_field(*form, "CallSid"), "CA01");
    EXPECT_EQ(find_field(*form, "From"), "+905321112233");
    EXPECT_EQ(find_field(*form, "CallerName"), "Şükrü Öz");
    EXPECT_EQ(find_field(*form, "callsid"), "") << "names are case sensitive";
}

TEST(ParseForm, KeepsOrderRepeatsEmptyValuesAndBlanks) {
    const Form expected{
        {"Tag", "z"},
        {"Tag", "a"},
        {"Tag", "z"},
        {"FromCity", ""},
        {"Bare", ""},
        {"", "nameless"},
        {"Note", " a+b & c "},
        {"x", "1=2"}};
    EXPECT_EQ(
        *parse_form("Tag=z&Tag=a&&Tag=z&FromCity=&Bare&=nameless&Note=+a%2Bb+%26+c+&x=1=2&"),
        expected
    );
    EXPECT_TRUE(parse_form("")->empty());
}

TEST(ParseForm, TakesABrokenEscapeForWhatItIs) {
    EXPECT_EQ(find_field(*parse_form("a=100%&b=%zz&c=%4"), "a"), "100%");
    EXPECT_EQ(find_field(*parse_form("a=100%&b=%zz&c=%4"), "b"), "%zz");
    EXPECT_EQ(find_field(*parse_form("a=100%&b=%zz&c=%4"), "c"), "%4");
    EXPECT_EQ(find_field(*parse_form("a=%41%00b"), "a"), (std::string_view{"A\0b", 3}));
}

TEST(ParseForm, HasBounds) {
    std::string fields;
    for (std::size_t i = 0; i < max_form_fields; ++i)
        fields += "a=b&";
    EXPECT_EQ(parse_form(fields)->size(), max_form_fields);
    EXPECT_EQ(parse_form(fields + "c=d").error(), TwilioErrc::form_too_large);
    EXPECT_EQ(parse_form(std::string(max_form_bytes + 1, 'a')).error(), TwilioErrc::form_too_large);
}

}  // namespace
}  // namespace oavc::transports::twilio
