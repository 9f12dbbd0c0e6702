#pragma once

#include "caller/conformance/case.hpp"

#include <cstddef>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::conformance {

enum class Outcome { passed, failed, skipped };

struct Finding {
    const Case* which{nullptr};
    Outcome outcome{Outcome::skipped};
    std::string why;  ///< of a failure or a skip
    milliseconds took{0};
};

/// "*" stands for anything, "?" for one character; several globs separated by commas.
bool matches(std::string_view globs, std::string_view name);

/// Runs the cases, `parallel` at a time, and tells `on_finding` of each (one at a time, any
/// thread). In the order of `cases`.
std::vector<Finding> run_cases(
    const std::vector<Case>& cases,
    const Target& target,
    std::size_t parallel,
    const std::function<void(const Finding&, std::size_t done)>& on_finding
);

/// 0, or 1 when a case that must hold did not.
int exit_status(const std::vector<Finding>& findings);

// What people and scripts read.
std::string list_of(const std::vector<Case>& cases);
std::string table_of(const std::vector<Finding>& findings, bool colour);
std::string json_of(const Target& target, const std::vector<Finding>& findings);

struct Settings {
    Target target;
    std::string only;  ///< globs; empty: all
    bool list{false};
    bool json{false};
    std::size_t parallel{4};
};
/// The whole command, after its line has been read. Returns the exit status.
int run_conformance(const Settings& settings, bool terminal);

}  // namespace oavc::caller::conformance
