#include "services/detail/language.hpp"
#include "services/detail/words.hpp"
#include "services/errors.hpp"
#include "services/llm/dialogue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

namespace oavc::services {

namespace {

constexpr std::string_view spaces = " \t\r";

constexpr std::string_view key_letters = "0123456789*#ABCD";
constexpr std::size_t most_keys = 32;  ///< of one entry

bool are_keys(std::string_view text, std::string_view allowed) noexcept {
    return !text.empty() && text.size() <= most_keys &&
           text.find_first_not_of(allowed) == std::string_view::npos;
}

/// 1 … `most`.
std::optional<std::size_t> number_in(std::string_view text, std::size_t most) noexcept {
    std::size_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value >= 1 && value <= most ? std::optional{value} : std::nullopt;
}

bool is_name(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 40 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

}  // namespace

/// Reads line by line; stops at the first error, which every step returns.
class DialogueParser {
public:
    explicit DialogueParser(std::string_view text) : text_{text} {}

    Result<Dialogue, ParseError> run() {
        if (text_.size() > Dialogue::max_bytes) {
            return error(fmt::format("is larger than {} bytes: split it", Dialogue::max_bytes));
        }
        for (std::size_t at = 0; at < text_.size();) {
            const auto end = std::min(text_.find('\n', at), text_.size());
            ++line_;
            offset_ = at;
            if (auto problem = read_line(text_.substr(at, end - at))) return std::move(*problem);
            at = end + 1;
        }
        if (auto problem = finish_rule()) return std::move(*problem);
        const auto& rules = dialogue_.rules_;
        if (std::none_of(rules.begin(), rules.end(), [](const auto& r) { return r.fallback; })) {
            return error(
                "has no answer for what nothing matches: add a rule '[*]' with a 'say' line below "
                "it"
            );
        }
        dialogue_.weigh_words();
        return std::move(dialogue_);
    }

private:
    using Problem = std::optional<ParseError>;

    ParseError error(std::string_view what) const {
        return {
            make_error_code(ServiceErrc::configuration),
            offset_,
            fmt::format("line {}: {}", line_, what)};
    }

    Problem read_line(std::string_view line) {
        if (line.size() > Dialogue::max_line) {
            return error(fmt::format("is longer than {} bytes: split it", Dialogue::max_line));
        }
        line = trimmed(line);
        if (line.empty() || line.front() == '#') return {};
        if (line.front() == '[') return read_patterns(line);

        const auto space = line.find_first_of(spaces);
        const auto keyword = line.substr(0, space);
        const auto rest =
            space == std::string_view::npos ? std::string_view{} : trimmed(line.substr(space));
        if (keyword == "say") return read_say(rest);
        if (keyword == "or") return read_variant(rest);
        if (keyword == "transfer") return read_transfer(rest);
        if (keyword == "send_digits") return read_send_digits(rest);
        if (keyword == "collect") return read_collect(rest);
        if (keyword == "hang_up" || keyword == "hangup") return read_hang_up(rest);
        if (keyword == "language") return read_language(rest);
        return error(fmt::format(
            "'{}' is not known here: a line is a [pattern], say, or, send_digits, collect, "
            "transfer, hang_up, language or a # comment",
            shown(keyword)
        ));
    }

    /// What a message quotes of the file: short and printable.
    static std::string shown(std::string_view text) {
        std::string copy{text.substr(0, 40)};
        for (auto& c : copy) {
            if (static_cast<unsigned char>(c) < ' ' || c == '\x7F') c = '?';
        }
        return copy;
    }

    Problem read_language(std::string_view rest) {
        if (auto problem = finish_rule()) return problem;
        if (rest == "*") {
            language_.clear();
            return {};
        }
        const auto language = primary_language(rest);
        if (language.size() < 2 || language.size() > 8 || !is_name(language)) {
            return error("language needs a code such as 'en' or 'tr', or * for every language");
        }
        language_ = language;
        return {};
    }

    // --- patterns -------------------------------------------------------------------------------

    /// A choice within a pattern; a plain word is a choice of one.
    struct Choice {
        struct Option {
            std::vector<std::string> words;
            std::string value;
            bool free{false};  ///< {name:*}
        };
        std::string name;
        std::vector<Option> options;
        bool optional{false};
    };

    Problem read_patterns(std::string_view line) {
        if (!actions_.empty() || !open_) {
            if (auto problem = finish_rule()) return problem;
            open_ = true;
            rule_line_ = line_;
            rule_offset_ = offset_;
        }
        if (line.back() != ']') return error("a pattern ends with ']': close it on the same line");
        line = line.substr(1, line.size() - 2);

        // Alternatives are separated by | outside of braces and parentheses.
        std::size_t begin = 0;
        char closing = 0;
        for (std::size_t i = 0; i <= line.size(); ++i) {
            const char c = i < line.size() ? line[i] : '|';
            if (i == line.size() && closing != 0) {
                return error(fmt::format("a group is never closed: add '{}'", closing));
            }
            if (closing != 0) {
                if (c == '{' || c == '(')
                    return error("groups cannot stand inside groups: write both out");
                if (c == closing) closing = 0;
            } else if (c == '{') {
                closing = '}';
            } else if (c == '(') {
                closing = ')';
            } else if (c == '}' || c == ')') {
                return error(fmt::format("'{}' closes nothing: remove it", c));
            } else if (c == '[' || c == ']') {
                return error("'[' and ']' belong around the whole pattern only");
            } else if (c == '|') {
                if (auto problem = read_pattern(trimmed(line.substr(begin, i - begin))))
                    return problem;
                begin = i + 1;
            }
        }
        return {};
    }

    Problem read_pattern(std::string_view pattern) {
        if (pattern == "*") {
            fallback_ = true;
            return {};
        }
        constexpr std::string_view keypad = "keypad ";
        if (pattern.starts_with(keypad)) return read_keys(trimmed(pattern.substr(keypad.size())));
        std::vector<Choice> choices;
        while (!(pattern = trimmed(pattern)).empty()) {
            const char first = pattern.front();
            if (first == '{' || first == '(') {
                const auto end = pattern.find(first == '{' ? '}' : ')');
                Choice choice;
                choice.optional = first == '(';
                if (auto problem = read_group(pattern.substr(1, end - 1), choice)) return problem;
                choices.push_back(std::move(choice));
                pattern.remove_prefix(end + 1);
            } else {
                const auto end = std::min(pattern.find_first_of(" \t{("), pattern.size());
                for (auto& word : words_of(pattern.substr(0, end))) {
                    Choice choice;
                    choice.options.push_back({{std::move(word)}, {}, false});
                    choices.push_back(std::move(choice));
                }
                pattern.remove_prefix(end);
            }
        }
        if (choices.empty()) return error("a pattern is empty: write words between '[' and ']'");
        return expand(choices);
    }

    /// `1`, `12#`, `{name}`, `{name:4}` or `nothing`.
    Problem read_keys(std::string_view what) {
        Dialogue::KeyPattern pattern{dialogue_.rules_.size(), {}, {}};
        if (what.starts_with('{') && what.ends_with('}')) {
            what = what.substr(1, what.size() - 2);
            const auto colon = std::min(what.find(':'), what.size());
            pattern.name = trimmed(what.substr(0, colon));
            if (!is_name(pattern.name)) {
                return error(fmt::format(
                    "'{}' cannot name a capture: use letters, digits and _", shown(pattern.name)
                ));
            }
            if (colon < what.size()) {
                const auto length = number_in(trimmed(what.substr(colon + 1)), most_keys);
                if (!length) {
                    return error(fmt::format(
                        "behind ':' stands how many keys it takes: write {{{}:4}}", pattern.name
                    ));
                }
                pattern.length = *length;
            }
        } else if (what != "nothing") {
            if (!are_keys(what, key_letters)) {
                return error(
                    "keypad needs keys such as 1 or 12#, a capture {name}, or the word nothing"
                );
            }
            pattern.keys = what;
        }
        auto seen = fmt::format(
            "{}:keypad {} {}", language_, pattern.name.empty() ? pattern.keys : "*", pattern.length
        );
        const auto [known, added] = seen_.emplace(std::move(seen), Seen{pattern.rule, line_});
        if (!added && known->second.rule != pattern.rule) {
            return error(fmt::format(
                "these keys are answered already by the pattern of line {}: remove one",
                known->second.line
            ));
        }
        if (added) dialogue_.key_patterns_.push_back(std::move(pattern));
        return {};
    }

    Problem read_group(std::string_view group, Choice& choice) {
        if (const auto colon = group.find(':'); colon != std::string_view::npos) {
            const auto name = trimmed(group.substr(0, colon));
            if (!is_name(name)) {
                return error(fmt::format(
                    "'{}' cannot name a capture: use letters, digits and _", shown(name)
                ));
            }
            if (choice.optional) {
                return error("a capture cannot be optional: use { } or leave the name away");
            }
            choice.name = name;
            group.remove_prefix(colon + 1);
        }
        for (std::size_t begin = 0; begin <= group.size();) {
            const auto end = std::min(group.find('|', begin), group.size());
            auto option = trimmed(group.substr(begin, end - begin));
            begin = end + 1;
            std::string_view value;
            if (const auto equals = option.find('='); equals != std::string_view::npos) {
                value = trimmed(option.substr(equals + 1));
                option = trimmed(option.substr(0, equals));
                if (choice.name.empty()) return error("'=' needs a capture: {name:words=value}");
                if (value.empty()) return error("nothing follows '=': write {name:words=value}");
            }
            if (option == "*") {
                if (choice.name.empty()) return error("free words need a name: {name:*}");
                choice.options.push_back({{}, {}, true});
                continue;
            }
            auto words = words_of(option);
            if (words.empty())
                return error("a group has an empty choice: write words or remove it");
            std::string text{value};
            if (text.empty()) {
                text = join_words(words);
                std::replace(text.begin(), text.end(), ' ', '-');
            }
            choice.options.push_back({std::move(words), std::move(text), false});
        }
        return {};
    }

    /// Writes out every combination of choices.
    Problem expand(const std::vector<Choice>& choices) {
        std::size_t combinations = 1;
        for (const auto& choice : choices) {
            combinations *= choice.options.size() + (choice.optional ? 1 : 0);
            if (combinations > Dialogue::max_phrases_per_pattern) {
                return error(fmt::format(
                    "a pattern stands for more than {} phrases: split it",
                    Dialogue::max_phrases_per_pattern
                ));
            }
        }
        for (std::size_t number = 0; number < combinations; ++number) {
            Dialogue::Phrase phrase{dialogue_.rules_.size(), {}, {}};
            std::size_t rest = number;
            for (const auto& choice : choices) {
                const auto size = choice.options.size() + (choice.optional ? 1 : 0);
                const auto index = rest % size;
                rest /= size;
                if (index == choice.options.size()) continue;  // left away
                const auto& option = choice.options[index];
                const auto begin = phrase.words.size();
                for (const auto& word : option.words)
                    phrase.words.push_back(number_of(word));
                if (choice.name.empty()) continue;
                for (const auto& slot : phrase.slots) {
                    if (slot.name == choice.name) {
                        return error(
                            fmt::format("'{}' is captured twice: name one differently", choice.name)
                        );
                    }
                }
                phrase.slots.push_back({choice.name, begin, phrase.words.size(), option.value});
            }
            if (auto problem = add(std::move(phrase))) return problem;
        }
        return {};
    }

    Problem add(Dialogue::Phrase phrase) {
        if (phrase.words.empty()) {
            return error("a pattern has only optional or free words: write one that must be heard");
        }
        if (phrase.words.size() > Dialogue::max_words) {
            return error(
                fmt::format("a phrase has more than {} words: shorten it", Dialogue::max_words)
            );
        }
        if (dialogue_.phrases_.size() == Dialogue::max_phrases) {
            return error(
                fmt::format("the file has more than {} phrases: shorten it", Dialogue::max_phrases)
            );
        }
        auto key = language_ + ":";
        for (const auto word : phrase.words)
            key += fmt::format(" {}", word);
        for (const auto& slot : phrase.slots) {
            if (slot.begin == slot.end) key += fmt::format(" *{}", slot.begin);
        }
        const auto [known, added] = seen_.emplace(std::move(key), Seen{phrase.rule, line_});
        if (!added) {
            if (known->second.rule == phrase.rule) return {};
            return error(fmt::format(
                "'{}' is answered already by the pattern of line {}: remove one",
                shown(dialogue_.text_of(phrase.words)),
                known->second.line
            ));
        }
        dialogue_.phrases_.push_back(std::move(phrase));
        return {};
    }

    Dialogue::Word number_of(const std::string& word) {
        const auto [entry, added] = dialogue_.words_.emplace(
            word, static_cast<Dialogue::Word>(dialogue_.spellings_.size())
        );
        if (added) dialogue_.spellings_.push_back(word);
        return entry->second;
    }

    // --- answers --------------------------------------------------------------------------------

    Problem needs_pattern(std::string_view what) const {
        if (!open_) return error(fmt::format("{} answers nothing: put a [pattern] above it", what));
        if (actions_.empty()) return {};
        switch (actions_.back().kind) {
            case DialogueAction::Kind::say:
            case DialogueAction::Kind::send_digits:
                return {};
            case DialogueAction::Kind::transfer:
                return error("nothing can follow transfer: move this line up");
            case DialogueAction::Kind::hang_up:
                return error("nothing can follow hang_up: move this line up");
            case DialogueAction::Kind::collect:
                return error("nothing can follow collect: move this line up");
        }
        return {};
    }

    Problem read_say(std::string_view text) {
        if (auto problem = needs_pattern("say")) return problem;
        if (!actions_.empty() && actions_.back().kind == DialogueAction::Kind::send_digits) {
            return error("what is said is said before send_digits: move this line up");
        }
        if (text.empty()) return error("say has no text: write what to say after it");
        if (auto problem = check_references(text)) return problem;
        actions_.push_back({DialogueAction::Kind::say, {std::string{text}}});
        return {};
    }

    Problem read_variant(std::string_view text) {
        if (actions_.empty() || actions_.back().kind != DialogueAction::Kind::say) {
            return error("'or' is another way to say the line above: put it below a 'say' line");
        }
        if (text.empty()) return error("or has no text: write what to say after it");
        if (auto problem = check_references(text)) return problem;
        actions_.back().texts.emplace_back(text);
        return {};
    }

    Problem read_transfer(std::string_view target) {
        if (auto problem = needs_pattern("transfer")) return problem;
        if (target.empty())
            return error("transfer has no target: write a SIP URI or a number after it");
        constexpr std::size_t longest = 255;
        const bool plain = std::all_of(target.begin(), target.end(), [](char c) {
            return c > ' ' && c < '\x7F' && c != '<' && c != '>' && c != '"';
        });
        if (!plain || target.size() > longest) {
            return error("transfer needs a SIP URI or a number, without spaces or <>");
        }
        if (auto problem = check_references(target)) return problem;
        actions_.push_back({DialogueAction::Kind::transfer, {std::string{target}}});
        return {};
    }

    Problem read_send_digits(std::string_view keys) {
        if (auto problem = needs_pattern("send_digits")) return problem;
        const bool any = keys.find_first_of(key_letters) != std::string_view::npos;
        if (!any || !are_keys(keys, "0123456789*#ABCDw")) {
            return error("send_digits needs keys: 0-9, * and #, with w for half a second of waiting"
            );
        }
        actions_.push_back({DialogueAction::Kind::send_digits, {std::string{keys}}});
        return {};
    }

    /// "4", "4 until *", "4 within 15s", in any order behind the number.
    Problem read_collect(std::string_view rest) {
        if (auto problem = needs_pattern("collect")) return problem;
        const auto next_word = [&rest] {
            const auto end = std::min(rest.find_first_of(spaces), rest.size());
            const auto word = rest.substr(0, end);
            rest = trimmed(rest.substr(end));
            return word;
        };
        DialogueAction action{DialogueAction::Kind::collect};
        const auto count = number_in(next_word(), most_keys);
        if (!count) {
            return error(fmt::format("collect needs how many keys to wait for: 1 to {}", most_keys)
            );
        }
        action.keypad.count = *count;
        while (!rest.empty()) {
            const auto word = next_word();
            auto value = next_word();
            if (word == "until" && value.size() == 1 && are_keys(value, key_letters)) {
                action.keypad.terminator = value.front();
                continue;
            }
            if (word == "within" && value.ends_with('s')) {
                value.remove_suffix(1);
                if (const auto seconds = number_in(value, 120)) {
                    action.keypad.first = std::chrono::seconds{*seconds};
                    continue;
                }
            }
            return error("collect is written like this: collect 4 until # within 15s");
        }
        actions_.push_back(std::move(action));
        return {};
    }

    Problem read_hang_up(std::string_view rest) {
        if (auto problem = needs_pattern("hang_up")) return problem;
        if (!rest.empty()) return error("hang_up stands alone: remove what follows it");
        actions_.push_back({DialogueAction::Kind::hang_up, {}});
        return {};
    }

    /// Braces in answers are names of captures; which exist is known when the rule is complete.
    Problem check_references(std::string_view text) const {
        for (std::size_t at = 0; (at = text.find_first_of("{}", at)) != std::string_view::npos;) {
            const auto end = text.find('}', at);
            if (text[at] == '}' || end == std::string_view::npos ||
                !is_name(text.substr(at + 1, end - at - 1))) {
                return error("{ } holds the name of a capture of the pattern: write {name}");
            }
            at = end + 1;
        }
        return {};
    }

    static std::vector<std::string> references(const std::string& text) {
        std::vector<std::string> names;
        for (std::size_t at = 0; (at = text.find('{', at)) != std::string::npos;) {
            const auto end = text.find('}', at);
            names.push_back(text.substr(at + 1, end - at - 1));
            at = end + 1;
        }
        return names;
    }

    Problem finish_rule() {
        if (!open_) return {};
        const auto rule = dialogue_.rules_.size();
        const auto rule_error = [&](std::string_view what) {
            return ParseError{
                make_error_code(ServiceErrc::configuration),
                rule_offset_,
                fmt::format("line {}: {}", rule_line_, what)};
        };
        if (actions_.empty()) {
            return rule_error(
                "the pattern has no answer: put say, transfer, collect or hang_up below it"
            );
        }
        if (rule == Dialogue::max_rules) {
            return rule_error(fmt::format("the file has more than {} rules: shorten it", rule));
        }
        for (const auto& action : actions_) {
            for (const auto& text : action.texts) {
                for (const auto& name : references(text)) {
                    if (auto problem = check_captured(rule, name, action.kind)) {
                        return rule_error(*problem);
                    }
                }
            }
        }
        dialogue_.rules_.push_back({language_, std::move(actions_), fallback_, rule_line_});
        actions_.clear();
        fallback_ = false;
        open_ = false;
        return {};
    }

    std::optional<std::string> check_captured(
        std::size_t rule, const std::string& name, DialogueAction::Kind kind
    ) const {
        const auto missing = fmt::format(
            "{{{}}} is used below but not captured by every pattern of this rule: write {{{}:…}} "
            "in each",
            name,
            name
        );
        if (fallback_) return missing;
        for (const auto& pattern : dialogue_.key_patterns_) {
            if (pattern.rule != rule) continue;
            if (pattern.name != name) return missing;
            if (kind == DialogueAction::Kind::transfer) {
                return fmt::format(
                    "{{{}}} takes any keys, so it cannot choose where a call goes: write a rule "
                    "for each choice",
                    name
                );
            }
        }
        // The phrases of the rule that is being read are the last ones.
        const auto& phrases = dialogue_.phrases_;
        for (auto phrase = phrases.rbegin(); phrase != phrases.rend() && phrase->rule == rule;
             ++phrase) {
            const auto slot =
                std::find_if(phrase->slots.begin(), phrase->slots.end(), [&](const auto& s) {
                    return s.name == name;
                });
            if (slot == phrase->slots.end()) return missing;
            if (kind == DialogueAction::Kind::transfer) {
                if (slot->begin == slot->end) {
                    return fmt::format(
                        "{{{}}} takes any words, so it cannot choose where a call goes: list the "
                        "choices",
                        name
                    );
                }
                const bool plain = std::all_of(slot->value.begin(), slot->value.end(), [](char c) {
                    return c > ' ' && c < '\x7F' && c != '<' && c != '>' && c != '"';
                });
                if (!plain) {
                    return fmt::format(
                        "'{}' cannot be part of a transfer target: write {{{}:words=value}}",
                        shown(slot->value),
                        name
                    );
                }
            }
        }
        return {};
    }

    struct Seen {
        std::size_t rule;
        std::size_t line;
    };

    std::string_view text_;
    std::size_t line_{0};
    std::size_t offset_{0};
    Dialogue dialogue_;
    std::map<std::string, Seen> seen_;
    std::string language_;

    // The rule being read.
    bool open_{false};
    bool fallback_{false};
    std::size_t rule_line_{0};
    std::size_t rule_offset_{0};
    std::vector<DialogueAction> actions_;
};

Result<Dialogue, ParseError> parse_dialogue(std::string_view text) noexcept {
    return DialogueParser{text}.run();
}

Result<Dialogue, ParseError> load_dialogue(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    const auto unusable = [&](std::string_view why) {
        return ParseError{
            make_error_code(ServiceErrc::configuration), 0, fmt::format("{}: {}", path, why)};
    };
    if (!file) return unusable("cannot be read: check [llm.scripted] dialogue_file");
    std::string text(Dialogue::max_bytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (file.bad()) return unusable("cannot be read");
    auto dialogue = parse_dialogue(text);
    if (!dialogue) {
        auto error = dialogue.error();
        error.what = fmt::format("{} {}", path, error.what);
        return error;
    }
    return dialogue;
}

}  // namespace oavc::services
