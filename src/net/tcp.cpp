#include "net/tcp.hpp"

#include "net/detail/byte_stream.hpp"
#include "net/detail/connect_tcp.hpp"
#include "net/detail/listen_tcp.hpp"
#include "net/udp.hpp"
#include "net/url.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <utility>

namespace oavc::net {

using asio::ip::tcp;

namespace detail {

Result<tcp::acceptor> open_acceptor(
    async::Shard& shard, const std::string& address, std::uint16_t port
) {
    error_code error;
    const tcp::endpoint local{asio::ip::make_address(address, error), port};
    if (error) return error;
    tcp::acceptor acceptor{shard.context()};
    acceptor.open(local.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(local, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) acceptor.non_blocking(true, error);
    if (error) return error;
    return acceptor;
}

asio::awaitable<Result<tcp::socket>> accept_tcp(tcp::acceptor& acceptor, AcceptedTcp& from) {
    auto [error, socket] = co_await acceptor.async_accept(as_result);
    if (error) co_return error;
    error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    const auto remote = socket.remote_endpoint(ignored);
    from.address = unmapped(remote.address()).to_string();
    from.port = remote.port();
    co_return std::move(socket);
}

}  // namespace detail

namespace {

using TcpBytes = detail::ByteStream<tcp::socket>;

class PlainTcpStream final : public TcpStream {
public:
    PlainTcpStream(tcp::socket socket, std::size_t max_queued_bytes)
        : state_{std::make_shared<TcpBytes>(std::move(socket), max_queued_bytes)} {}
    PlainTcpStream(const PlainTcpStream&) = delete;
    PlainTcpStream& operator=(const PlainTcpStream&) = delete;
    ~PlainTcpStream() override { state_->drop(); }

    asio::awaitable<Result<std::string_view>> read() override { return TcpBytes::read(state_); }
    bool send(std::string_view bytes) override { return state_->send(bytes); }

private:
    const std::shared_ptr<TcpBytes> state_;
};

class PlainTcpListener final : public TcpListener {
public:
    PlainTcpListener(tcp::acceptor acceptor, std::size_t max_queued_bytes)
        : acceptor_{std::move(acceptor)}, max_queued_bytes_{max_queued_bytes} {
        error_code ignored;
        port_ = acceptor_.local_endpoint(ignored).port();
    }

    std::uint16_t port() const noexcept override { return port_; }

    asio::awaitable<Result<AcceptedTcp>> accept() override {
        AcceptedTcp out;
        auto socket = co_await detail::accept_tcp(acceptor_, out);
        if (socket.has_error()) co_return socket.error();
        out.stream = std::make_unique<PlainTcpStream>(std::move(*socket), max_queued_bytes_);
        co_return out;
    }

private:
    tcp::acceptor acceptor_;
    const std::size_t max_queued_bytes_;
    std::uint16_t port_{0};
};

}  // namespace

Result<std::unique_ptr<TcpListener>> tcp_listen(
    async::Shard& shard,
    const std::string& address,
    std::uint16_t port,
    std::size_t max_queued_bytes
) {
    auto acceptor = detail::open_acceptor(shard, address, port);
    if (acceptor.has_error()) return acceptor.error();
    std::unique_ptr<TcpListener> out =
        std::make_unique<PlainTcpListener>(std::move(*acceptor), max_queued_bytes);
    return out;
}

asio::awaitable<Result<std::unique_ptr<TcpStream>>> tcp_connect(
    async::Shard& shard, std::string text, Clock::duration limit, std::size_t max_queued_bytes
) {
    const auto url = parse_url(text);
    if (url.has_error()) co_return url.error();
    if (url->scheme != "tcp") co_return error_code{NetErrc::bad_url};
    auto socket =
        co_await detail::connect_tcp(shard.executor(), url->host, url->port, Clock::now() + limit);
    if (socket.has_error()) co_return socket.error();
    std::unique_ptr<TcpStream> stream =
        std::make_unique<PlainTcpStream>(std::move(*socket), max_queued_bytes);
    co_return stream;
}

}  // namespace oavc::net
