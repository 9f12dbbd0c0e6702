#pragma once

#include "support/tls_front.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::test {

/// One end of a TLS connection on the loopback interface, by OpenSSL itself and blocking (10 s at
/// most): whom ours must get along with.
class TlsPeer {
public:
    struct Settings {
        const SelfMadeCertificate* trusted{nullptr};  ///< null: anybody
        const SelfMadeCertificate* own{nullptr};
        int newest{0};                 ///< TLS1_1_VERSION …; 0: what OpenSSL has
        SSL_SESSION* resume{nullptr};  ///< of an earlier connection's session()
    };

    /// Connects to `port`; `is_open()` tells whether the handshake succeeded.
    TlsPeer(std::uint16_t port, const Settings& settings)
        : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)},
          context_{make_context(TLS_client_method(), settings)} {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        prepare();
        if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
            return;  // NOLINT
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_fd(ssl_.get(), fd_);
        if (settings.resume != nullptr) SSL_set_session(ssl_.get(), settings.resume);
        open_ = SSL_connect(ssl_.get()) == 1;
    }
    /// Takes over a connection that was accepted.
    TlsPeer(int accepted, SSL_CTX* context) : fd_{accepted} {
        prepare();
        ssl_.reset(SSL_new(context));
        SSL_set_fd(ssl_.get(), fd_);
        open_ = SSL_accept(ssl_.get()) == 1;
    }
    TlsPeer(const TlsPeer&) = delete;
    TlsPeer& operator=(const TlsPeer&) = delete;
    ~TlsPeer() { ::close(fd_); }

    bool is_open() const noexcept { return open_; }
    /// What another connection may resume; TLS 1.3 has it after the first received bytes.
    struct FreeSession {
        void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
    };
    std::unique_ptr<SSL_SESSION, FreeSession> session() const {
        return std::unique_ptr<SSL_SESSION, FreeSession>{SSL_get1_session(ssl_.get())};
    }
    bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
    /// The peer has said that nothing more comes.
    bool was_ended() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
    std::string name_asked_for() const {
        const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
        return name != nullptr ? name : "";
    }
    void send(std::string_view bytes) {
        if (open_) SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    }
    /// The next bytes; empty: the connection has ended, or nothing came.
    std::string receive() {
        if (!open_) return {};
        std::array<char, 4096> buffer;
        const int got = SSL_read(ssl_.get(), buffer.data(), buffer.size());
        if (got <= 0) open_ = false;
        return {buffer.data(), static_cast<std::size_t>(got > 0 ? got : 0)};
    }

    struct FreeContext {
        void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    };
    using Context = std::unique_ptr<SSL_CTX, FreeContext>;

    static Context make_context(const SSL_METHOD* method, const Settings& settings) {
        Context context{SSL_CTX_new(method)};
        SSL_CTX_set_security_level(context.get(), 0);  // what is refused is refused by ours
        if (settings.newest != 0) {
            SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
            SSL_CTX_set_max_proto_version(context.get(), settings.newest);
        }
        if (settings.trusted != nullptr) {
            SSL_CTX_load_verify_locations(
                context.get(), settings.trusted->certificate_file.c_str(), nullptr
            );
            SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
        }
        if (settings.own != nullptr) {
            SSL_CTX_use_certificate_chain_file(
                context.get(), settings.own->certificate_file.c_str()
            );
            SSL_CTX_use_PrivateKey_file(
                context.get(), settings.own->key_file.c_str(), SSL_FILETYPE_PEM
            );
        }
        return context;
    }

private:
    struct FreeSsl {
        void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    };

    void prepare() const {
        std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
        const timeval limit{10, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }

    const int fd_;
    Context context_;
    std::unique_ptr<SSL, FreeSsl> ssl_;
    bool open_{false};
};

/// A TLS server on a port of its own.
class TlsDoor {
public:
    explicit TlsDoor(const SelfMadeCertificate& certificate)
        : context_{TlsPeer::make_context(TLS_server_method(), {nullptr, &certificate, 0})},
          fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_in local{};
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof local;
        const timeval limit{10, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::bind(fd_, reinterpret_cast<const sockaddr*>(&local), size);  // NOLINT
        ::listen(fd_, 8);
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&local), &size);  // NOLINT
        port_ = ntohs(local.sin_port);
    }
    TlsDoor(const TlsDoor&) = delete;
    TlsDoor& operator=(const TlsDoor&) = delete;
    ~TlsDoor() { ::close(fd_); }

    std::uint16_t port() const noexcept { return port_; }
    /// The next connection; null: none came.
    std::unique_ptr<TlsPeer> accept() {
        const int accepted = ::accept(fd_, nullptr, nullptr);
        return accepted < 0 ? nullptr : std::make_unique<TlsPeer>(accepted, context_.get());
    }

private:
    TlsPeer::Context context_;
    const int fd_;
    std::uint16_t port_{0};
};

}  // namespace oavc::test
