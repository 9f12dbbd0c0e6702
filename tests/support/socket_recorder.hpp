#pragma once

#include "net/websocket.hpp"

#include <boost/asio/error.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

/// A socket without a peer: takes `room` messages and tells what they were. For protocols that send
/// by themselves.
class SocketRecorder final : public net::WebSocket {
public:
    std::vector<std::string> sent;  ///< text, or "N samples"
    std::size_t room{1'000};

    asio::awaitable<Result<net::WsMessage>> read() override {
        co_return error_code{asio::error::eof};
    }
    bool send_text(std::string_view text) override { return take(std::string{text}); }
    bool send_binary(std::string_view data) override {
        return take(std::to_string(data.size() / 2) + " samples");
    }
    asio::awaitable<void> close(std::uint16_t, std::string) override { co_return; }
    void begin_close(std::uint16_t, std::string) override {}

private:
    bool take(std::string message) {
        if (room == 0) return false;
        --room;
        sent.push_back(std::move(message));
        return true;
    }
};

}  // namespace oavc::test
