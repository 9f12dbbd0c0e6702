#pragma once

#include <span>
#include <string_view>

namespace oavc::config {

/// The candidate that `name` was most likely meant to be, or "" when none is close: at most one
/// mistake per three letters (a wrong, missing, extra or swapped letter each count one).
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace oavc::config
