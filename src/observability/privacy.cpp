#include "observability/privacy.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace oavc::privacy {

namespace {

/// Of one number; what is longer is hidden too, but no longer looked at for what it is.
constexpr std::size_t most_digits = 64;
/// Fewer are an age, a table's number, a time of day.
constexpr std::size_t fewest_digits = 4;
/// … unless a line is nothing else.
constexpr std::size_t fewest_alone = 2;
constexpr std::size_t fewest_of_card = 12;  // ISO/IEC 7812-1, and one that was not heard
/// Between two digits of one number: "4242 - (42)".
constexpr std::size_t widest_gap = 12;

// --- Characters ---------------------------------------------------------------------------------

struct Character {
    char32_t code;
    std::size_t size;
};

/// The character at `at`. Broken UTF-8 (RFC 3629 §4) is a replacement character of one byte.
Character character_at(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
    if (size == 1 || lead > 0xF4 || at + size > text.size()) return {0xFFFD, 1};
    char32_t code = lead & (0xFFU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return {0xFFFD, 1};
        code = (code << 6U) | (byte(i) & 0x3FU);
    }
    return {code, size};
}

/// 0 … 9 in the scripts that recognisers and keyboards write; -1 for anything else.
int digit_of(char32_t code) noexcept {
    for (const char32_t zero : {U'0', U'\u0660', U'\u06F0', U'\u0966', U'\uFF10'}) {
        if (code >= zero && code <= zero + 9) return static_cast<int>(code - zero);
    }
    return -1;
}

/// What may stand between two digits of one number.
bool is_joiner(char32_t code) noexcept {
    switch (code) {
        case U' ':
        case U'\t':
        case U'\r':
        case U'\n':
        case U'-':
        case U'.':
        case U',':
        case U';':
        case U'/':
        case U'_':
        case U'(':
        case U')':
        case U'+':
        case U'?':  // a caller who asks whether he was understood
        case U'!':
        case U'\u00A0':  // no-break space
        case U'\u00AD':  // soft hyphen
        case U'\u00B7':  // middle dot
        case U'\u2026':  // …
        case U'\u202F':  // narrow no-break space
        case U'\u2212':  // minus
        case U'\u3000':  // ideographic space
        case U'\uFEFF':  // zero width no-break space
            return true;
        default:
            return code >= U'\u2000' && code <= U'\u2015';  // spaces, joiners, dashes
    }
}

bool is_ascii_letter(char32_t code) noexcept {
    return (code >= U'a' && code <= U'z') || (code >= U'A' && code <= U'Z');
}

bool is_letter(char32_t code) noexcept {
    if (code < 0x80) return is_ascii_letter(code);
    return !is_joiner(code) && digit_of(code) < 0 && !(code >= U'\u2016' && code <= U'\u206F');
}

bool is_alphanumeric(char c) noexcept {
    return is_ascii_letter(static_cast<unsigned char>(c)) || (c >= '0' && c <= '9');
}

// --- Words --------------------------------------------------------------------------------------

enum class Meaning : std::uint8_t {
    nothing,
    unit,       ///< "seven"
    teen,       ///< "seventeen"
    tens,       ///< "seventy": a unit may follow
    hundred,    ///< of the unit before it, or of one
    times,      ///< "double": of the unit after it
    only_amid,  ///< "oh": a zero amid digits, else an exclamation
    on,         ///< ten in Turkish, a preposition in English
    filler,     ///< "uh": a number goes on behind it
    at,
    dot,
    mail_host,  ///< "gmail": also said without its ending
};

struct Word {
    std::string_view folded;
    Meaning meaning;
    int value{0};
    bool turkish{false};
};

using enum Meaning;

// clang-format off
constexpr Word words[] = {
    {"zero", unit, 0}, {"one", unit, 1}, {"two", unit, 2}, {"three", unit, 3}, {"four", unit, 4},
    {"five", unit, 5}, {"six", unit, 6}, {"seven", unit, 7}, {"eight", unit, 8}, {"nine", unit, 9},
    {"niner", unit, 9}, {"nought", unit, 0}, {"nil", unit, 0},
    {"ten", teen, 10}, {"eleven", teen, 11}, {"twelve", teen, 12}, {"thirteen", teen, 13},
    {"fourteen", teen, 14}, {"fifteen", teen, 15}, {"sixteen", teen, 16}, {"seventeen", teen, 17},
    {"eighteen", teen, 18}, {"nineteen", teen, 19},
    {"twenty", tens, 20}, {"thirty", tens, 30}, {"forty", tens, 40}, {"fourty", tens, 40},
    {"fifty", tens, 50}, {"sixty", tens, 60}, {"seventy", tens, 70}, {"eighty", tens, 80},
    {"ninety", tens, 90}, {"hundred", hundred, 100},
    {"double", times, 2}, {"triple", times, 3}, {"treble", times, 3},
    {"oh", only_amid, 0}, {"o", only_amid, 0},
    {"uh", filler}, {"um", filler}, {"er", filler}, {"erm", filler}, {"hmm", filler},
    {"dash", filler}, {"hyphen", filler}, {"space", filler}, {"slash", filler},

    {"sifir", unit, 0, true}, {"bir", unit, 1, true}, {"iki", unit, 2, true},
    {"uc", unit, 3, true}, {"dort", unit, 4, true}, {"bes", unit, 5, true},
    {"alti", unit, 6, true}, {"yedi", unit, 7, true}, {"sekiz", unit, 8, true},
    {"dokuz", unit, 9, true},
    {"on", on, 10, true}, {"yirmi", tens, 20, true}, {"otuz", tens, 30, true},
    {"kirk", tens, 40, true}, {"elli", tens, 50, true}, {"altmis", tens, 60, true},
    {"yetmis", tens, 70, true}, {"seksen", tens, 80, true}, {"doksan", tens, 90, true},
    {"yuz", hundred, 100, true}, {"cift", times, 2, true},
    {"ee", filler}, {"eee", filler}, {"ii", filler}, {"iii", filler}, {"sey", filler},
    {"tire", filler}, {"bosluk", filler}, {"taksim", filler},

    {"at", at}, {"et", at}, {"dot", dot}, {"nokta", dot},
    {"gmail", mail_host}, {"hotmail", mail_host}, {"outlook", mail_host}, {"yahoo", mail_host},
    {"icloud", mail_host}, {"protonmail", mail_host},
};
// clang-format on
constexpr std::size_t longest_word = 16;

/// Lower case, Turkish letters without their marks: recognisers differ in both.
char folded(char32_t code) noexcept {
    switch (code) {
        case U'\u00E7':  // ç
        case U'\u00C7':
            return 'c';
        case U'\u011F':  // ğ
        case U'\u011E':
            return 'g';
        case U'\u0131':  // ı
        case U'\u0130':
            return 'i';
        case U'\u00F6':  // ö
        case U'\u00D6':
            return 'o';
        case U'\u015F':  // ş
        case U'\u015E':
            return 's';
        case U'\u00FC':  // ü
        case U'\u00DC':
            return 'u';
        default:
            if (code >= U'A' && code <= U'Z') return static_cast<char>(code + 32);
            return code < 0x80 ? static_cast<char>(code) : '?';
    }
}

const Word* find_word(std::string_view text) noexcept {
    std::array<char, longest_word> buffer{};
    std::size_t size = 0;
    for (std::size_t i = 0; i < text.size();) {
        const auto character = character_at(text, i);
        i += character.size;
        // Marks of their own: "u" and a diaeresis, "i" and the dot that İ leaves behind.
        if (character.code >= 0x0300 && character.code <= 0x036F) continue;
        if (size == buffer.size()) return nullptr;
        buffer[size++] = folded(character.code);
    }
    const std::string_view word{buffer.data(), size};
    const auto* const found = std::find_if(std::begin(words), std::end(words), [&](const Word& w) {
        return w.folded == word;
    });
    return found == std::end(words) ? nullptr : found;
}

// --- Tokens and what they make up ---------------------------------------------------------------

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

    Meaning meaning() const noexcept { return word == nullptr ? nothing : word->meaning; }
    std::size_t size() const noexcept { return end - begin; }
};

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

/// The tokens that lie wholly within a span are no part of anything else.
void take(std::vector<Token>& tokens, const Span& span) {
    auto token = std::ranges::lower_bound(tokens, span.begin, {}, &Token::begin);
    for (; token != tokens.end() && token->end <= span.end; ++token)
        token->taken = true;
}

// --- "[keypad: 1234]" ---------------------------------------------------------------------------

/// As pipeline/digit_collector.hpp writes what a caller keyed in.
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

// --- E-mail -------------------------------------------------------------------------------------

bool is_mailbox_char(char c) noexcept {
    return is_alphanumeric(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view{"._%+-"}.find(c) != std::string_view::npos;
}

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

/// "j o h n dot smith at example dot com", "ali et gmail".
void find_spoken_email(const std::vector<Token>& tokens, std::vector<Span>& spans) {
    for (std::size_t at = 1; at + 1 < tokens.size(); ++at) {
        if (tokens[at].meaning() != Meaning::at) continue;
        std::size_t last = at + 1;
        const bool known_host = tokens[last].meaning() == mail_host;
        while (last + 2 < tokens.size() && tokens[last + 1].meaning() == dot)
            last += 2;
        if (last == at + 1 && !known_host) continue;
        std::size_t first = at - 1;
        while (first > 0) {
            const Token& before = tokens[first - 1];
            if (before.meaning() == dot && first > 1) {
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

// --- IBAN ---------------------------------------------------------------------------------------

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

// --- Numbers ------------------------------------------------------------------------------------

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

/// Whether more may be said before or behind a line.
enum class Edges { closed, open };

/// `carried`: the digits at the end of the line before, in and out; null: there is no line before.
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

Masked mask_line(std::string_view text, Kinds kinds, Edges edges, std::string* carried) {
    const bool cut = text.size() > longest_text;
    text = text.substr(0, longest_text);
    while (cut && !text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0)
        text.remove_suffix(1);  // half a character
    Masked out;
    std::vector<Span> spans;
    auto tokens = tokens_of(text);
    const auto settle = [&](std::size_t from) {
        for (std::size_t i = from; i < spans.size(); ++i)
            take(tokens, spans[i]);
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
    find_written_email(text, found);
    find_spoken_email(tokens, found);
    keep(Kind::email);
    find_iban(text, found);
    keep(Kind::iban);
    find_numbers(text, tokens, kinds, edges, carried, spans, out);

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
