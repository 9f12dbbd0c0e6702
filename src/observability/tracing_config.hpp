#pragma once

#include <string>

namespace oavc::trace {

/// [tracing]
struct Config {
    std::string endpoint;  ///< of an OTLP/HTTP collector; empty: no tracing
    std::string headers;   ///< "name=value,name2=value2", values URL-encoded; may hold a secret
    std::string ca_file;   ///< PEM to trust instead of the system's store
    std::string certificate_file;  ///< PEM to show a collector that asks; empty: none
    std::string key_file;
    std::string service_name{"oavc"};
    double sample_ratio{1.0};    ///< of traces that begin here
    std::string google_project;  ///< where log lines name their trace for Google Cloud
};

}  // namespace oavc::trace
