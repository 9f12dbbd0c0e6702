#pragma once

#include "observability/detail/tokens.hpp"
#include "observability/privacy.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace oavc::privacy::detail {

/// Whether more may be said before or behind a line.
enum class Edges { closed, open };

/// Cards, phones, identity numbers and other strings of digits, written or spoken. Adds to `spans`
/// what is to be hidden and to `out` what there was.
/// `carried`: the digits at the end of the line before, in and out; null: there is no line before.
void find_numbers(
    std::string_view text,
    std::vector<Token>& tokens,
    Kinds kinds,
    Edges edges,
    std::string* carried,
    std::vector<Span>& spans,
    Masked& out
);

}  // namespace oavc::privacy::detail
