#pragma once

#include "base/assert.hpp"
#include "observability/privacy.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace oavc::test {

/// The longest row of ASCII digits.
inline std::size_t longest_digit_row(std::string_view text) noexcept {
    std::size_t longest = 0;
    std::size_t row = 0;
    for (const char c : text) {
        row = c >= '0' && c <= '9' ? row + 1 : 0;
        longest = row > longest ? row : longest;
    }
    return longest;
}

/// Any bytes as what somebody said: whole, line by line, and as they are heard.
inline void fuzz_privacy(std::string_view input) {
    using namespace privacy;
    const auto all = Kinds::all();
    const auto whole = mask(input, all);
    OAVC_ASSERT(longest_digit_row(whole.text) < 4);
    OAVC_ASSERT(mask(whole.text, all).text == whole.text);
    OAVC_ASSERT(whole.text.size() <= 16 + 9 * input.size());

    // With nothing to hide nothing changes.
    if (input.size() <= longest_text) OAVC_ASSERT(mask(input, {}).text == input);

    LineMasker lines{all};
    while (!input.empty()) {
        const auto end = input.find('\n');
        const auto line = input.substr(0, end);
        OAVC_ASSERT(longest_digit_row(lines.partial(line).text) < 4);
        OAVC_ASSERT(longest_digit_row(lines.line(line).text) < 4);
        if (end == std::string_view::npos) break;
        input.remove_prefix(end + 1);
    }
}

}  // namespace oavc::test
