#include "services/llm/dialogue.hpp"

#include "services/errors.hpp"
#include "services/llm/scripted_llm.hpp"
#include "support/await.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto small = R"(
# a comment
language en
[where is my card | where is my courier]
[track my card]
say It comes tomorrow.
or  You have it tomorrow.

[(please) transfer me to {department:an agent=agents|sales}]
say I will connect you to {department}.
transfer sip:{department}@example.com

[call me {name:*} please]
say Hello {name}.

[no]
say No, then.

[goodbye]
say Goodbye.
say Call again.
hang_up

[*]
say I know about cards.

language tr
[kartım nerede]
say Kartınız yolda.
)";

Dialogue parsed(std::string_view text) {
    auto dialogue = parse_dialogue(text);
    if (!dialogue) ADD_FAILURE() << dialogue.error().what;
    return dialogue ? std::move(*dialogue) : Dialogue{};
}

/// What the rule that answers `heard` says first.
std::string answer(
    const Dialogue& dialogue, std::string_view heard, std::string_view language = "en"
) {
    const auto match = dialogue.match(heard, language);
    return fill_in(
        match.rule->actions.front().texts.front(), match.captures, DialogueAction::Kind::say
    );
}

TEST(Dialogue, AnswersAPatternHoweverItIsWrittenOrSpoken) {
    const auto dialogue = parsed(small);
    EXPECT_EQ(answer(dialogue, "where is my card"), "It comes tomorrow.");
    EXPECT_EQ(answer(dialogue, "Where is my card?"), "It comes tomorrow.");
    EXPECT_EQ(answer(dialogue, "uh so where is um my card"), "It comes tomorrow.") << "fillers";
    EXPECT_EQ(answer(dialogue, "where my courier"), "It comes tomorrow.") << "a word was missed";
    EXPECT_EQ(answer(dialogue, "card is where my"), "I know about cards.") << "order matters";
    EXPECT_EQ(answer(dialogue, "the weather"), "I know about cards.");
    EXPECT_EQ(answer(dialogue, ""), "I know about cards.");
}

TEST(Dialogue, AShortPatternWithinALongSentenceIsNotMeant) {
    const auto dialogue = parsed(small);
    EXPECT_EQ(answer(dialogue, "no"), "No, then.");
    EXPECT_EQ(answer(dialogue, "oh no"), "No, then.");
    EXPECT_EQ(
        answer(dialogue, "there is no way that i would ever agree to that"), "I know about cards."
    );
    EXPECT_EQ(answer(dialogue, "no where is my card"), "It comes tomorrow.")
        << "the longer match wins";
}

TEST(Dialogue, CapturesFillRepliesWithTheirWordsAndTargetsWithTheirValues) {
    const auto dialogue = parsed(small);
    const auto match = dialogue.match("please transfer me to an agent");
    ASSERT_EQ(match.captures.size(), 1u);
    const auto& actions = match.rule->actions;
    EXPECT_EQ(
        fill_in(actions[0].texts[0], match.captures, actions[0].kind),
        "I will connect you to an agent."
    );
    EXPECT_EQ(
        fill_in(actions[1].texts[0], match.captures, actions[1].kind), "sip:agents@example.com"
    );
    EXPECT_EQ(answer(dialogue, "transfer me to sales"), "I will connect you to sales.");
    EXPECT_EQ(answer(dialogue, "transfer me to"), "I know about cards.") << "to whom?";
    EXPECT_EQ(answer(dialogue, "call me john smith please"), "Hello john smith.");
    EXPECT_EQ(answer(dialogue, "call me please"), "I know about cards.");
}

TEST(Dialogue, RulesOfAnotherLanguageDoNotAnswer) {
    const auto dialogue = parsed(small);
    EXPECT_EQ(answer(dialogue, "KARTIM NEREDE?", "tr-TR"), "Kartınız yolda.");
    EXPECT_EQ(answer(dialogue, "kartım nerede", "en"), "I know about cards.");
    EXPECT_EQ(answer(dialogue, "where is my card", "tr"), "I know about cards.")
        << "any fallback beats silence";
    EXPECT_THAT(dialogue.phrases("tr"), ElementsAre("kartim nerede"));
}

TEST(Dialogue, ListsWhatCallersAndTheConnectorMaySay) {
    const auto dialogue = parsed(small);
    const auto phrases = dialogue.phrases("en");
    EXPECT_THAT(
        std::set<std::string>(phrases.begin(), phrases.end()),
        ElementsAre(
            "call me please",
            "goodbye",
            "no",
            "please transfer me to an agent",
            "please transfer me to sales",
            "track my card",
            "transfer me to an agent",
            "transfer me to sales",
            "where is my card",
            "where is my courier"
        )
    );
    EXPECT_THAT(
        dialogue.replies("en"),
        ElementsAre(
            "It comes tomorrow.",
            "You have it tomorrow.",
            "I will connect you to an agent.",
            "I will connect you to sales.",
            "Hello .",
            "No, then.",
            "Goodbye.",
            "Call again.",
            "I know about cards."
        )
    );
}

TEST(Dialogue, ErrorsNameTheLineAndWhatToDo) {
    const auto what = [](std::string_view text) {
        const auto dialogue = parse_dialogue(text);
        return dialogue ? std::string{"parsed"} : dialogue.error().what;
    };
    EXPECT_THAT(what(""), HasSubstr("add a rule '[*]'"));
    EXPECT_THAT(what("[a]\nsay b\n"), HasSubstr("add a rule '[*]'"));
    EXPECT_THAT(what("\n[hello\nsay b\n"), HasSubstr("line 2: a pattern ends with ']'"));
    EXPECT_THAT(
        what("[hello {a|b]\nsay b\n"), HasSubstr("line 1: a group is never closed: add '}'")
    );
    EXPECT_THAT(what("[a {b (c)}]\nsay b\n"), HasSubstr("groups cannot stand inside groups"));
    EXPECT_THAT(what("[a )]\nsay b\n"), HasSubstr("')' closes nothing"));
    EXPECT_THAT(what("[ | a]\nsay b\n"), HasSubstr("a pattern is empty"));
    EXPECT_THAT(what("[(a)]\nsay b\n"), HasSubstr("only optional or free words"));
    EXPECT_THAT(
        what("[a]\n[*]\nsay b\n[a]\nsay c\n"),
        HasSubstr("'a' is answered already by the pattern of line 1")
    );
    EXPECT_THAT(what("[a]\n\n[b]\n"), HasSubstr("line 1: the pattern has no answer"));
    EXPECT_THAT(what("say hello\n"), HasSubstr("line 1: say answers nothing"));
    EXPECT_THAT(what("[a]\nor b\n"), HasSubstr("line 2: 'or' is another way"));
    EXPECT_THAT(what("[a]\nhang_up\nsay b\n"), HasSubstr("line 3: nothing can follow hang_up"));
    EXPECT_THAT(
        what("[a]\nsay {who}\n"), HasSubstr("line 1: {who} is used below but not captured")
    );
    EXPECT_THAT(what("[a {who:b} | c]\nsay {who}\n"), HasSubstr("not captured by every pattern"));
    EXPECT_THAT(
        what("[a {who:*}]\ntransfer sip:{who}@b\n"), HasSubstr("cannot choose where a call goes")
    );
    EXPECT_THAT(
        what("[a {w:b=x y}]\ntransfer sip:{w}@b\n"),
        HasSubstr("cannot be part of a transfer target")
    );
    EXPECT_THAT(what("[a]\ntransfer sip:b @c\n"), HasSubstr("without spaces"));
    EXPECT_THAT(what("[a]\nsay b {\n"), HasSubstr("line 2: { } holds the name"));
    EXPECT_THAT(what("[a]\nshout b\n"), HasSubstr("line 2: 'shout' is not known here"));
    EXPECT_THAT(what("language english please\n"), HasSubstr("language needs a code"));
    EXPECT_THAT(
        what("[{a|b} {a|b} {a|b} {a|b} {a|b} {a|b} {a|b} {a|b} {a|b}]\nsay x"),
        HasSubstr("more than 256 phrases")
    );
    EXPECT_THAT(what(std::string(3'000, 'a')), HasSubstr("is longer than 2000 bytes"));
}

constexpr auto menu = R"(
[help | keypad 0]
say Press one for your card, or two to leave a number.
collect 1

[keypad 1]
say Enter the four digits behind your name.
collect 4 until * within 15s

[keypad {pin:4}]
say Thank you.

[keypad {number}]
say I have {number}.

[keypad 9#]
say Opening.
send_digits 9w#
hang_up

[keypad nothing]
say You pressed nothing.

[*]
say Say help.
)";

TEST(Dialogue, AnswersKeysExactly) {
    const auto dialogue = parsed(menu);
    const auto line = [&](std::string_view keys) {
        const auto match = dialogue.match_keys(keys, "en");
        return fill_in(
            match.rule->actions.front().texts.front(), match.captures, DialogueAction::Kind::say
        );
    };
    EXPECT_THAT(line("0"), HasSubstr("Press one"));
    EXPECT_EQ(line("1"), "Enter the four digits behind your name.");
    EXPECT_EQ(line("1234"), "Thank you.") << "a capture of that length before one of any";
    EXPECT_EQ(line("12345"), "I have 12345.");
    EXPECT_EQ(line("9#"), "Opening.") << "exact keys before a capture";
    EXPECT_EQ(line(""), "You pressed nothing.");
    EXPECT_THAT(answer(dialogue, "help"), HasSubstr("Press one")) << "words and keys in one rule";
    EXPECT_EQ(answer(dialogue, "keypad nothing"), "Say help.") << "nobody says keys";
    EXPECT_EQ(parsed(small).match_keys("1", "en").rule->fallback, true);
}

TEST(Dialogue, ReadsWhatFollowsAReply) {
    const auto dialogue = parsed(menu);
    const auto& asks = dialogue.match_keys("1").rule->actions;
    ASSERT_EQ(asks.size(), 2u);
    EXPECT_EQ(asks[1].kind, DialogueAction::Kind::collect);
    EXPECT_EQ(asks[1].keypad.count, 4u);
    EXPECT_EQ(asks[1].keypad.terminator, '*');
    EXPECT_EQ(asks[1].keypad.first, 15s);
    const auto& opens = dialogue.match_keys("9#").rule->actions;
    ASSERT_EQ(opens.size(), 3u);
    EXPECT_EQ(opens[1].kind, DialogueAction::Kind::send_digits);
    EXPECT_EQ(opens[1].texts.front(), "9w#");
    EXPECT_EQ(opens[2].kind, DialogueAction::Kind::hang_up);
}

TEST(Dialogue, ErrorsAboutKeysNameTheLineAndWhatToDo) {
    const auto what = [](std::string_view text) {
        const auto dialogue = parse_dialogue(text);
        return dialogue ? std::string{"parsed"} : dialogue.error().what;
    };
    EXPECT_THAT(what("[keypad x]\nsay b\n"), HasSubstr("keypad needs keys such as 1"));
    EXPECT_THAT(what("[keypad {a b}]\nsay b\n"), HasSubstr("cannot name a capture"));
    EXPECT_THAT(what("[keypad {a:0}]\nsay b\n"), HasSubstr("write {a:4}"));
    EXPECT_THAT(
        what("[keypad 1]\nsay b\n[keypad 1]\nsay c\n"),
        HasSubstr("line 3: these keys are answered already by the pattern of line 1")
    );
    EXPECT_THAT(
        what("[keypad {n}]\ntransfer {n}\n[*]\nsay b\n"),
        HasSubstr("cannot choose where a call goes")
    );
    EXPECT_THAT(
        what("[keypad {n} | keypad 1]\nsay {n}\n[*]\nsay b\n"),
        HasSubstr("not captured by every pattern")
    );
    EXPECT_THAT(what("[a]\ncollect\n"), HasSubstr("collect needs how many keys"));
    EXPECT_THAT(what("[a]\ncollect 33\n"), HasSubstr("1 to 32"));
    EXPECT_THAT(what("[a]\ncollect 4 within soon\n"), HasSubstr("collect 4 until # within 15s"));
    EXPECT_THAT(what("[a]\ncollect 4\nsay b\n"), HasSubstr("nothing can follow collect"));
    EXPECT_THAT(what("[a]\nsend_digits w\n"), HasSubstr("send_digits needs keys"));
    EXPECT_THAT(what("[a]\nsend_digits 1\nsay b\n"), HasSubstr("is said before send_digits"));
}

TEST(Dialogue, NoPrefixOfAFileAndNoRandomBytesBreakTheParser) {
    const std::string text{small};
    for (std::size_t size = 0; size < text.size(); ++size) {
        const auto dialogue = parse_dialogue(std::string_view{text}.substr(0, size));
        if (!dialogue) {
            EXPECT_NE(dialogue.error().what, "");
        }
    }
    const std::string keys{menu};
    for (std::size_t size = 0; size < keys.size(); ++size) {
        static_cast<void>(parse_dialogue(std::string_view{keys}.substr(0, size)));
    }
    EXPECT_TRUE(parse_dialogue(std::string("[*]\nsay \xff\xfe \x01 x\n")).has_value());
}

TEST(Dialogue, TheDemonstrationFileIsRichEnoughToBeDemonstrated) {
    const auto demo = load_dialogue(OAVC_SOURCE_DIR "/config/dialogues/demo.dialogue");
    ASSERT_TRUE(demo) << demo.error().what;
    EXPECT_GE(demo->rules().size(), 10u);
    const auto replies = demo->replies("en");
    EXPECT_GE(replies.size(), 10u);
    EXPECT_TRUE(std::any_of(replies.begin(), replies.end(), [](const auto& r) {
        return r.size() > 120;
    })) << "one reply is long enough to be interrupted";
    for (const auto& phrase : demo->phrases("en")) {
        EXPECT_FALSE(demo->match(phrase, "en").rule->fallback) << phrase;
    }
    EXPECT_TRUE(load_dialogue(OAVC_TEST_DATA "/real-speech.dialogue"));
    EXPECT_THAT(load_dialogue("/nowhere").error().what, HasSubstr("/nowhere: cannot be read"));
}

TEST(ScriptedLlm, StreamsWordsThenActionsAndRotatesItsVariants) {
    async::Shard shard{0};
    ScriptedLlm llm{std::make_shared<const Dialogue>(parsed(small))};
    auto session = test::value_of(shard, llm.open(shard, {"en-US"}));
    const auto ask = [&](std::string text) {
        LlmRequest request;
        request.messages.push_back({ChatMessage::Role::system, "You are a bank."});
        request.messages.push_back({ChatMessage::Role::user, "goodbye"});
        request.messages.push_back({ChatMessage::Role::assistant, "where is my card"});
        request.messages.push_back({ChatMessage::Role::user, std::move(text)});
        auto reply = session->ask(std::move(request));
        std::vector<std::string> events;
        for (;;) {
            auto event = test::result_of(shard, reply->next());
            if (!event) {
                EXPECT_EQ(event.error(), ServiceErrc::end_of_stream);
                return events;
            }
            if (event->kind == LlmEvent::Kind::transfer) events.push_back("-> " + event->text);
            if (event->kind == LlmEvent::Kind::hang_up) events.push_back("-> hang up");
            if (event->kind == LlmEvent::Kind::text) events.push_back(event->text);
        }
    };
    EXPECT_THAT(ask("where is my card"), ElementsAre("It ", "comes ", "tomorrow."));
    EXPECT_THAT(ask("where is my card"), ElementsAre("You ", "have ", "it ", "tomorrow."));
    EXPECT_THAT(ask("where is my card"), ElementsAre("It ", "comes ", "tomorrow."));
    EXPECT_THAT(
        ask("transfer me to an agent"),
        ElementsAre(
            "I ", "will ", "connect ", "you ", "to ", "an ", "agent.", "-> sip:agents@example.com"
        )
    );
    EXPECT_THAT(ask("goodbye"), ElementsAre("Goodbye. ", "Call ", "again.", "-> hang up"));
}

TEST(ScriptedLlm, AnswersKeysThatItsMessageCarriesAndNotTheirDescription) {
    async::Shard shard{0};
    ScriptedLlm llm{std::make_shared<const Dialogue>(parsed(menu))};
    auto session = test::value_of(shard, llm.open(shard, {"en"}));
    LlmRequest request;
    request.messages.push_back({ChatMessage::Role::user, "[keypad: *]"});
    request.messages.back().keys = "1";
    auto reply = session->ask(std::move(request));
    std::optional<KeypadRequest> wanted;
    std::string said;
    for (;;) {
        auto event = test::result_of(shard, reply->next());
        if (!event) break;
        said += event->text;
        if (event->kind == LlmEvent::Kind::collect) wanted = event->keypad;
    }
    EXPECT_EQ(said, "Enter the four digits behind your name.");
    ASSERT_TRUE(wanted.has_value());
    EXPECT_EQ(wanted->count, 4u);
}

}  // namespace
}  // namespace oavc::services
