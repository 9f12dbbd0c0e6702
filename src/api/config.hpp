#pragma once

#include <cstdint>
#include <string>

namespace oavc::api {

/// [api]
struct Config {
    std::string host{"0.0.0.0"};
    std::uint16_t port{8088};  ///< the environment's PORT wins (Cloud Run)
    std::string token;         ///< secret; bearer token of /api/v1. Empty: loopback clients only
};

}  // namespace oavc::api
