#include "app/health.hpp"

#include "net/json_text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <string>
#include <utility>

namespace oavc::app {

namespace {

net::HttpResponse json(int status, std::string body) {
    net::HttpResponse response;
    response.status = status;
    response.content_type = "application/json";
    response.body = std::move(body) + "\n";
    response.headers.emplace("Cache-Control", "no-store");
    return response;
}

double tenths(double value) { return std::round(value * 10) / 10; }

std::string services_json(
    const std::vector<services::Provider::Snapshot>& providers, TimePoint now
) {
    std::string text;
    for (const auto& provider : providers) {
        boost::json::object service{
            {"kind", to_string(provider.identity.kind)},
            {"provider", provider.identity.name},
            {"role", provider.identity.fallback ? "fallback" : "primary"},
            {"usable", provider.usable},
            {"breaker", to_string(provider.breaker)},
            {"succeeded", provider.succeeded},
            {"failed", provider.failed},
            {"last_error", provider.last_error},
        };
        if (provider.last_ok) {
            const std::chrono::duration<double> ago = now - *provider.last_ok;
            service["last_ok_seconds_ago"] = tenths(ago.count());
        }
        if (!text.empty()) text += ',';
        net::append_json(text, service);
    }
    return text;
}

}  // namespace

net::HttpResponse answer(const Liveness& liveness) {
    boost::json::object body{
        {"status", liveness.stuck ? "stuck" : "alive"},
        {"version", OAVC_VERSION},
        {"instance", liveness.instance},
        {"shards", liveness.shards},
        {"lag_ms", tenths(to_ms(liveness.worst_lag))},
    };
    if (liveness.stuck) body["stuck_shard"] = *liveness.stuck;
    return json(liveness.stuck ? 503 : 200, net::json_text(body));
}

net::HttpResponse answer(const Readiness& readiness, TimePoint now) {
    std::vector<std::string_view> reasons;
    if (!readiness.started) reasons.emplace_back("starting");
    if (readiness.refusal) reasons.push_back(to_string(*readiness.refusal));
    if (!readiness.services_usable) reasons.emplace_back("unavailable");
    std::string body = fmt::format(
        R"({{"status":"{}","reasons":{},"active_calls":{},"max_calls":{},"services":[{}]}})",
        reasons.empty() ? "ready" : reasons.front(),
        net::json_text(boost::json::array(reasons.begin(), reasons.end())),
        readiness.places.active,
        readiness.places.capacity,
        services_json(readiness.services, now)
    );
    return json(reasons.empty() ? 200 : 503, std::move(body));
}

}  // namespace oavc::app
