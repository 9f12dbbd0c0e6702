#include "observability/detail/tokens.hpp"

#include "observability/detail/characters.hpp"

#include <algorithm>

namespace oavc::privacy::detail {

namespace {

/// Between two digits of one number: "4242 - (42)".
constexpr std::size_t widest_gap = 12;

}  // namespace

std::vector<Token> tokens_of(std::string_view text) {
    std::vector<Token> tokens;
    bool joined = true;
    std::size_t gap = 0;
    for (std::size_t i = 0; i < text.size();) {
        const auto character = character_at(text, i);
        const bool number = digit_of(character.code) >= 0;
        if (!number && !is_letter(character.code)) {
            joined = joined && is_joiner(character.code);
            gap += character.size;
            i += character.size;
            continue;
        }
        const std::size_t begin = i;
        while (i < text.size()) {
            const auto next = character_at(text, i);
            const bool same = number ? digit_of(next.code) >= 0 : is_letter(next.code);
            if (!same) break;
            i += next.size;
        }
        Token token{begin, i, number, joined && gap <= widest_gap, false, false};
        token.first = tokens.empty() && joined;
        if (!number) token.word = find_word(text.substr(begin, i - begin));
        tokens.push_back(token);
        joined = true;
        gap = 0;
    }
    if (!tokens.empty()) tokens.back().last = joined;
    return tokens;
}

void take(std::vector<Token>& tokens, const Span& span) {
    auto token = std::ranges::lower_bound(tokens, span.begin, {}, &Token::begin);
    for (; token != tokens.end() && token->end <= span.end; ++token)
        token->taken = true;
}

}  // namespace oavc::privacy::detail
