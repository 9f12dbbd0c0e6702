#include "net/websocket.hpp"

namespace oavc::net {

asio::awaitable<Result<void>> WebSocket::receive(WsReceiver& receiver) {
    for (;;) {
        const auto message = co_await read();
        if (message.has_error()) co_return message.error();
        if (!receiver.on_message(*message)) co_return Result<void>{};
    }
}

}  // namespace oavc::net
