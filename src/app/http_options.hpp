#pragma once

#include "api/config.hpp"
#include "net/http_server.hpp"
#include "transports/twilio/form.hpp"

namespace oavc::app {

/// [api] as the HTTP server understands it.
inline net::HttpServer::Options http_options(const api::Config& config) {
    net::HttpServer::Options options;
    options.host = config.host;
    options.port = config.port;
    // Nothing larger is sent to us, and a body is read before it is known who sends it.
    options.max_body = transports::twilio::max_form_bytes;
    options.max_connections = config.max_connections;
    options.max_connections_per_source = config.max_connections_per_source;
    if (config.tls_port == 0) return options;
    options.tls.emplace();
    options.tls->host = config.tls_host.empty() ? config.host : config.tls_host;
    options.tls->port = config.tls_port;
    options.tls->identity = {
        config.tls_certificate, config.tls_private_key, config.tls_ca, config.tls_verify_client};
    return options;
}

}  // namespace oavc::app
