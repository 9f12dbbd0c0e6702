#include "net/detail/http_routes.hpp"

namespace oavc::net::detail {

HttpRoutes::Found HttpRoutes::find(std::string_view method, std::string_view path) const {
    const std::string_view served = method == "HEAD" ? "GET" : method;
    Found found;
    const auto allow = [&found](std::string_view name) {
        found.allowed += found.allowed.empty() ? "" : ", ";
        found.allowed += name;
    };
    // An exact path beats every prefix, a longer prefix a shorter one.
    const auto weight = [](const HttpRoute& route) {
        return std::pair{!route.prefix, route.path.size()};
    };
    for (const auto& route : routes_) {
        const bool matches = route.prefix ? path.starts_with(route.path) : path == route.path;
        if (!matches) continue;
        if (route.method != served) {
            allow(route.method);
            if (route.method == "GET") allow("HEAD");
            continue;
        }
        if (found.route == nullptr || weight(route) > weight(*found.route)) found.route = &route;
    }
    return found;
}

const WebSocketRoute* HttpRoutes::find_websocket(std::string_view path) const {
    const auto found = websockets_.find(path);
    return found == websockets_.end() ? nullptr : &found->second;
}

std::vector<std::pair<std::string, std::string>> HttpRoutes::list() const {
    std::vector<std::pair<std::string, std::string>> routes;
    for (const auto& route : routes_)
        routes.emplace_back(route.method, route.path);
    return routes;
}

}  // namespace oavc::net::detail
