#pragma once

#include "base/time.hpp"

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::caller::conformance {

/// A numeric address and port, IPv4 or IPv6.
struct Address {
    sockaddr_storage bytes{};
    socklen_t size{0};

    std::string ip() const;
    std::uint16_t port() const noexcept;
    bool is_v6() const noexcept { return bytes.ss_family == AF_INET6; }
    const sockaddr* get() const noexcept;
    sockaddr* get() noexcept;
    friend bool operator==(const Address& a, const Address& b) {
        return a.ip() == b.ip() && a.port() == b.port();
    }
};

/// Throws Failed when the name has no address.
Address resolve(const std::string& host, std::uint16_t port);
/// Our own address on the way to `other`, port 0.
Address local_address_towards(const Address& other);
Address with_port(Address address, std::uint16_t port);

/// True when the machine says that nobody has that port (any more). False also when it says
/// nothing.
bool nobody_at(const Address& address, bool tcp);

/// Owns a descriptor.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_{fd} {}
    Descriptor(Descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor();
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// Blocking, with deadlines: a case is a thread that waits for its answers.
class UdpSocket {
public:
    explicit UdpSocket(const Address& bind_to);

    bool send(std::string_view bytes, const Address& to) const noexcept;
    struct Datagram {
        std::string bytes;
        Address from;
        TimePoint at;  ///< when the kernel took it, so that our own delays do not count
    };
    std::optional<Datagram> receive(TimePoint until) const;
    const Address& address() const noexcept { return address_; }

private:
    Descriptor fd_;
    Address address_;
};

/// TCP, or TLS on it. Errors of the other side are an end of the stream.
class ByteStream {
public:
    /// Throws NotOffered when nobody takes the connection.
    ByteStream(const Address& to, TimePoint until);
    ~ByteStream();
    /// Throws Failed. The server's certificate is verified.
    void start_tls(const std::string& host, TimePoint until);

    bool write(std::string_view bytes);
    /// What came, at most 64 KiB; empty when nothing came in time or the stream has ended.
    std::string read(TimePoint until);
    bool ended() const noexcept { return ended_; }
    /// Closes with a reset, as a process that dies would.
    void reset();
    Address local() const;

private:
    struct Tls;
    bool wait(short events, TimePoint until) const noexcept;

    Descriptor fd_;
    std::unique_ptr<Tls> tls_;
    bool ended_{false};
};

}  // namespace oavc::caller::conformance
