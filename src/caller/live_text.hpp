#pragma once

#include "base/time.hpp"
#include "caller/report.hpp"

#include <cstdio>
#include <string>
#include <string_view>

namespace oavc::caller {

/// The conversation as it happens, line by line: time since the answer, who, what. On a terminal
/// partial transcripts are shown dim and replaced by what follows.
class LiveText {
public:
    LiveText(std::FILE* out, bool terminal, Style style)
        : out_{out}, terminal_{terminal}, style_{style} {}

    void note(milliseconds at, std::string_view what);
    void caller_speaks(milliseconds at, std::string_view text, bool interrupts);
    void server_event(const ServerEvent& event, milliseconds at);

    const Style& style() const noexcept { return style_; }

private:
    void line(milliseconds at, std::string_view who, int colour, const std::string& text);
    void erase_partial();

    std::FILE* const out_;
    const bool terminal_;
    const Style style_;
    bool partial_shown_{false};
};

}  // namespace oavc::caller
