#include "net/media_socket.hpp"

#include <boost/asio/error.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace oavc::net {

namespace {

namespace ip = boost::asio::ip;

error_code last_error() noexcept { return {errno, boost::system::system_category()}; }

bool set_option(int fd, int level, int name, int value) noexcept {
    return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/// As a socket of the other family names it.
UdpEndpoint mapped(const UdpEndpoint& endpoint) noexcept {
    return {ip::make_address_v6(ip::v4_mapped, endpoint.address().to_v4()), endpoint.port()};
}

UdpEndpoint name_of(int fd) noexcept {
    UdpEndpoint name;
    auto size = static_cast<socklen_t>(name.capacity());
    if (::getsockname(fd, name.data(), &size) == 0) name.resize(size);
    return name;
}

template <class T>
T content_of(const cmsghdr& head) noexcept {
    T content;
    std::memcpy(&content, CMSG_DATA(&head), sizeof content);
    return content;
}

ip::address address_of(const in_pktinfo& info) noexcept {
    return ip::make_address_v4(ntohl(info.ipi_addr.s_addr));
}

ip::address address_of(const in6_pktinfo& info) noexcept {
    ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
    return unmapped(ip::address{ip::address_v6{bytes}});
}

std::chrono::system_clock::time_point time_of(const timespec& stamp) noexcept {
    using WallClock = std::chrono::system_clock;
    return WallClock::time_point{std::chrono::duration_cast<WallClock::duration>(
        std::chrono::seconds{stamp.tv_sec} + std::chrono::nanoseconds{stamp.tv_nsec}
    )};
}

}  // namespace

Result<MediaSocket> MediaSocket::bind(const UdpEndpoint& local) {
    // The port of a socket that was bound to any is lost when it is disconnected.
    if (local.port() == 0) return error_code{boost::asio::error::invalid_argument};
    MediaSocket socket;
    const bool v6 = local.address().is_v6();
    socket.fd_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket.fd_ < 0) return last_error();
    if (v6 && !set_option(socket.fd_, IPPROTO_IPV6, IPV6_V6ONLY, 0)) return last_error();
    if (!set_option(socket.fd_, SOL_SOCKET, SO_TIMESTAMPNS, 1)) return last_error();
    if (::bind(socket.fd_, local.data(), static_cast<socklen_t>(local.size())) != 0) {
        return last_error();
    }
    socket.local_ = name_of(socket.fd_);
    socket.tell_destinations(true);
    return socket;
}

void MediaSocket::tell_destinations(bool on) noexcept {
    if (!local_.address().is_unspecified()) return;  // there is only one
    if (local_.address().is_v6()) {
        set_option(fd_, IPPROTO_IPV6, IPV6_RECVPKTINFO, on ? 1 : 0);
    } else {
        set_option(fd_, IPPROTO_IP, IP_PKTINFO, on ? 1 : 0);
    }
}

std::optional<MediaSocket::Datagram> MediaSocket::receive(std::span<std::byte> buffer) noexcept {
    Datagram datagram;
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr)
        std::array<std::byte, CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(in6_pktinfo))>
            control;
    msghdr message{};
    message.msg_name = datagram.from.data();
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();

    // An answer by ICMP to what we sent is told first, once.
    ssize_t size = -1;
    for (int attempt = 0; size < 0 && attempt < 2; ++attempt) {
        message.msg_namelen = static_cast<socklen_t>(datagram.from.capacity());
        message.msg_controllen = control.size();
        size = ::recvmsg(fd_, &message, MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EBADF)) return std::nullopt;
    }
    if (size < 0) return std::nullopt;

    datagram.bytes = buffer.first(static_cast<std::size_t>(size));
    datagram.from.resize(message.msg_namelen);
    if (local_.address().is_v6()) datagram.from = unmapped(datagram.from);
    datagram.to = local_.address();
    for (auto* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_TIMESTAMPNS) {
            datagram.at = time_of(content_of<timespec>(*head));
        } else if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_PKTINFO) {
            datagram.to = address_of(content_of<in_pktinfo>(*head));
        } else if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_PKTINFO) {
            datagram.to = address_of(content_of<in6_pktinfo>(*head));
        }
    }
    return datagram;
}

bool MediaSocket::send_to(std::span<const std::byte> datagram, const UdpEndpoint& to) noexcept {
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const auto sent = [&](ssize_t size) { return size == static_cast<ssize_t>(datagram.size()); };
    if (connected_) {
        if (sent(::send(fd_, datagram.data(), datagram.size(), flags))) return true;
        // The peer's port was closed for a moment: told once, in place of sending.
        return errno == ECONNREFUSED && sent(::send(fd_, datagram.data(), datagram.size(), flags));
    }
    const bool translate = local_.address().is_v6() && to.address().is_v4();
    const auto name = translate ? mapped(to) : to;
    const auto length = static_cast<socklen_t>(name.size());
    return sent(::sendto(fd_, datagram.data(), datagram.size(), flags, name.data(), length));
}

bool MediaSocket::connect(const UdpEndpoint& peer, const ip::address& to) noexcept {
    const bool translate = local_.address().is_v6() && peer.address().is_v4();
    const auto name = translate ? mapped(peer) : peer;
    if (::connect(fd_, name.data(), static_cast<socklen_t>(name.size())) != 0) return false;
    connected_ = true;
    if (unmapped(name_of(fd_).address()) != to) {
        disconnect();
        return false;
    }
    tell_destinations(false);
    return true;
}

void MediaSocket::disconnect() noexcept {
    if (!connected_) return;
    connected_ = false;
    sockaddr nobody{};
    nobody.sa_family = AF_UNSPEC;
    static_cast<void>(::connect(fd_, &nobody, sizeof nobody));
    tell_destinations(true);
}

void MediaSocket::close() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    connected_ = false;
}

void MediaSocket::swap(MediaSocket& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(local_, other.local_);
    std::swap(connected_, other.connected_);
}

}  // namespace oavc::net
