#include "pipeline/sentence_aggregator.hpp"

#include "base/sentence.hpp"

#include <utility>

namespace oavc::pipeline {

namespace {

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Also without white space around it.
std::string with_single_spaces(std::string_view text) {
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        if (is_space(c)) {
            if (!result.empty() && result.back() != ' ') result += ' ';
        } else {
            result += c;
        }
    }
    return result;
}

}  // namespace

void SentenceAggregator::push(std::string_view token) {
    for (const char c : token) {
        if (c != '*' && c != '#' && c != '`' && c != '_') pending_ += c;
    }
}

/// One past the end of the first sentence; 0: none complete yet.
std::size_t SentenceAggregator::find_end() const noexcept {
    const std::string_view text = pending_;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (ends_sentence(text, i)) return i + 1;
        const bool last = i + 1 == text.size();
        // What follows decides: wait for it unless all has come.
        if (last && (c == '.' || c == '!' || c == '?')) return 0;
        if ((c == ',' || c == ';' || c == ':') && first_ && i >= early_comma) {
            if (!last && is_space(text[i + 1])) return i + 1;
        }
        if (i + 1 >= longest) {
            const auto space = text.rfind(' ', i);
            if (space != std::string_view::npos && space > 0) return space + 1;
            // One endless word: cut before a whole UTF-8 character.
            auto cut = i;
            while (cut > 1 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80)
                --cut;
            return cut;
        }
    }
    return 0;
}

std::optional<std::string> SentenceAggregator::next() {
    while (!pending_.empty()) {
        auto end = find_end();
        if (end == 0) {
            if (!finished_) return std::nullopt;
            end = pending_.size();
        }
        auto sentence = with_single_spaces(std::string_view{pending_}.substr(0, end));
        pending_.erase(0, end);
        if (!has_words(sentence)) continue;
        first_ = false;
        return sentence;
    }
    return std::nullopt;
}

void SentenceAggregator::reset() {
    pending_.clear();
    first_ = true;
    finished_ = false;
}

std::vector<std::string> sentences_of(std::string_view text) {
    SentenceAggregator cut;
    cut.push(text);
    cut.finish();
    std::vector<std::string> sentences;
    while (auto sentence = cut.next())
        sentences.push_back(std::move(*sentence));
    return sentences;
}

}  // namespace oavc::pipeline
