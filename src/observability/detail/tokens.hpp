#pragma once

#include "observability/detail/words.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// A text as the words and digits that it is made of.
namespace oavc::privacy::detail {

/// A stretch of the text that is shown as `label`.
struct Span {
    std::size_t begin;
    std::size_t end;
    std::string label;
};

struct Token {
    std::size_t begin;
    std::size_t end;
    bool number;         ///< written digits
    bool joined;         ///< only what may join digits stands between it and the token before
    bool first, last;    ///< … and the text's beginning, or end
    const Word* word{};  ///< if it is one that we know
    bool taken{false};   ///< part of something that was found already

    Meaning meaning() const noexcept { return word == nullptr ? Meaning::nothing : word->meaning; }
    std::size_t size() const noexcept { return end - begin; }
};

std::vector<Token> tokens_of(std::string_view text);

/// The tokens that lie wholly within a span are no part of anything else.
void take(std::vector<Token>& tokens, const Span& span);

}  // namespace oavc::privacy::detail
