#pragma once

#include "observability/log.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// What only a few need of the log.

namespace oavc::log {

/// `log` with lines that name their trace and span (hexadecimal): "trace=…" for people; in JSON the
/// fields by which Google Cloud shows lines and traces together, if set_google_project was called.
Logger with_trace(const Logger& log, std::string_view trace, std::string_view span, bool sampled);

/// The project in which Google Cloud keeps the traces; empty: elsewhere. Before the first call.
void set_google_project(std::string project);

/// Lines of that level that were written since start-up. Thread: any.
std::uint64_t lines(Level level) noexcept;

}  // namespace oavc::log
