#pragma once

#include "observability/detail/tokens.hpp"

#include <string_view>
#include <vector>

namespace oavc::privacy::detail {

/// Those with right check digits (ISO 13616-1).
void find_iban(std::string_view text, std::vector<Span>& spans);

}  // namespace oavc::privacy::detail
