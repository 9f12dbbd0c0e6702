#include "net/detail/websocket_tls_link.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace oavc::net::detail {

namespace {

namespace asio = boost::asio;

int socket_of(BIO* bio) noexcept {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));  // NOLINT
}

bool is_for_later() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

/// OpenSSL's own socket BIO would raise SIGPIPE.
int write_socket(BIO* bio, const char* bytes, int size) noexcept {
    BIO_clear_retry_flags(bio);
    const auto sent =
        ::send(socket_of(bio), bytes, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && is_for_later()) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

int read_socket(BIO* bio, char* bytes, int size) noexcept {
    BIO_clear_retry_flags(bio);
    const auto got = ::recv(socket_of(bio), bytes, static_cast<std::size_t>(size), MSG_DONTWAIT);
    if (got < 0 && is_for_later()) BIO_set_retry_read(bio);
    if (got == 0) errno = 0;  // the end is no error
    return static_cast<int>(got);
}

long control_socket(BIO*, int command, long, void*) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/// How OpenSSL reaches a socket; one for all, never freed.
const BIO_METHOD* socket_method() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
        BIO_meth_set_write(made, write_socket);
        BIO_meth_set_read(made, read_socket);
        BIO_meth_set_ctrl(made, control_socket);
        return made;
    }();
    return method;
}

class TlsLink final : public WebSocketLink, private SocketPoller::Client {
public:
    TlsLink(int socket, SslHandle tls, std::shared_ptr<SocketPoller> poller)
        : socket_{socket}, tls_{std::move(tls)}, poller_{std::move(poller)} {
        BIO* const bio = BIO_new(socket_method());
        BIO_set_data(bio, reinterpret_cast<void*>(std::intptr_t{socket}));  // NOLINT
        BIO_set_init(bio, 1);
        SSL_set_bio(tls_.get(), bio, bio);
        // A record in one recv, where its header would be read first; and the buffers stay between
        // messages, of which there are fifty a second.
        SSL_set_read_ahead(tls_.get(), 1);
        SSL_clear_mode(tls_.get(), SSL_MODE_RELEASE_BUFFERS);
        SSL_set_mode(
            tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        );
    }
    TlsLink(const TlsLink&) = delete;
    TlsLink& operator=(const TlsLink&) = delete;
    ~TlsLink() override { close(); }

    void belong_to(Owner& owner) override { owner_ = &owner; }

    void read() override {
        reading_ = true;
        watch();
        // Of what OpenSSL holds already the kernel says nothing; take() looks itself.
        if (!handing_over_ && wants_what_is_held()) poller_->flush_soon(*this);
    }

    bool write(std::string_view bytes) override {
        unsent_ = bytes;
        const auto error = send_some();
        if (!error && unsent_.empty()) return true;
        // A broken connection is told of by the next round, as one that is full.
        watch();
        return false;
    }

    void flush_soon() override {
        flush_asked_ = true;
        poller_->flush_soon(*this);
    }

    void shutdown_send() noexcept override {
        if (socket_ < 0) return;
        say_goodbye();
        ::shutdown(socket_, SHUT_WR);
    }

    void close() noexcept override {
        if (socket_ < 0) return;
        reading_ = false;
        read_wants_to_write_ = false;
        if (unsent_.empty()) say_goodbye();
        unsent_ = {};
        watch();
        poller_->forget(*this);
        ::close(std::exchange(socket_, -1));
    }

private:
    /// A connection with others is let take this many messages at a time.
    static constexpr int most_at_once = 8;

    void on_flush() noexcept override {
        const auto alive = owner_->alive();
        if (std::exchange(flush_asked_, false)) owner_->on_flush();
        if (wants_what_is_held()) take();
    }

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
        take();
    }

    /// Hands over what is there, as long as it is asked for. More than one message only of what
    /// OpenSSL holds already: that there is nothing else the kernel need not be asked.
    void take() noexcept {
        if (socket_ < 0) return;
        if (!reading_) return watch();  // nobody asks: the kernel keeps it
        int left = most_at_once;
        do {
            const auto room = poller_->scratch();
            ERR_clear_error();
            const int size = SSL_read(tls_.get(), room.data(), static_cast<int>(room.size()));
            if (size <= 0) return on_no_bytes(size);
            if (std::exchange(read_wants_to_write_, false)) watch();
            reading_ = false;
            handing_over_ = true;
            owner_->on_bytes(room.first(static_cast<std::size_t>(size)));
            handing_over_ = false;
        } while (wants_what_is_held() && --left > 0);
        if (wants_what_is_held()) poller_->flush_soon(*this);
    }

    bool wants_what_is_held() const noexcept {
        return socket_ >= 0 && reading_ && SSL_has_pending(tls_.get()) != 0;
    }

    void on_no_bytes(int result) noexcept {
        const int reason = SSL_get_error(tls_.get(), result);
        read_wants_to_write_ = reason == SSL_ERROR_WANT_WRITE;  // it answers a new key
        if (read_wants_to_write_ || reason == SSL_ERROR_WANT_READ) return watch();
        reading_ = false;
        watch();
        owner_->on_input_over(error_of(reason));
    }

    error_code send_some() noexcept {
        while (!unsent_.empty()) {
            ERR_clear_error();
            const int sent =
                SSL_write(tls_.get(), unsent_.data(), static_cast<int>(unsent_.size()));
            if (sent <= 0) {
                const int reason = SSL_get_error(tls_.get(), sent);
                const bool full = reason == SSL_ERROR_WANT_WRITE || reason == SSL_ERROR_WANT_READ;
                return full ? error_code{} : error_of(reason);
            }
            unsent_.remove_prefix(static_cast<std::size_t>(sent));
        }
        return {};
    }

    /// After a call that failed. Who ends TCP without a word of TLS has vanished: WebSocket says
    /// itself when it ends.
    static error_code error_of(int reason) noexcept {
        const auto code = ERR_get_error();
        const bool ended = reason == SSL_ERROR_ZERO_RETURN ||
                           ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
        if (ended || (reason == SSL_ERROR_SYSCALL && errno == 0)) return asio::error::eof;
        if (reason == SSL_ERROR_SYSCALL) return {errno, boost::system::system_category()};
        return {static_cast<int>(code), asio::error::get_ssl_category()};
    }

    /// close_notify, if there is room for it.
    void say_goodbye() noexcept {
        ERR_clear_error();
        SSL_shutdown(tls_.get());
        ERR_clear_error();
    }

    /// Tells the poller what is waited for, if that has changed.
    void watch() noexcept {
        using Interest = SocketPoller::Interest;
        const bool writing = !unsent_.empty() || read_wants_to_write_;
        const auto wanted = !writing   ? reading_ ? Interest::read : Interest::none
                            : reading_ ? Interest::read_write
                                       : Interest::write;
        if (poller_->watch(socket_, *this, watched_, wanted)) watched_ = wanted;
    }

    int socket_;
    const SslHandle tls_;
    const std::shared_ptr<SocketPoller> poller_;
    Owner* owner_{nullptr};
    std::string_view unsent_;
    bool reading_{false};
    bool handing_over_{false};
    bool read_wants_to_write_{false};
    bool flush_asked_{false};
    SocketPoller::Interest watched_{SocketPoller::Interest::none};
};

}  // namespace

std::unique_ptr<WebSocketLink> link_tls(
    int socket, SslHandle tls, std::shared_ptr<SocketPoller> poller
) {
    return std::make_unique<TlsLink>(socket, std::move(tls), std::move(poller));
}

}  // namespace oavc::net::detail
