#pragma once

#include "api/span_exporter.hpp"
#include "observability/log.hpp"
#include "observability/trace.hpp"
#include "observability/tracing_config.hpp"

#include <memory>
#include <string>
#include <utility>

namespace oavc::app {

/// Traces of calls and their way to a collector. Owner: the server; outlives the calls.
struct Tracing {
    Tracing(const trace::Config& config, const std::string& instance, log::Logger log)
        : exporter{config, {config.service_name, OAVC_VERSION, instance}, std::move(log)},
          tracer{config.sample_ratio, exporter} {}

    api::SpanExporter exporter;
    const trace::Tracer tracer;
};

/// Null without [tracing] endpoint.
inline std::unique_ptr<Tracing> make_tracing(
    const trace::Config& config, const std::string& instance, const log::Logger& log
) {
    if (config.endpoint.empty()) return nullptr;
    return std::make_unique<Tracing>(config, instance, log);
}

}  // namespace oavc::app
