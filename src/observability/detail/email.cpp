#include "observability/detail/email.hpp"

#include "observability/detail/characters.hpp"

#include <cstddef>
#include <string_view>

namespace oavc::privacy::detail {

namespace {

bool is_mailbox_char(char c) noexcept {
    return is_alphanumeric(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view{"._%+-"}.find(c) != std::string_view::npos;
}

}  // namespace

void find_written_email(std::string_view text, std::vector<Span>& spans) {
    for (std::size_t at = 0; (at = text.find('@', at)) != std::string_view::npos; ++at) {
        std::size_t begin = at;
        while (begin > 0 && is_mailbox_char(text[begin - 1]))
            --begin;
        std::size_t end = at + 1;
        while (end < text.size() && is_mailbox_char(text[end]))
            ++end;
        while (end > at + 1 && (text[end - 1] == '.' || text[end - 1] == '-'))
            --end;
        if (begin == at || end == at + 1) continue;
        spans.push_back({begin, end, "[email]"});
    }
}

void find_spoken_email(const std::vector<Token>& tokens, std::vector<Span>& spans) {
    for (std::size_t at = 1; at + 1 < tokens.size(); ++at) {
        if (tokens[at].meaning() != Meaning::at) continue;
        std::size_t last = at + 1;
        const bool known_host = tokens[last].meaning() == Meaning::mail_host;
        while (last + 2 < tokens.size() && tokens[last + 1].meaning() == Meaning::dot)
            last += 2;
        if (last == at + 1 && !known_host) continue;
        std::size_t first = at - 1;
        while (first > 0) {
            const Token& before = tokens[first - 1];
            if (before.meaning() == Meaning::dot && first > 1) {
                first -= 2;
            } else if (before.size() == 1 && before.joined) {
                --first;  // spelt, letter by letter
            } else {
                break;
            }
        }
        spans.push_back({tokens[first].begin, tokens[last].end, "[email]"});
        at = last;
    }
}

}  // namespace oavc::privacy::detail
