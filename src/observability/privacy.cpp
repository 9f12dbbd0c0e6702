#include "observability/privacy.hpp"

#include "observability/detail/email.hpp"
#include "observability/detail/iban.hpp"
#include "observability/detail/numbers.hpp"
#include "observability/detail/tokens.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace oavc::privacy {

namespace {

using detail::Edges;
using detail::Span;

/// "[keypad: 1234]", as pipeline/digit_collector.hpp writes what a caller keyed in.
void find_entries(std::string_view text, Kinds kinds, std::vector<Span>& spans) {
    constexpr std::string_view opening = "[keypad: ";
    for (std::size_t at = 0; (at = text.find(opening, at)) != std::string_view::npos;) {
        const std::size_t begin = at + opening.size();
        const std::size_t end =
            std::min(text.find_first_not_of("0123456789*#ABCD", begin), text.size());
        if (kinds.has(Kind::keys)) {
            spans.push_back({begin, end, std::string(end - begin, '*')});
        } else {
            spans.push_back({begin, end, std::string{text.substr(begin, end - begin)}});
        }
        at = end;
    }
}

Masked mask_line(std::string_view text, Kinds kinds, Edges edges, std::string* carried) {
    const bool cut = text.size() > longest_text;
    text = text.substr(0, longest_text);
    while (cut && !text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0)
        text.remove_suffix(1);  // half a character
    Masked out;
    std::vector<Span> spans;
    auto tokens = detail::tokens_of(text);
    const auto settle = [&](std::size_t from) {
        for (std::size_t i = from; i < spans.size(); ++i)
            detail::take(tokens, spans[i]);
    };
    find_entries(text, kinds, spans);
    settle(0);
    std::vector<Span> found;
    const auto keep = [&](Kind kind) {
        if (!found.empty()) out.found.add(kind);
        const std::size_t settled = spans.size();
        if (kinds.has(kind)) std::ranges::move(found, std::back_inserter(spans));
        found.clear();
        settle(settled);
    };
    detail::find_written_email(text, found);
    detail::find_spoken_email(tokens, found);
    keep(Kind::email);
    detail::find_iban(text, found);
    keep(Kind::iban);
    detail::find_numbers(text, tokens, kinds, edges, carried, spans, out);

    std::ranges::sort(spans, {}, &Span::begin);
    std::size_t at = 0;
    for (const Span& span : spans) {
        if (span.end <= at) continue;  // within the one before
        if (span.begin > at) out.text += text.substr(at, span.begin - at);
        out.text += span.label;
        at = span.end;
    }
    out.text += text.substr(at);
    if (cut) out.text += "…";
    return out;
}

}  // namespace

std::optional<Kind> kind_named(std::string_view name) noexcept {
    if (name == "phone") return Kind::phone;
    if (name == "card") return Kind::card;
    if (name == "iban") return Kind::iban;
    if (name == "email") return Kind::email;
    if (name == "identity_number") return Kind::identity_number;
    if (name == "digits") return Kind::digits;
    return std::nullopt;
}

Kinds Kinds::named(std::span<const std::string> names) noexcept {
    Kinds kinds;
    kinds.add(Kind::keys);
    for (const auto& name : names) {
        if (const auto kind = kind_named(name)) kinds.add(*kind);
    }
    return kinds;
}

Masked mask(std::string_view text, Kinds kinds) noexcept {
    return mask_line(text, kinds, Edges::closed, nullptr);
}

Masked LineMasker::line(std::string_view text) noexcept {
    return mask_line(text, kinds_, Edges::closed, &digits_);
}

Masked LineMasker::partial(std::string_view text) const noexcept {
    auto carried = digits_;
    return mask_line(text, kinds_, Edges::open, &carried);
}

}  // namespace oavc::privacy
