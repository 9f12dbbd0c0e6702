#pragma once

#include "observability/detail/tokens.hpp"

#include <string_view>
#include <vector>

namespace oavc::privacy::detail {

void find_written_email(std::string_view text, std::vector<Span>& spans);

/// "j o h n dot smith at example dot com", "ali et gmail".
void find_spoken_email(const std::vector<Token>& tokens, std::vector<Span>& spans);

}  // namespace oavc::privacy::detail
