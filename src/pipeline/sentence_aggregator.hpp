#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

/// Cuts a stream of tokens into sentences for synthesis. The first piece is let go early, at a
/// comma if need be, because the caller waits for it; "3.5", "e.g." and "Dr." do not end one.
/// Marks meant for eyes (Markdown stars, hashes, backticks) are left out.
class SentenceAggregator {
public:
    static constexpr std::size_t longest = 300;  ///< bytes; longer text is cut at a space
    static constexpr std::size_t early_comma =
        24;  ///< bytes before a comma that may end the first piece

    /// Adds text, cut anywhere (also inside a UTF-8 character).
    void push(std::string_view token);
    /// The reply is complete: what is left becomes a sentence too.
    void finish() noexcept { finished_ = true; }
    /// The next sentence, trimmed and not empty.
    std::optional<std::string> next();
    void reset();

private:
    std::size_t find_end() const noexcept;

    std::string pending_;
    bool first_{true};
    bool finished_{false};
};

/// The sentences of a text that is complete.
std::vector<std::string> sentences_of(std::string_view text);

}  // namespace oavc::pipeline
