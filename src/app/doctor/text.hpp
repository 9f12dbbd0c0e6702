#pragma once

#include "transports/rtp/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

/// Small things that several checks say.
namespace oavc::app::doctor {

inline bool contains(const std::vector<std::string>& list, std::string_view text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

/// "10.0.0.9" of "10.0.0.9:8090" and of "[::1]:8090".
inline std::string_view host_of(std::string_view endpoint) noexcept {
    endpoint = endpoint.substr(0, endpoint.rfind(':'));
    if (endpoint.starts_with('[') && endpoint.ends_with(']')) {
        endpoint = endpoint.substr(1, endpoint.size() - 2);
    }
    return endpoint;
}

inline std::string ports_of(const transports::rtp::Config& rtp) {
    return fmt::format("{}–{}", rtp.port_start, rtp.port_end);
}

}  // namespace oavc::app::doctor
