#include "observability/detail/iban.hpp"

#include "observability/detail/characters.hpp"

#include <array>
#include <cstddef>

namespace oavc::privacy::detail {

namespace {

/// ISO 7064 mod 97-10, one more character: letters count as two digits, A = 10.
unsigned mod97(unsigned rest, char c) noexcept {
    if (c >= '0' && c <= '9') return (rest * 10 + static_cast<unsigned>(c - '0')) % 97;
    return (rest * 100 + static_cast<unsigned>((c | 0x20) - 'a') + 10) % 97;
}

/// Where the IBAN that begins at `begin` ends; `begin` when there is none.
std::size_t iban_end(std::string_view text, std::size_t begin) noexcept {
    constexpr std::size_t shortest = 15;  // Norway's
    constexpr std::size_t longest = 34;
    std::array<char, 4> head{};
    unsigned rest = 0;
    std::size_t count = 0;
    std::size_t found = begin;
    for (std::size_t i = begin; i < text.size() && count < longest; ++i) {
        const char c = text[i];
        if (!is_alphanumeric(c)) {
            const bool separator = c == ' ' || c == '-' || c == '.';
            if (!separator || i + 1 == text.size() || !is_alphanumeric(text[i + 1])) break;
            continue;
        }
        if (count < head.size()) {
            head[count] = c;
        } else {
            rest = mod97(rest, c);
        }
        ++count;
        const bool whole = i + 1 == text.size() || !is_alphanumeric(text[i + 1]);
        if (count < shortest || !whole) continue;
        unsigned check = rest;
        for (const char moved : head)
            check = mod97(check, moved);
        if (check == 1) found = i + 1;
    }
    return found;
}

}  // namespace

void find_iban(std::string_view text, std::vector<Span>& spans) {
    const auto letter = [&](std::size_t i) {
        return is_ascii_letter(static_cast<unsigned char>(text[i]));
    };
    const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
    for (std::size_t i = 0; i + 15 <= text.size(); ++i) {
        if (i > 0 && is_alphanumeric(text[i - 1])) continue;
        // "TR33…", also "TR 33 …".
        if (!letter(i) || !letter(i + 1)) continue;
        const std::size_t check = i + 2 + (text[i + 2] == ' ' ? 1 : 0);
        if (!digit(check) || !digit(check + 1)) continue;
        const std::size_t end = iban_end(text, i);
        if (end == i) continue;
        spans.push_back({i, end, "[iban]"});
        i = end - 1;
    }
}

}  // namespace oavc::privacy::detail
