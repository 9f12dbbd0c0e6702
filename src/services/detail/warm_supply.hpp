#pragma once

#include "async/awaitable.hpp"
#include "async/background.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace oavc::services {

/// One call's supply of connections to one server: a spare is kept open, so that no turn pays for
/// a handshake, and so that cancelling may simply drop the connection in use. A spare that dies is
/// replaced with back-off; what a server says on a spare (greetings) is ignored, its pings are
/// answered. For net::WebSocket (warm_websocket.hpp) and net::TcpStream (warm_tcp.hpp). Thread: the
/// call's shard. Destruction drops the spare at once.
template <class C>
class WarmSupply {
public:
    using Connection = C;
    using Connect = std::function<asio::awaitable<Result<std::unique_ptr<C>>>(async::Shard&)>;

    /// Begins to connect. What `connect` captures lives as long as its coroutines.
    WarmSupply(async::Shard& shard, Connect connect);
    WarmSupply(const WarmSupply&) = delete;
    WarmSupply& operator=(const WarmSupply&) = delete;
    ~WarmSupply();

    /// An open connection: the spare, or the one that is being made. It is the caller's; the next
    /// spare is begun. Errors as service_error() has them. Cancellable; one caller at a time.
    asio::awaitable<Result<std::unique_ptr<C>>> take();

    /// A connection that has answered all it was asked, for the next take(): servers that carry one
    /// request after another are spared a handshake for each. What it still says is ignored.
    void give_back(std::unique_ptr<C> connection);

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
