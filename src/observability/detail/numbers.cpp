#include "observability/detail/numbers.hpp"

#include "observability/detail/characters.hpp"

#include <cstddef>
#include <optional>
#include <utility>

namespace oavc::privacy::detail {

namespace {

using enum Meaning;

/// Of one number; what is longer is hidden too, but no longer looked at for what it is.
constexpr std::size_t most_digits = 64;
/// Fewer are an age, a table's number, a time of day.
constexpr std::size_t fewest_digits = 4;
/// … unless a line is nothing else.
constexpr std::size_t fewest_alone = 2;
constexpr std::size_t fewest_of_card = 12;  // ISO/IEC 7812-1, and one that was not heard

/// Luhn's sum (ISO/IEC 7812-1 annex B).
bool luhn(std::string_view digits) noexcept {
    unsigned sum = 0;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        auto value = static_cast<unsigned>(digits[digits.size() - 1 - i] - '0');
        if (i % 2 == 1) value = value > 4 ? value * 2 - 9 : value * 2;
        sum += value;
    }
    return sum % 10 == 0;
}

bool is_card(std::string_view digits) noexcept {
    if (digits.size() < 13 || digits.size() > 19) return false;
    return digits.find_first_not_of('0') != std::string_view::npos && luhn(digits);
}

/// T.C. kimlik numarası: the tenth and the eleventh digit are checksums of those before.
bool is_identity_number(std::string_view digits) noexcept {
    if (digits.size() != 11 || digits[0] == '0') return false;
    const auto at = [&](std::size_t i) { return static_cast<int>(digits[i] - '0'); };
    const int odd = at(0) + at(2) + at(4) + at(6) + at(8);
    const int even = at(1) + at(3) + at(5) + at(7);
    const int tenth = ((odd * 7 - even) % 10 + 10) % 10;
    return tenth == at(9) && (odd + even + at(9)) % 10 == at(10);
}

/// Digits of one number as they come, written or as words.
class Number {
public:
    explicit Number(std::string_view before) noexcept : count_{before.size()}, digits_{before} {
        if (!digits_.empty()) parts_.push_back(digits_.size());
    }

    void add_digit(int value) {
        ++count_;
        if (digits_.size() < most_digits) digits_ += static_cast<char>('0' + value);
        open_ = 0;
    }

    /// Ends a word or a group of written digits: a number may end here and another begin.
    void end_part() {
        if (parts_.empty() || parts_.back() != digits_.size()) parts_.push_back(digits_.size());
    }

    void add_word(const Word& word) {
        const int value = word.value;
        switch (word.meaning) {
            case tens:
                replace(value, 2);
                open_ = 1;
                break;
            case teen:
            case on:
                replace(value, 2);
                open_ = word.meaning == on ? 1 : 0;
                break;
            case hundred:
                if (unit_) {
                    add_digit(0);
                    add_digit(0);
                } else {
                    add_digit(1);
                    add_digit(0);
                    add_digit(0);
                }
                open_ = 2;
                break;
            default:  // unit, only_amid
                if (value > 0 && open_ >= 1) {
                    put(1, value);
                    open_ = 0;
                } else {
                    add_digit(value);
                }
                unit_ = value > 0;
                end_part();
                return;
        }
        unit_ = false;
        end_part();
    }

    void not_a_unit() noexcept {
        unit_ = false;
        open_ = 0;
    }

    std::size_t count() const noexcept { return count_; }
    std::string& digits() noexcept { return digits_; }

    /// True for some run of whole parts.
    template <class Test>
    bool any_parts(Test test) const {
        if (test(digits_)) return true;
        for (std::size_t from = 0; from <= parts_.size(); ++from) {
            const std::size_t begin = from == 0 ? 0 : parts_[from - 1];
            for (std::size_t to = from; to < parts_.size() && parts_[to] - begin <= 19; ++to) {
                if (test(std::string_view{digits_}.substr(begin, parts_[to] - begin))) return true;
            }
        }
        return false;
    }

private:
    /// "five hundred" and "thirty": 530.
    void replace(int value, std::size_t places) {
        if (open_ >= places) {
            put(2, value / 10);
            put(1, value % 10);
        } else {
            add_digit(value / 10);
            add_digit(value % 10);
        }
    }

    /// The digit at that place from the end, unless it is beyond what we keep.
    void put(std::size_t place, int value) {
        if (count_ != digits_.size() || place > digits_.size()) return;
        digits_[digits_.size() - place] = static_cast<char>('0' + value);
    }

    std::size_t count_;
    std::string digits_;
    std::vector<std::size_t> parts_;  ///< ends of groups and words within digits_
    std::size_t open_{0};             ///< zeros at the end that a smaller number may fill
    bool unit_{false};                ///< the latest word is one that "hundred" multiplies
};

bool turkish_number(const Token& token) noexcept {
    return token.word != nullptr && token.word->turkish;
}

bool begins_number(const std::vector<Token>& tokens, std::size_t i) noexcept {
    const Token& token = tokens[i];
    if (token.taken) return false;
    if (token.number) return true;
    const bool followed = i + 1 < tokens.size() && tokens[i + 1].joined && !tokens[i + 1].taken;
    switch (token.meaning()) {
        case unit:
        case teen:
        case tens:
        case hundred:
            return true;
        case times:
            return followed && (tokens[i + 1].number || tokens[i + 1].meaning() == unit);
        case on:
            return followed && turkish_number(tokens[i + 1]);
        case only_amid:  // "oh seven nine": amid digits that follow
            return followed && (tokens[i + 1].number || tokens[i + 1].meaning() == unit ||
                                (tokens[i + 1].meaning() == only_amid && i + 2 < tokens.size() &&
                                 tokens[i + 2].meaning() == unit));
        default:
            return false;
    }
}

bool goes_on(const std::vector<Token>& tokens, std::size_t i) noexcept {
    const Token& token = tokens[i];
    if (token.taken || !token.joined) return false;
    if (token.meaning() == only_amid) return true;
    if (token.meaning() == on) return turkish_number(tokens[i - 1]) || begins_number(tokens, i);
    return begins_number(tokens, i);
}

void add(Number& number, std::string_view text, const std::vector<Token>& tokens, std::size_t i) {
    const Token& token = tokens[i];
    // "double four", "double 4"
    const bool again = i > 0 && tokens[i - 1].meaning() == times && !tokens[i - 1].taken;
    int repeat = again ? tokens[i - 1].word->value : 1;
    if (!token.number) {
        if (token.meaning() == times) return number.not_a_unit();
        for (; repeat > 1; --repeat) {
            number.add_digit(token.word->value);
            number.end_part();
        }
        return number.add_word(*token.word);
    }
    number.not_a_unit();
    for (std::size_t at = token.begin; at < token.end;) {
        const auto character = character_at(text, at);
        const int digit = digit_of(character.code);
        for (int times_left = at == token.begin ? repeat : 1; times_left > 0; --times_left)
            number.add_digit(digit);
        at += character.size;
    }
    number.end_part();
}

std::string label_of(const Number& number, bool enough, Kinds kinds, Kinds& found) {
    std::optional<Kind> is;
    std::string label;
    if (number.any_parts(is_card)) {
        is = Kind::card;
        label = "[card]";
    } else if (number.any_parts(is_identity_number)) {
        is = Kind::identity_number;
        label = "[identity number]";
    } else if (number.count() >= 7 && number.count() <= 15) {
        is = Kind::phone;
        label = "[phone]";
    } else if (enough) {
        is = Kind::digits;
        label = "[digits]";
    }
    if (!is) return {};
    found.add(*is);
    if (kinds.has(*is)) return label;
    return kinds.has(Kind::digits) ? "[digits]" : std::string{};
}

}  // namespace

void find_numbers(
    std::string_view text,
    std::vector<Token>& tokens,
    Kinds kinds,
    Edges edges,
    std::string* carried,
    std::vector<Span>& spans,
    Masked& out
) {
    std::string trailing;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (!begins_number(tokens, i)) continue;
        const bool continues = tokens[i].first && carried != nullptr;
        Number number{continues ? std::string_view{*carried} : std::string_view{}};
        const std::size_t first = i;
        std::size_t last = i;
        std::size_t fillers = 0;
        const std::size_t before = number.count();
        for (std::size_t next = i; next < tokens.size(); ++next) {
            if (next == i || goes_on(tokens, next)) {
                add(number, text, tokens, next);
                last = next;
                fillers = 0;
            } else if (tokens[next].joined && tokens[next].meaning() == filler && fillers < 2) {
                ++fillers;
            } else {
                break;
            }
        }
        // A number is open where nothing but hesitation stands between it and the line's end.
        const bool starts = tokens[first].first;
        const bool ends = last + 1 + fillers == tokens.size() && tokens.back().last;
        const bool alone = starts && ends && number.count() >= fewest_alone && carried != nullptr;
        const bool open = edges == Edges::open && (starts || ends);
        const bool enough = number.count() >= fewest_digits || alone || open ||
                            (continues && before > 0 && number.count() >= fewest_alone);
        const auto label = label_of(number, enough, kinds, out.found);
        out.card_like = out.card_like || number.count() >= fewest_of_card;
        if (!label.empty()) {
            std::size_t begin = tokens[first].begin;
            while (begin > 0 && (text[begin - 1] == '+' || text[begin - 1] == '('))
                --begin;
            std::size_t end = tokens[last].end;
            if (text[begin] == '(' && end < text.size() && text[end] == ')') ++end;
            spans.push_back({begin, end, label});
        }
        if (ends) trailing = std::move(number.digits());
        i = last;
    }
    if (carried != nullptr && !tokens.empty()) *carried = std::move(trailing);
}

}  // namespace oavc::privacy::detail
