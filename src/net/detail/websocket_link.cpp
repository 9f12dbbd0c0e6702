#include "net/detail/websocket_link.hpp"

#include <boost/asio/error.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace oavc::net::detail {

namespace {

namespace asio = boost::asio;

error_code last_error() noexcept { return {errno, boost::system::system_category()}; }

class SocketLink final : public WebSocketLink, private SocketPoller::Client {
public:
    SocketLink(int socket, std::shared_ptr<SocketPoller> poller)
        : socket_{socket}, poller_{std::move(poller)} {}
    SocketLink(const SocketLink&) = delete;
    SocketLink& operator=(const SocketLink&) = delete;
    ~SocketLink() override { close(); }

    void belong_to(Owner& owner) override { owner_ = &owner; }

    void read() override {
        reading_ = true;
        watch();
    }

    bool write(std::string_view bytes) override {
        unsent_ = bytes;
        const auto error = send_some();
        if (!error && unsent_.empty()) return true;
        // A broken connection is told of by the next round, as one that is full.
        watch();
        return false;
    }

    void flush_soon() override { poller_->flush_soon(*this); }

    void shutdown_send() noexcept override {
        if (socket_ >= 0) ::shutdown(socket_, SHUT_WR);
    }

    void close() noexcept override {
        if (socket_ < 0) return;
        reading_ = false;
        unsent_ = {};
        watch();
        poller_->forget(*this);
        ::close(std::exchange(socket_, -1));
    }

private:
    void on_flush() noexcept override { owner_->on_flush(); }

    /// The owner may close and go away in the last call of each branch.
    void on_ready() noexcept override {
        const auto alive = owner_->alive();
        if (!unsent_.empty()) {
            const auto error = send_some();
            if (error) unsent_ = {};
            if (unsent_.empty()) {
                watch();
                owner_->on_written(error);
            }
        }
        if (socket_ < 0) return;
        if (!std::exchange(reading_, false)) return watch();  // nobody asks: the kernel keeps it
        const auto room = poller_->scratch();
        const auto size = ::recv(socket_, room.data(), room.size(), MSG_DONTWAIT);
        if (size > 0) return owner_->on_bytes(room.first(static_cast<std::size_t>(size)));
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            reading_ = true;
            return;
        }
        const error_code why = size == 0 ? error_code{asio::error::eof} : last_error();
        watch();
        owner_->on_input_over(why);
    }

    error_code send_some() noexcept {
        const auto sent =
            ::send(socket_, unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            const bool full = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
            return full ? error_code{} : last_error();
        }
        unsent_.remove_prefix(static_cast<std::size_t>(sent));
        return {};
    }

    /// Tells the poller what is waited for, if that has changed.
    void watch() noexcept {
        using Interest = SocketPoller::Interest;
        const auto wanted = unsent_.empty() ? reading_ ? Interest::read : Interest::none
                            : reading_      ? Interest::read_write
                                            : Interest::write;
        if (poller_->watch(socket_, *this, watched_, wanted)) watched_ = wanted;
    }

    int socket_;
    const std::shared_ptr<SocketPoller> poller_;
    Owner* owner_{nullptr};
    std::string_view unsent_;
    bool reading_{false};
    SocketPoller::Interest watched_{SocketPoller::Interest::none};
};

}  // namespace

std::unique_ptr<WebSocketLink> link_socket(int socket, std::shared_ptr<SocketPoller> poller) {
    return std::make_unique<SocketLink>(socket, std::move(poller));
}

}  // namespace oavc::net::detail
