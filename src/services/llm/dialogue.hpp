#pragma once

#include "base/result.hpp"
#include "services/llm/llm.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// What a caller's words filled in: {department:an agent=agents|sales} heard as "an agent".
struct DialogueCapture {
    std::string name;
    std::string spoken;  ///< "an agent": what `say` repeats
    std::string value;   ///< "agents": what `transfer` uses
};

/// One step of an answer.
struct DialogueAction {
    enum class Kind { say, transfer, hang_up, send_digits, collect };
    Kind kind{Kind::say};
    /// say: the variants, of which one is spoken; transfer: one target; send_digits: the keys.
    /// {name} stands for a capture.
    std::vector<std::string> texts{};
    KeypadRequest keypad{};  ///< of collect
};

/// A scripted conversation, read from a dialogue file (docs/dialogue.md). Immutable once parsed:
/// shared by all calls, from any thread.
class Dialogue {
public:
    // What a file may hold; more is an error that names the limit.
    static constexpr std::size_t max_bytes = 1 << 20;
    static constexpr std::size_t max_line = 2'000;
    static constexpr std::size_t max_rules = 1'000;
    static constexpr std::size_t max_phrases = 4'000;  ///< after expansion, in all
    static constexpr std::size_t max_phrases_per_pattern = 256;
    static constexpr std::size_t max_words = 24;  ///< of one phrase
    static constexpr std::size_t max_heard = 64;  ///< words of an utterance that are looked at

    struct Rule {
        std::string language;  ///< primary subtag ("en"); empty: every language
        std::vector<DialogueAction> actions;
        bool fallback{false};  ///< answers what nothing else matches
        std::size_t line{0};
    };

    /// What an utterance means.
    struct Match {
        const Rule* rule;
        std::vector<DialogueCapture> captures;
        double recall;  ///< share of the pattern that was heard, 0 … 1, by weight; 0: the fallback
    };

    /// The rule that answers `heard` best, or the fallback. `language` is BCP 47; empty: rules of
    /// every language are considered. At most a few milliseconds for the largest file.
    Match match(std::string_view heard, std::string_view language = {}) const;

    /// The rule for keys that the caller pressed, or the fallback. Keys are compared exactly.
    /// Empty: the caller was asked for keys and pressed none.
    Match match_keys(std::string_view keys, std::string_view language = {}) const;

    /// Everything that callers may say, patterns expanded; for a recogniser's vocabulary. Patterns
    /// with a free capture contribute the words around it.
    std::vector<std::string> phrases(std::string_view language = {}) const;

    /// Every sentence that the connector may say, captures filled in; for the ear of a test caller.
    std::vector<std::string> replies(std::string_view language = {}) const;

    const std::vector<Rule>& rules() const noexcept { return rules_; }

private:
    friend class DialogueParser;
    using Word = std::uint32_t;

    struct Slot {
        std::string name;
        std::size_t begin;  ///< words of the phrase, [begin, end); begin == end: free words go here
        std::size_t end;
        std::string value;
    };
    struct Phrase {
        std::size_t rule;
        std::vector<Word> words;
        std::vector<Slot> slots;
    };

    /// What stands behind the word keypad in a pattern.
    struct KeyPattern {
        std::size_t rule;
        std::string keys;       ///< exactly these; empty with an empty name: nothing was pressed
        std::string name;       ///< of the capture
        std::size_t length{0};  ///< of what is captured; 0: any

        bool matches(std::string_view pressed) const noexcept;
    };

    Match fallback(std::string_view primary) const;
    bool speaks(const Rule& rule, std::string_view language) const noexcept;
    std::string text_of(const std::vector<Word>& words) const;
    void weigh_words();

    std::vector<Rule> rules_;
    std::vector<Phrase> phrases_;
    std::vector<KeyPattern> key_patterns_;
    std::map<std::string, Word, std::less<>> words_;
    std::vector<std::string> spellings_;  ///< by Word
    std::vector<double> weights_;         ///< by Word: the fewer rules use it, the more it tells
};

/// Parses a dialogue file. Errors name the line, the rule that was broken and what to do.
Result<Dialogue, ParseError> parse_dialogue(std::string_view text) noexcept;

/// Reads and parses one; `what` of an error begins with the file's name.
Result<Dialogue, ParseError> load_dialogue(const std::string& path);

/// Fills `{name}` in, from the captures' spoken words or, for a transfer, their values.
std::string fill_in(
    std::string_view text, const std::vector<DialogueCapture>& captures, DialogueAction::Kind kind
);

}  // namespace oavc::services
