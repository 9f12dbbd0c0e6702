#pragma once

#include "net/http_server.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::net::detail {

struct HttpRoute {
    std::string method;
    std::string path;
    bool prefix{false};
    HttpHandler handler;
    HttpLongHandler long_handler;  ///< one of the two
};

struct WebSocketRoute {
    WebSocketGate gate;
    WebSocketHandler handler;
    std::optional<std::size_t> shard;
};

/// What a server's paths lead to. Fixed before the server starts; afterwards, thread: any.
class HttpRoutes {
public:
    /// What a path and method lead to.
    struct Found {
        const HttpRoute* route{nullptr};
        std::string allowed;  ///< methods, when the path is known and the method is not
    };

    void add(HttpRoute route) { routes_.push_back(std::move(route)); }
    void add_websocket(std::string path, WebSocketRoute route) {
        websockets_.emplace(std::move(path), std::move(route));
    }

    Found find(std::string_view method, std::string_view path) const;
    const WebSocketRoute* find_websocket(std::string_view path) const;  ///< null: none there

    std::vector<std::pair<std::string, std::string>> list() const;  ///< HttpServer::routes()

private:
    std::vector<HttpRoute> routes_;
    std::map<std::string, WebSocketRoute, std::less<>> websockets_;
};

}  // namespace oavc::net::detail
