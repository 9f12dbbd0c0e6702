#include "config/schema.hpp"

#include "config/explain.hpp"
#include "config/json_schema.hpp"
#include "config/nearest.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <set>
#include <sstream>

namespace oavc::config {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Schema, EveryDefaultIsAValueThatTheKeyItselfAccepts) {
    for (const Key& key : schema()) {
        Config config;
        pipeline::AgentConfig agent;
        const std::string value = default_value(key);
        EXPECT_THAT(set_value(key, {config, agent}, value), IsEmpty()) << key.section << key.name;
        EXPECT_EQ(get_value(key, config, agent), value) << key.section << " " << key.name;
    }
}

TEST(Schema, EveryKeyHasAFieldOfItsOwnAnExplanationAndASection) {
    Config config;
    pipeline::AgentConfig agent;
    std::set<const void*> fields;
    for (const Key& key : schema()) {
        const Field field = key.field({config, agent});
        const void* place = std::visit([](auto* p) -> const void* { return p; }, field);
        EXPECT_TRUE(fields.insert(place).second) << key.section << " " << key.name;
        EXPECT_TRUE(key.help.ends_with('.') || key.help.ends_with('?')) << key.name;
        bool known = false;
        for (const SectionHelp& section : sections())
            known = known || section.name == key.section;
        EXPECT_TRUE(known) << key.section;
        EXPECT_EQ(find_key(key.section, key.name), &key);
    }
}

TEST(Schema, PatternsKeepTheirCommas) {
    Config config;
    pipeline::AgentConfig agent;
    const Key& key = *find_key("telephony", "dial_allowed");
    const Target target{config, agent};
    EXPECT_THAT(
        set_value(key, target, "\\+90\\d{8,12}\n  sip:[a-z]+@pbx\\.test  00.*\n"), IsEmpty()
    );
    EXPECT_THAT(
        config.pipeline.outgoing.dial_allowed,
        testing::ElementsAre("\\+90\\d{8,12}", "sip:[a-z]+@pbx\\.test", "00.*")
    );
    const std::string shown = get_value(key, config, agent);
    EXPECT_THAT(set_value(key, target, shown), IsEmpty());
    EXPECT_EQ(get_value(key, config, agent), shown);
    EXPECT_THAT(set_value(key, target, "\\+90 ("), HasSubstr("\"(\" is not a valid regular"));
}

TEST(Schema, NamesThatSoundSecretAreSecret) {
    for (const Key& key : schema()) {
        if (std::holds_alternative<Duration>(key.rule)) continue;
        if (key.name.starts_with("max_tokens")) continue;  // a model's, not a key's
        for (const std::string_view word : {"token", "password", "secret", "api_key"}) {
            if (key.name.find(word) != std::string_view::npos) {
                EXPECT_TRUE(is_secret(key)) << key.section << " " << key.name;
            }
        }
    }
}

TEST(Schema, AgentKeysServeEveryNamedAgent) {
    EXPECT_EQ(find_key("agent.sales", "greeting"), find_key("agent", "greeting"));
    EXPECT_EQ(find_key("agents", "greeting"), nullptr);
}

std::string wrong(std::string_view section, std::string_view name, std::string_view value) {
    Config config;
    pipeline::AgentConfig agent;
    return set_value(*find_key(section, name), {config, agent}, value);
}

TEST(Schema, RefusesValuesOutsideTheirRuleInWords) {
    EXPECT_THAT(
        wrong("telephony.opensips", "mi_port", "70000"),
        HasSubstr("\"70000\" is not a port (1 … 65535)")
    );
    EXPECT_THAT(wrong("telephony.opensips", "mi_port", "0"), HasSubstr("is not a port"));
    EXPECT_THAT(wrong("api", "port", "80 # http"), HasSubstr("a line of its own"));
    EXPECT_THAT(wrong("api", "port", "80\nhost = x"), HasSubstr("indented line"));
    EXPECT_THAT(wrong("api", "host", "a b"), HasSubstr("is not an address"));
    EXPECT_THAT(wrong("vad", "threshold", "1.5"), HasSubstr("(0 … 1)"));
    EXPECT_THAT(wrong("vad", "threshold", "nan"), HasSubstr("is not a number"));
    EXPECT_THAT(wrong("vad", "aggressiveness", "4"), HasSubstr("(0 … 3)"));
    EXPECT_THAT(wrong("vad", "aggressiveness", "99999999999999999999"), HasSubstr("(0 … 3)"));
    EXPECT_THAT(wrong("vad", "engine", "best"), HasSubstr("one of auto, webrtc, silero"));
    EXPECT_THAT(wrong("vad", "min_silence", "500"), HasSubstr("needs a unit: 500ms or 500s?"));
    EXPECT_THAT(wrong("vad", "min_silence", "1h"), HasSubstr("20ms … 10s"));
    EXPECT_THAT(wrong("interruption", "enabled", "maybe"), HasSubstr("true or false"));
    EXPECT_THAT(wrong("agent", "match", "("), HasSubstr("regular expression"));
    EXPECT_THAT(wrong("logging", "level", "loud"), HasSubstr("one of debug, info"));
    EXPECT_THAT(wrong("telephony.twilio", "public_url", "ftp://x"), HasSubstr("https://"));
    EXPECT_THAT(wrong("telephony.twilio", "token_ttl", "1500ms"), HasSubstr("whole seconds"));
    EXPECT_EQ(
        wrong("telephony", "provider", "skype"),
        "Unknown provider: 'skype' for [telephony] provider (known: opensips, sip, twilio, both)"
    );
    EXPECT_THAT(wrong("stt", "provider", "x"), HasSubstr("Unknown provider: 'x'"));
}

TEST(Schema, AcceptsTheSpellingsPeopleUse) {
    EXPECT_THAT(wrong("interruption", "enabled", "Yes"), IsEmpty());
    EXPECT_THAT(wrong("logging", "level", "WARNING"), IsEmpty());
    EXPECT_THAT(wrong("logging", "format", "structured"), IsEmpty());
    EXPECT_THAT(wrong("telephony", "provider", "Both"), IsEmpty());
    EXPECT_THAT(wrong("telephony", "fallback_provider", ""), IsEmpty());
}

TEST(Schema, ListsAreSplitAtCommasAndLines) {
    Config config;
    pipeline::AgentConfig agent;
    const Key& key = *find_key("telephony.opensips", "allowed_peers");
    EXPECT_THAT(set_value(key, {config, agent}, "10.0.0.1, 10.0.0.2\n10.0.0.3,"), IsEmpty());
    EXPECT_THAT(
        config.opensips.allowed_peers, testing::ElementsAre("10.0.0.1", "10.0.0.2", "10.0.0.3")
    );
}

TEST(ParseDuration, KnowsItsUnits) {
    EXPECT_EQ(*parse_duration("500ms"), 500ms);
    EXPECT_EQ(*parse_duration("1.5 s"), 1500ms);
    EXPECT_EQ(*parse_duration("2MIN"), 2min);
    EXPECT_EQ(*parse_duration("1h"), 1h);
    EXPECT_EQ(*parse_duration("0"), 0ms);
    constexpr std::string_view broken[]{
        "", "5", "s", "1.2.3s", "-1s", "1e300h", "5 parsecs", "1 s s"};
    for (const std::string_view text : broken)
        EXPECT_TRUE(parse_duration(text).has_error()) << text;
    for (const auto duration : {0ms, 1ms, 1500ms, 2000ms, 60'000ms, 3'600'000ms, 86'400'000ms}) {
        EXPECT_EQ(*parse_duration(format_duration(duration)), duration);
    }
}

TEST(Nearest, FindsTheNameThatWasMeantAndNothingFarFetched) {
    constexpr std::array<std::string_view, 3> names{"event_port", "event_ip", "rtp_port_start"};
    EXPECT_EQ(nearest("event_prot", names), "event_port");
    EXPECT_EQ(nearest("evnt_ip", names), "event_ip");
    EXPECT_EQ(nearest("rtp_start_port", names), "");
    EXPECT_EQ(nearest("colour", names), "");
    EXPECT_EQ(nearest("", names), "");
}

std::string document(const std::string& name) {
    std::ifstream in{OAVC_SOURCE_DIR "/docs/" + name};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

TEST(Reference, DocsConfigurationMdIsWhatTheTableSays) {
    EXPECT_TRUE(document("configuration.md") == reference())
        << "run: oavc check-config --docs > docs/configuration.md";
}

TEST(Reference, TheJsonSchemaIsWhatTheTableSays) {
    EXPECT_TRUE(document("configuration.schema.json") == json_schema())
        << "run: oavc check-config --schema > docs/configuration.schema.json";
}

TEST(Reference, TheJsonSchemaHasEveryKeyAndNoOther) {
    const auto parsed = boost::json::parse(json_schema());
    const auto& sections_of_schema = parsed.at("properties").as_object();
    EXPECT_EQ(sections_of_schema.size(), sections().size());
    std::size_t keys = 0;
    for (const auto& [name, section] : sections_of_schema) {
        EXPECT_FALSE(section.at("additionalProperties").as_bool()) << name;
        keys += section.at("properties").as_object().size();
    }
    EXPECT_EQ(keys, schema().size());
    const auto& turns = sections_of_schema.at("turns").at("properties").as_object();
    EXPECT_EQ(turns.at("idle_prompts").at("anyOf").at(0).at("maximum"), 20);
    const auto& token = sections_of_schema.at("api").at("properties").at("token").as_object();
    EXPECT_TRUE(token.at("writeOnly").as_bool());
}

}  // namespace
}  // namespace oavc::config
