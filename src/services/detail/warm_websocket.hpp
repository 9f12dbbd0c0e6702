#pragma once

#include "async/awaitable.hpp"
#include "async/background.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "net/http.hpp"
#include "net/websocket.hpp"
#include "services/config.hpp"

#include <memory>
#include <optional>

namespace oavc::services {

/// One call's supply of connections to one WebSocket server: a spare is kept open, so that no turn
/// pays for a handshake, and so that cancelling may simply drop the connection in use. A spare that
/// dies is replaced with back-off; what a server says on a spare (greetings) is ignored, its pings
/// are answered. Thread: the call's shard. Destruction drops the spare at once.
class WarmWebSocket {
public:
    using Connection = net::WebSocket;

    struct Options {
        Endpoint endpoint;         ///< ws:// or wss://
        net::HttpHeaders headers;  ///< of the handshake
        net::WsLimits limits;
    };

    /// Begins to connect.
    WarmWebSocket(async::Shard& shard, Options options);
    ~WarmWebSocket();

    /// An open connection: the spare, or the one that is being made. It is the caller's; the next
    /// spare is begun. Errors as service_error() has them. Cancellable; one caller at a time.
    asio::awaitable<Result<std::unique_ptr<net::WebSocket>>> take();

    /// A connection that has answered all it was asked, for the next take(): servers that carry one
    /// request after another are spared a handshake for each. What it still says is ignored.
    void give_back(std::unique_ptr<net::WebSocket> socket);

    /// A spare is open.
    bool warm() const noexcept;

private:
    struct State;
    struct Returned;
    std::shared_ptr<State> state_;
    async::Background background_;
    std::shared_ptr<Returned> returned_;
    std::optional<async::Background> returned_reader_;
};

}  // namespace oavc::services
