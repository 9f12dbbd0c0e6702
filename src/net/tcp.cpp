#include "net/tcp.hpp"

#include "net/detail/connect_tcp.hpp"
#include "net/url.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <utility>
#include <vector>

namespace oavc::net {

namespace {

using asio::ip::tcp;

/// What pending operations need after the stream itself is gone.
class TcpState : public std::enable_shared_from_this<TcpState> {
public:
    TcpState(tcp::socket socket, std::size_t max_queued_bytes)
        : socket_{std::move(socket)}, max_queued_bytes_{max_queued_bytes} {}

    static asio::awaitable<Result<std::string_view>> read(std::shared_ptr<TcpState> self) {
        self->input_.resize(16 * 1024);
        auto [error, size] =
            co_await self->socket_.async_read_some(asio::buffer(self->input_), as_result);
        if (error) co_return error;
        co_return std::string_view{self->input_.data(), size};
    }

    bool send(std::string_view bytes) {
        if (dead_ || bytes.size() > max_queued_bytes_ - queued_.size() - sending_.size()) {
            return false;
        }
        queued_ += bytes;
        if (sending_.empty()) write();
        return true;
    }

    void drop() noexcept {
        dead_ = true;
        error_code ignored;
        socket_.close(ignored);
    }

private:
    void write() {
        std::swap(queued_, sending_);
        asio::async_write(
            socket_,
            asio::buffer(sending_),
            [self = shared_from_this()](const error_code& error, std::size_t) {
                self->sending_.clear();
                if (error) {
                    self->dead_ = true;  // reading tells why
                    self->queued_.clear();
                } else if (!self->queued_.empty()) {
                    self->write();
                }
            }
        );
    }

    tcp::socket socket_;
    const std::size_t max_queued_bytes_;
    std::vector<char> input_;
    std::string queued_;
    std::string sending_;
    bool dead_{false};
};

class PlainTcpStream final : public TcpStream {
public:
    explicit PlainTcpStream(std::shared_ptr<TcpState> state) : state_{std::move(state)} {}
    PlainTcpStream(const PlainTcpStream&) = delete;
    PlainTcpStream& operator=(const PlainTcpStream&) = delete;
    ~PlainTcpStream() override { state_->drop(); }

    asio::awaitable<Result<std::string_view>> read() override { return TcpState::read(state_); }
    bool send(std::string_view bytes) override { return state_->send(bytes); }

private:
    const std::shared_ptr<TcpState> state_;
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
        auto [error, socket] = co_await acceptor_.async_accept(as_result);
        if (error) co_return error;
        error_code ignored;
        socket.set_option(tcp::no_delay{true}, ignored);
        AcceptedTcp out;
        const auto remote = socket.remote_endpoint(ignored);
        auto address = remote.address();
        if (address.is_v6() && address.to_v6().is_v4_mapped()) {
            address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
        }
        out.address = address.to_string();
        out.port = remote.port();
        out.stream = std::make_unique<PlainTcpStream>(
            std::make_shared<TcpState>(std::move(socket), max_queued_bytes_)
        );
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
    std::unique_ptr<TcpListener> out =
        std::make_unique<PlainTcpListener>(std::move(acceptor), max_queued_bytes);
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
    std::unique_ptr<TcpStream> stream = std::make_unique<PlainTcpStream>(
        std::make_shared<TcpState>(std::move(*socket), max_queued_bytes)
    );
    co_return stream;
}

}  // namespace oavc::net
