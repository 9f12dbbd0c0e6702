#include "services/llm/dialogue.hpp"

#include "services/detail/language.hpp"
#include "services/detail/words.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <span>
#include <utility>

namespace oavc::services {

std::string fill_in(
    std::string_view text, const std::vector<DialogueCapture>& captures, DialogueAction::Kind kind
) {
    std::string filled;
    for (std::size_t at = 0; at < text.size();) {
        const auto open = std::min(text.find('{', at), text.size());
        filled += text.substr(at, open - at);
        if (open == text.size()) break;
        const auto close = std::min(text.find('}', open), text.size());
        const auto name = text.substr(open + 1, close - open - 1);
        for (const auto& capture : captures) {
            if (capture.name != name) continue;
            filled += kind == DialogueAction::Kind::transfer ? capture.value : capture.spoken;
        }
        at = close + 1;
    }
    return filled;
}

bool Dialogue::speaks(const Rule& rule, std::string_view language) const noexcept {
    return rule.language.empty() || language.empty() || rule.language == language;
}

std::string Dialogue::text_of(const std::vector<Word>& words) const {
    std::string text;
    for (const auto word : words) {
        if (!text.empty()) text += ' ';
        text += spellings_[word];
    }
    return text;
}

void Dialogue::weigh_words() {
    std::vector<std::set<std::size_t>> rules(spellings_.size());
    for (const auto& phrase : phrases_) {
        for (const auto word : phrase.words)
            rules[word].insert(phrase.rule);
    }
    const auto all = static_cast<double>(rules_.size());
    weights_.clear();
    for (const auto& users : rules) {
        weights_.push_back(std::log(1.0 + all / static_cast<double>(users.size())));
    }
}

namespace {

/// Which words of a phrase were heard, in order: the alignment of greatest weight.
class Alignment {
public:
    using Word = std::uint32_t;

    /// Returns the weight of the words in common.
    double align(
        std::span<const Word> phrase, std::span<const Word> heard, std::span<const double> weights
    ) {
        width_ = heard.size() + 1;
        best_.assign((phrase.size() + 1) * width_, 0.0);
        for (std::size_t i = 1; i <= phrase.size(); ++i) {
            for (std::size_t j = 1; j <= heard.size(); ++j) {
                double value = std::max(at(i - 1, j), at(i, j - 1));
                if (phrase[i - 1] == heard[j - 1]) {
                    value = std::max(value, at(i - 1, j - 1) + weights[phrase[i - 1]]);
                }
                best_[i * width_ + j] = value;
            }
        }
        return at(phrase.size(), heard.size());
    }

    /// After align(): for each word of the phrase its place in what was heard, or npos.
    std::vector<std::size_t> places(std::span<const Word> phrase, std::span<const Word> heard)
        const {
        std::vector<std::size_t> found(phrase.size(), npos);
        std::size_t i = phrase.size();
        std::size_t j = heard.size();
        while (i > 0 && j > 0) {
            if (at(i, j) == at(i - 1, j)) {
                --i;
            } else if (at(i, j) == at(i, j - 1)) {
                --j;
            } else {
                found[--i] = --j;
            }
        }
        return found;
    }

    static constexpr std::size_t npos = SIZE_MAX;

private:
    double at(std::size_t i, std::size_t j) const { return best_[i * width_ + j]; }

    std::size_t width_{0};
    std::vector<double> best_;
};

/// Less of a pattern than this, by weight, and it is not what the caller said.
constexpr double least_recall = 0.6;
/// A pattern of one or two words must be at least this share of all words heard: "no" within a long
/// sentence is not a no.
constexpr double least_coverage = 0.25;
constexpr std::size_t enough_words = 3;

}  // namespace

Dialogue::Match Dialogue::match(std::string_view heard, std::string_view language) const {
    const auto primary = primary_language(language);
    auto spoken = words_of(heard);
    if (spoken.size() > max_heard) spoken.resize(max_heard);
    const auto unknown = static_cast<Word>(spellings_.size());
    std::vector<Word> words;
    for (const auto& word : spoken) {
        const auto known = words_.find(word);
        words.push_back(known == words_.end() ? unknown : known->second);
    }

    Match best{nullptr, {}, 0};
    double best_score = 0;
    Alignment alignment;
    for (const auto& phrase : phrases_) {
        const auto& rule = rules_[phrase.rule];
        if (!speaks(rule, primary)) continue;
        double whole = 0;
        double possible = 0;
        for (const auto word : phrase.words) {
            whole += weights_[word];
            if (std::find(words.begin(), words.end(), word) != words.end())
                possible += weights_[word];
        }
        if (possible < least_recall * whole) continue;
        const double matched = alignment.align(phrase.words, words, weights_);
        const double recall = matched / whole;
        if (recall < least_recall) continue;

        const auto places = alignment.places(phrase.words, words);
        std::size_t count = 0;
        std::size_t first = Alignment::npos;
        std::size_t last = 0;
        for (const auto place : places) {
            if (place == Alignment::npos) continue;
            ++count;
            first = std::min(first, place);
            last = std::max(last, place);
        }
        if (count == 0) continue;
        const double coverage = static_cast<double>(count) / static_cast<double>(words.size());
        if (count < enough_words && coverage < least_coverage) continue;

        std::vector<DialogueCapture> captures;
        bool complete = true;
        for (const auto& slot : phrase.slots) {
            if (slot.begin < slot.end) {
                std::vector<Word> own{
                    phrase.words.begin() + static_cast<std::ptrdiff_t>(slot.begin),
                    phrase.words.begin() + static_cast<std::ptrdiff_t>(slot.end)};
                captures.push_back({slot.name, text_of(own), slot.value});
                // A choice of which nothing was heard was not chosen.
                const auto* const begin = places.data() + slot.begin;
                const auto* const end = places.data() + slot.end;
                complete &= std::any_of(begin, end, [](auto p) { return p != Alignment::npos; });
                continue;
            }
            // Free words: what lies between the neighbours that were heard.
            std::size_t from = 0;
            std::size_t to = words.size();
            for (std::size_t i = 0; i < places.size(); ++i) {
                if (places[i] == Alignment::npos) continue;
                if (i < slot.begin) from = places[i] + 1;
                if (i >= slot.begin) {
                    to = places[i];
                    break;
                }
            }
            std::string free;
            for (std::size_t i = from; i < to; ++i) {
                if (!free.empty()) free += ' ';
                free += spoken[i];
            }
            complete &= !free.empty();
            captures.push_back({slot.name, free, free});
        }
        if (!complete) continue;

        // Much of it heard, little of it missing, few words in between.
        const double compact = static_cast<double>(count) / static_cast<double>(last - first + 1);
        const double score = matched * recall * (0.7 + 0.3 * compact);
        if (score > best_score) {
            best_score = score;
            best = {&rule, std::move(captures), recall};
        }
    }
    if (best.rule != nullptr) return best;
    return fallback(primary);
}

bool Dialogue::KeyPattern::matches(std::string_view pressed) const noexcept {
    if (name.empty()) return pressed == keys;
    return !pressed.empty() && (length == 0 || pressed.size() == length);
}

Dialogue::Match Dialogue::match_keys(std::string_view keys, std::string_view language) const {
    const auto primary = primary_language(language);
    const KeyPattern* best = nullptr;
    const auto rank = [](const KeyPattern& p) { return p.name.empty() ? 2 : p.length > 0 ? 1 : 0; };
    for (const auto& pattern : key_patterns_) {
        if (!speaks(rules_[pattern.rule], primary) || !pattern.matches(keys)) continue;
        if (best == nullptr || rank(pattern) > rank(*best)) best = &pattern;
    }
    if (best == nullptr) return fallback(primary);
    Match match{&rules_[best->rule], {}, 1};
    if (!best->name.empty()) {
        match.captures.push_back({best->name, std::string{keys}, std::string{keys}});
    }
    return match;
}

Dialogue::Match Dialogue::fallback(std::string_view primary) const {
    const Rule* any = nullptr;
    for (const auto& rule : rules_) {
        if (!rule.fallback) continue;
        if (any == nullptr) any = &rule;
        if (speaks(rule, primary)) return {&rule, {}, 0};
    }
    return {any, {}, 0};
}

std::vector<std::string> Dialogue::phrases(std::string_view language) const {
    const auto primary = primary_language(language);
    std::vector<std::string> all;
    for (const auto& phrase : phrases_) {
        if (speaks(rules_[phrase.rule], primary)) all.push_back(text_of(phrase.words));
    }
    return all;
}

std::vector<std::string> Dialogue::replies(std::string_view language) const {
    const auto primary = primary_language(language);
    std::vector<std::string> all;
    std::set<std::string> known;
    const auto add = [&](std::string text) {
        if (known.insert(text).second) all.push_back(std::move(text));
    };
    for (std::size_t index = 0; index < rules_.size(); ++index) {
        const auto& rule = rules_[index];
        if (!speaks(rule, primary)) continue;
        for (const auto& action : rule.actions) {
            if (action.kind != DialogueAction::Kind::say) continue;
            for (const auto& text : action.texts) {
                if (text.find('{') == std::string::npos) {
                    add(text);
                    continue;
                }
                for (const auto& phrase : phrases_) {
                    if (phrase.rule != index) continue;
                    std::vector<DialogueCapture> captures;
                    for (const auto& slot : phrase.slots) {
                        std::vector<Word> own{
                            phrase.words.begin() + static_cast<std::ptrdiff_t>(slot.begin),
                            phrase.words.begin() + static_cast<std::ptrdiff_t>(slot.end)};
                        captures.push_back({slot.name, text_of(own), slot.value});
                    }
                    add(fill_in(text, captures, action.kind));
                }
            }
        }
    }
    return all;
}

}  // namespace oavc::services
