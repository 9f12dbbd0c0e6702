#pragma once

#include "base/time.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace oavc::pipeline {

/// When an entry of the keypad is complete.
struct DigitRules {
    std::size_t count{20};    ///< with this many keys; at most DigitCollector::most
    milliseconds first{10s};  ///< wait for the first key, where one is asked for
    milliseconds next{3s};    ///< silence after a key
    char terminator{'#'};     ///< with this key, which is not part of it; '\0': none
};

/// Makes entries of the keys that a caller presses, sans-I/O. An entry begins with its first key,
/// or when one is asked for, and is complete with its last, its terminator, or a pause. A
/// terminator that comes first is an entry of its own ("press # to repeat").
/// Keys are secrets: they are in here, and in the entry, and nowhere else. Never allocates before
/// an entry is complete.
class DigitCollector {
public:
    static constexpr std::size_t most = 32;  ///< keys of one entry

    explicit DigitCollector(DigitRules usual) noexcept;

    /// Asks for an entry: its first key is waited for. An entry under way is forgotten.
    void ask(DigitRules rules, TimePoint now) noexcept;

    /// A key. Returns the entry that it completes.
    std::optional<std::string> on_digit(char digit, TimePoint now);

    /// The entry that time completes; empty when an entry was asked for and no key came.
    std::optional<std::string> poll(TimePoint now);

    /// The caller speaks instead, or went away: nothing is waited for.
    void cancel() noexcept;

    bool waiting() const noexcept { return asked_ && size_ == 0; }  ///< for the first key
    bool collecting() const noexcept { return size_ > 0; }
    std::size_t size() const noexcept { return size_; }

private:
    std::string take();

    DigitRules usual_;
    DigitRules rules_;  ///< of the entry under way
    bool asked_{false};
    TimePoint since_{};  ///< the latest key, or the question
    std::size_t size_{0};
    std::array<char, most> digits_{};
};

/// "[keypad: ****]": an entry as it may be seen by anybody. "[keypad: nothing]" for an empty one.
std::string masked_entry(std::size_t digits);
/// "[keypad: 1234]".
std::string shown_entry(std::string_view digits);

/// How many masked entries `text` has.
std::size_t count_entries(std::string_view text) noexcept;

/// `text` with its masked entries written out, in order.
std::string reveal_entries(std::string_view text, std::span<const std::string> entries);

}  // namespace oavc::pipeline
