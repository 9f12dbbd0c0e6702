#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Hides personal data in what people say, before anybody but the model and the voice gets to see
/// it. Sans-I/O, bounded, in about linear time. Thread: any.
namespace oavc::privacy {

/// What can be hidden. Each stands as a word in the text then: "[card]".
enum class Kind : std::uint8_t {
    phone = 1,             ///< 7 to 15 digits (ITU-T E.164 §6)
    card = 2,              ///< 13 to 19 digits with a right Luhn check (ISO/IEC 7812-1)
    iban = 4,              ///< with right check digits (ISO 13616-1, mod 97)
    email = 8,             ///< written, or spoken as "ali at example dot com"
    identity_number = 16,  ///< Turkish: 11 digits with both checksums
    digits = 32,           ///< any other string of four digits or more: PINs, dates, amounts
    keys = 64,             ///< what stands in "[keypad: 1234]"
};

/// "phone", "card", "iban", "email", "identity_number", "digits".
std::optional<Kind> kind_named(std::string_view name) noexcept;
/// Those that an operator names, as a sentence would.
inline constexpr std::string_view kind_names = "phone, card, iban, email, identity_number, digits";

class Kinds {
public:
    constexpr Kinds() noexcept = default;
    static constexpr Kinds all() noexcept { return Kinds{127}; }
    /// Unknown names are passed over; `keys` is in.
    static Kinds named(std::span<const std::string> names) noexcept;

    constexpr bool has(Kind kind) const noexcept {
        return (bits_ & static_cast<std::uint8_t>(kind)) != 0;
    }
    constexpr void add(Kind kind) noexcept {
        bits_ = static_cast<std::uint8_t>(bits_ | static_cast<std::uint8_t>(kind));
    }
    constexpr void remove(Kind kind) noexcept {
        bits_ = static_cast<std::uint8_t>(bits_ & ~static_cast<unsigned>(kind));
    }
    constexpr bool none() const noexcept { return bits_ == 0; }
    friend constexpr bool operator==(Kinds, Kinds) noexcept = default;

private:
    explicit constexpr Kinds(std::uint8_t bits) noexcept : bits_{bits} {}
    std::uint8_t bits_{0};
};

struct Masked {
    std::string text;
    Kinds found;            ///< what there was, hidden or not
    bool card_like{false};  ///< a card's number, or one as long: a digit may have been misheard
};

/// Text beyond this is not shown at all.
inline constexpr std::size_t longest_text = 16'384;

/// One text on its own. Digits count written ("4242"), in groups ("42 42-42 42"), in other scripts'
/// digits, and as English or Turkish number words ("four two, forty two", "dört yüz yirmi"), also
/// mixed. A text's form is not what hides a number from us: separators, brackets, hesitations.
Masked mask(std::string_view text, Kinds kinds) noexcept;

/// The lines of one speaker in one call: a number may go on from one line to the next. A line of
/// digits alone is hidden from its second digit on, for more may follow. Not seen: a number whose
/// digits are told one at a time, each a line of its own, shows its first; one that is broken up by
/// other words ("four, then I think a two") is no number to us.
class LineMasker {
public:
    explicit LineMasker(Kinds kinds) noexcept : kinds_{kinds} {}

    /// A line that is complete.
    Masked line(std::string_view text) noexcept;

    /// What is heard of a line so far: digits at either end may be part of a longer number and are
    /// hidden however few they are.
    Masked partial(std::string_view text) const noexcept;

    /// The line before ended with digits: the next may go on.
    bool pending() const noexcept { return !digits_.empty(); }

private:
    Kinds kinds_;
    std::string digits_;  ///< at the end of the line before
};

}  // namespace oavc::privacy
