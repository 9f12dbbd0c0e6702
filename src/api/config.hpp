#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace oavc::api {

/// [api]
struct Config {
    std::string host{"0.0.0.0"};
    std::uint16_t port{8088};       ///< the environment's PORT wins (Cloud Run)
    std::uint16_t tls_port{0};      ///< 0: no TLS
    std::string tls_host;           ///< empty: host
    std::string tls_certificate;    ///< PEM, ours with its chain
    std::string tls_private_key;    ///< PEM
    std::string tls_ca;             ///< PEM, who may sign those of clients
    bool tls_verify_client{false};  ///< whoever connects by TLS must show a certificate
    std::string token;       ///< secret; admin's bearer token of /api/v1. Empty: this machine only
    std::string read_token;  ///< secret; watcher's. Empty: there is none
    std::size_t max_connections{10'000};
    std::size_t max_connections_per_source{0};  ///< 0: no limit of its own
};

}  // namespace oavc::api
