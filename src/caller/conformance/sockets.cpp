#include "caller/conformance/sockets.hpp"

#include "caller/conformance/case.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace oavc::caller::conformance {

namespace {

/// For poll(): rounded up, so that a deadline is not met by spinning.
int poll_time(TimePoint until) noexcept {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

bool wait_for(int fd, short events, TimePoint until) noexcept {
    pollfd waited{fd, events, 0};
    for (;;) {
        const int ready = ::poll(&waited, 1, poll_time(until));
        if (ready > 0) return true;
        if (ready == 0 && Clock::now() >= until) return false;
        if (ready < 0 && errno != EINTR) return false;
    }
}

/// The kernel's time of arrival (wall clock) on our clock.
TimePoint on_our_clock(const timespec& stamp) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto age = std::chrono::seconds{now.tv_sec - stamp.tv_sec} +
                     std::chrono::nanoseconds{now.tv_nsec - stamp.tv_nsec};
    return Clock::now() - std::chrono::duration_cast<Clock::duration>(age);
}

Address own_address(int fd) {
    Address out;
    out.size = sizeof out.bytes;
    ::getsockname(fd, out.get(), &out.size);
    return out;
}

}  // namespace

const sockaddr* Address::get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&bytes);  // NOLINT
}
sockaddr* Address::get() noexcept { return reinterpret_cast<sockaddr*>(&bytes); }  // NOLINT

std::string Address::ip() const {
    std::array<char, NI_MAXHOST> text{};
    ::getnameinfo(get(), size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
    return text.data();
}

std::uint16_t Address::port() const noexcept {
    // The port is at the same place in both families.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&bytes)->sin_port);  // NOLINT
}

Address with_port(Address address, std::uint16_t port) {
    reinterpret_cast<sockaddr_in*>(&address.bytes)->sin_port = htons(port);  // NOLINT
    return address;
}

Address resolve(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (error != 0) throw Failed{fmt::format("{}: {}", host, ::gai_strerror(error))};
    Address out;
    out.size = found->ai_addrlen;
    std::memcpy(&out.bytes, found->ai_addr, found->ai_addrlen);
    ::freeaddrinfo(found);
    return with_port(out, port);
}

Address local_address_towards(const Address& other) {
    const Descriptor fd{::socket(other.bytes.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (::connect(fd.get(), other.get(), other.size) != 0) {
        throw Failed{fmt::format("no way to {}: {}", other.ip(), std::strerror(errno))};  // NOLINT
    }
    return with_port(own_address(fd.get()), 0);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}
Descriptor::~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

bool nobody_at(const Address& address, bool tcp) {
    const int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
    const Descriptor socket{::socket(address.bytes.ss_family, type, 0)};
    if (::connect(socket.get(), address.get(), address.size) != 0 && errno == ECONNREFUSED) {
        return true;
    }
    // Over UDP only a datagram draws an answer; this one means nothing (RFC 5626 §4.4.1).
    if (!tcp) static_cast<void>(::send(socket.get(), "\r\n\r\n", 4, MSG_NOSIGNAL));
    if (!wait_for(socket.get(), tcp ? POLLOUT : POLLIN, Clock::now() + 100ms)) return false;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error == ECONNREFUSED;
}

UdpSocket::UdpSocket(const Address& bind_to)
    : fd_{::socket(bind_to.bytes.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
    if (::bind(fd_.get(), bind_to.get(), bind_to.size) != 0) {
        throw std::runtime_error{fmt::format(
            "cannot bind {}:{}: {}",
            bind_to.ip(),
            bind_to.port(),
            std::strerror(errno)  // NOLINT(concurrency-mt-unsafe)
        )};
    }
    const int on = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    address_ = own_address(fd_.get());
}

bool UdpSocket::send(std::string_view bytes, const Address& to) const noexcept {
    return ::sendto(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL, to.get(), to.size) ==
           static_cast<ssize_t>(bytes.size());
}

std::optional<UdpSocket::Datagram> UdpSocket::receive(TimePoint until) const {
    for (;;) {
        if (!wait_for(fd_.get(), POLLIN, until)) return std::nullopt;
        Datagram out;
        out.bytes.resize(65'536);
        iovec part{out.bytes.data(), out.bytes.size()};
        alignas(cmsghdr) std::array<char, 128> control{};
        msghdr message{};
        message.msg_name = &out.from.bytes;
        message.msg_namelen = sizeof out.from.bytes;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
        if (size < 0) continue;  // an ICMP error of an earlier datagram, or nothing after all
        out.bytes.resize(static_cast<std::size_t>(size));
        out.from.size = message.msg_namelen;
        out.at = Clock::now();
        for (auto* head = CMSG_FIRSTHDR(&message); head != nullptr;
             head = CMSG_NXTHDR(&message, head)) {
            if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_TIMESTAMPNS) continue;
            timespec stamp{};
            std::memcpy(&stamp, CMSG_DATA(head), sizeof stamp);
            out.at = on_our_clock(stamp);
        }
        return out;
    }
}

struct ByteStream::Tls {
    SSL_CTX* context{nullptr};
    SSL* session{nullptr};
    Tls() = default;
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;
    ~Tls() {
        ::SSL_free(session);
        ::SSL_CTX_free(context);
    }
};

ByteStream::ByteStream(const Address& to, TimePoint until)
    : fd_{::socket(to.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
    int error = 0;
    if (::connect(fd_.get(), to.get(), to.size) != 0) error = errno;
    if (error == EINPROGRESS) {
        error = ETIMEDOUT;
        socklen_t size = sizeof error;
        if (wait(POLLOUT, until)) ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error != 0) {
        throw NotOffered{fmt::format(
            "TCP to {} port {}: {}",
            to.ip(),
            to.port(),
            std::strerror(error)  // NOLINT(concurrency-mt-unsafe)
        )};
    }
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

ByteStream::~ByteStream() = default;

bool ByteStream::wait(short events, TimePoint until) const noexcept {
    return wait_for(fd_.get(), events, until);
}

void ByteStream::start_tls(const std::string& host, TimePoint until) {
    tls_ = std::make_unique<Tls>();
    tls_->context = ::SSL_CTX_new(::TLS_client_method());
    ::SSL_CTX_set_default_verify_paths(tls_->context);
    ::SSL_CTX_set_verify(tls_->context, SSL_VERIFY_PEER, nullptr);
    tls_->session = ::SSL_new(tls_->context);
    ::SSL_set_tlsext_host_name(tls_->session, host.c_str());  // NOLINT
    ::SSL_set1_host(tls_->session, host.c_str());
    ::SSL_set_fd(tls_->session, fd_.get());
    for (;;) {
        const int done = ::SSL_connect(tls_->session);
        if (done == 1) return;
        const int wanted = ::SSL_get_error(tls_->session, done);
        const bool read = wanted == SSL_ERROR_WANT_READ;
        if (!read && wanted != SSL_ERROR_WANT_WRITE) break;
        if (!wait(read ? POLLIN : POLLOUT, until)) break;
    }
    throw Failed{"no TLS with the target: is its certificate valid for this name?"};
}

bool ByteStream::write(std::string_view bytes) {
    const TimePoint until = Clock::now() + 10s;
    while (!bytes.empty() && !ended_) {
        ssize_t sent = 0;
        short wanted = POLLOUT;
        if (tls_) {
            const int done =
                ::SSL_write(tls_->session, bytes.data(), static_cast<int>(bytes.size()));
            sent = done;
            if (done <= 0) {
                const int error = ::SSL_get_error(tls_->session, done);
                if (error == SSL_ERROR_WANT_READ) wanted = POLLIN;
                if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) ended_ = true;
            }
        } else {
            sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN && errno != EINTR) ended_ = true;
        }
        if (sent > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (!ended_ && !wait(wanted, until)) {
            return false;
        }
    }
    return bytes.empty();
}

std::string ByteStream::read(TimePoint until) {
    std::string out(65'536, '\0');
    while (!ended_) {
        ssize_t got = 0;
        short wanted = POLLIN;
        bool later = false;
        if (tls_) {
            const int done = ::SSL_read(tls_->session, out.data(), static_cast<int>(out.size()));
            got = done;
            const int error = ::SSL_get_error(tls_->session, done);
            later = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
            if (error == SSL_ERROR_WANT_WRITE) wanted = POLLOUT;
        } else {
            got = ::recv(fd_.get(), out.data(), out.size(), 0);
            later = got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        if (got > 0) {
            out.resize(static_cast<std::size_t>(got));
            return out;
        }
        if (!later) {
            ended_ = true;
        } else if (!wait(wanted, until)) {
            break;
        }
    }
    return {};
}

void ByteStream::reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    fd_ = Descriptor{};
    ended_ = true;
}

Address ByteStream::local() const { return own_address(fd_.get()); }

}  // namespace oavc::caller::conformance
