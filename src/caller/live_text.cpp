#include "caller/live_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace oavc::caller {

namespace {

constexpr int caller_colour = 39;
constexpr int connector_colour = 113;
constexpr int note_colour = 244;
constexpr std::size_t partial_width = 60;  ///< bytes: must not wrap, or it could not be erased

}  // namespace

void LiveText::erase_partial() {
    if (!partial_shown_) return;
    fmt::print(out_, "\r\x1b[2K");
    partial_shown_ = false;
}

void LiveText::line(milliseconds at, std::string_view who, int colour, const std::string& text) {
    erase_partial();
    const double seconds = static_cast<double>(std::max<std::int64_t>(at.count(), 0)) / 1000.0;
    fmt::print(
        out_,
        "  {}  {} {}\n",
        style_.dim(fmt::format("{:>6.2f}", seconds)),
        style_.tint(colour, fmt::format("{:<10}", who)),
        text
    );
    std::fflush(out_);
}

void LiveText::note(milliseconds at, std::string_view what) {
    line(at, "", note_colour, style_.dim(what));
}

void LiveText::caller_speaks(milliseconds at, std::string_view text, bool interrupts) {
    line(
        at,
        "caller",
        caller_colour,
        interrupts ? fmt::format("{} {}", text, style_.dim("(interrupts)")) : std::string{text}
    );
}

void LiveText::server_event(const ServerEvent& event, milliseconds at) {
    if (event.kind == "partial") {
        if (!terminal_) return;
        erase_partial();
        std::string text = event.text.substr(0, partial_width);
        while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0)
            text.pop_back();
        fmt::print(out_, "{}", style_.dim(fmt::format("          understands: {}…", text)));
        std::fflush(out_);
        partial_shown_ = true;
    } else if (event.kind == "caller_said") {
        line(at, "", note_colour, style_.dim(fmt::format("understood: {}", event.text)));
    } else if (event.kind == "sentence") {
        line(at, "connector", connector_colour, event.text);
    } else if (event.kind == "barge_in") {
        line(at, "", note_colour, style_.dim("the connector falls silent"));
    } else if (event.kind == "heard" && event.interrupted) {
        line(at, "", note_colour, style_.dim(fmt::format("of that was heard: {}…", event.text)));
    }
}

}  // namespace oavc::caller
