#pragma once

#include "caller/bench/run.hpp"

#include <string>
#include <string_view>

namespace oavc::caller::bench {

/// The head of the table, and a step as its line; both without the newline.
std::string table_head();
std::string table_line(const Step& step);

/// The line that is written over and over while the test runs.
std::string progress_line(std::string_view phase, const Engine& engine);

/// The medians of what was run more than once, with a head of their own. Empty: nothing was.
std::string medians_table(const Results& results);

/// What the table has no room for, several lines.
std::string details(const Step& step, std::string_view via);

/// What it all means, several lines.
std::string conclusion(const Results& results, bool calibrate);

/// Everything measured, one JSON object. Times are in milliseconds.
std::string to_json(const Results& results);

/// Latency, jitter and CPU against calls, readable on light and dark ground. The server's steps
/// only; needs one at least.
std::string to_svg(const Results& results);

}  // namespace oavc::caller::bench
