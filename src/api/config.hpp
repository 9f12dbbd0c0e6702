#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace oavc::api {

/// [api]
struct Config {
    std::string host{"0.0.0.0"};
    std::uint16_t port{8088};  ///< the environment's PORT wins (Cloud Run)
    std::string token;       ///< secret; admin's bearer token of /api/v1. Empty: this machine only
    std::string read_token;  ///< secret; watcher's. Empty: there is none
    std::size_t max_connections{10'000};
    std::size_t max_connections_per_source{0};  ///< 0: no limit of its own
};

}  // namespace oavc::api
