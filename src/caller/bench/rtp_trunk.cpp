#include "caller/bench/rtp_trunk.hpp"

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "media/rtp.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/sock_diag.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <system_error>

namespace oavc::caller::bench {

namespace {

/// 127.1.1.0: the first phone. Away from 127.0.0.1, where everything else on the machine is.
constexpr std::uint32_t first_address = 0x7F01'0100;
constexpr std::size_t batch = 128;
constexpr std::size_t largest_datagram = 512;
constexpr std::size_t datagram_size = media::rtp_header_size + frame_bytes;
/// As many neighbours share a socket: those of one slot then go out in one system call, and with
/// its buffer of 8 MB a read may be half a second late.
constexpr std::size_t phones_per_socket = 250;
constexpr int socket_buffer = 8 << 20;
/// So long after a call began, packets of the phone's last call may still arrive.
constexpr auto leftovers = 2s;
constexpr media::PayloadType pcmu{0};         // RFC 3551 §6
constexpr std::uint8_t telephone_event{101};  // as offered

/// A pair of ports (RFC 3550 §11). Nothing is read from the RTCP socket; it only keeps the kernel
/// from answering each report with an ICMP error.
struct Ports {
    int rtp{-1};
    int rtcp{-1};
    std::uint16_t port{0};
};

int bound_socket(std::uint16_t& port) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);  // NOLINT: the sockets API
    if (::bind(fd, generic, size) != 0 || ::getsockname(fd, generic, &size) != 0) {
        ::close(fd);
        return -1;
    }
    port = ntohs(address.sin_port);
    return fd;
}

Ports bind_pair() {
    for (int attempt = 0; attempt < 500; ++attempt) {
        Ports pair;
        pair.rtp = bound_socket(pair.port);
        if (pair.rtp < 0) break;
        if (pair.port % 2 == 0) {
            auto next = static_cast<std::uint16_t>(pair.port + 1);
            pair.rtcp = bound_socket(next);
            if (pair.rtcp >= 0) return pair;
        }
        ::close(pair.rtp);
    }
    throw std::runtime_error{fmt::format(
        "no pair of UDP ports can be bound for the callers ({}); stop other load tests, or raise "
        "'ulimit -n'",
        std::generic_category().message(errno)
    )};
}

void set_option(int fd, int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
}

/// Root may have more than net.core.rmem_max; others get what that allows.
void set_buffers(int fd) {
    set_option(fd, SOL_SOCKET, SO_RCVBUF, socket_buffer);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, socket_buffer);
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, socket_buffer);
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, socket_buffer);
}

template <class T>
void add_control(msghdr& header, int level, int type, const T& value) noexcept {
    cmsghdr* const control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(control), &value, sizeof value);
}

Clock::duration realtime() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

}  // namespace

/// Two ports, and what waits to be sent from them.
struct RtpTrunk::Socket {
    struct Datagram {
        std::array<std::byte, datagram_size> bytes;
        sockaddr_in remote;
        alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in_pktinfo))> control;
        iovec part;
    };

    Socket() : ports{bind_pair()}, queue(batch), headers(batch) {
        set_buffers(ports.rtp);
        set_option(ports.rtp, IPPROTO_IP, IP_PKTINFO, 1);
        set_option(ports.rtp, SOL_SOCKET, SO_TIMESTAMPNS, 1);
        for (std::size_t i = 0; i < batch; ++i) {
            Datagram& datagram = queue[i];
            datagram.part = {datagram.bytes.data(), datagram.bytes.size()};
            msghdr& header = headers[i].msg_hdr;
            header.msg_name = &datagram.remote;
            header.msg_namelen = sizeof datagram.remote;
            header.msg_iov = &datagram.part;
            header.msg_iovlen = 1;
            header.msg_control = datagram.control.data();
            header.msg_controllen = datagram.control.size();
        }
    }
    ~Socket() {
        ::close(ports.rtp);
        ::close(ports.rtcp);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    const Ports ports;
    std::vector<Datagram> queue;
    std::vector<mmsghdr> headers;
    std::size_t queued{0};
    std::size_t talking{0};  ///< phones
};

/// Room for one recvmmsg.
struct RtpTrunk::Batch {
    struct Slot {
        std::array<std::byte, largest_datagram> bytes;
        sockaddr_in from;
        alignas(cmsghdr) std::
            array<std::byte, CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(timespec))> control;
        iovec part;
    };

    Batch() {
        for (std::size_t i = 0; i < batch; ++i) {
            slots[i].part = {slots[i].bytes.data(), slots[i].bytes.size()};
            headers[i].msg_hdr.msg_iov = &slots[i].part;
            headers[i].msg_hdr.msg_iovlen = 1;
            headers[i].msg_hdr.msg_name = &slots[i].from;
            headers[i].msg_hdr.msg_control = slots[i].control.data();
        }
    }
    /// The kernel has written how much of each it used.
    void reset(std::size_t used) noexcept {
        for (std::size_t i = 0; i < used; ++i) {
            headers[i].msg_hdr.msg_namelen = sizeof(sockaddr_in);
            headers[i].msg_hdr.msg_controllen = slots[i].control.size();
        }
    }

    std::array<Slot, batch> slots{};
    std::array<mmsghdr, batch> headers{};
};

RtpTrunk::RtpTrunk(std::size_t phones) : phones_(phones), in_{std::make_unique<Batch>()} {
    if (phones > max_phones) {
        throw std::runtime_error{
            fmt::format("at most {} calls at once have addresses here", max_phones)};
    }
    for (std::size_t i = 0; i < phones; i += phones_per_socket)
        sockets_.push_back(std::make_unique<Socket>());
    in_->reset(batch);
}

RtpTrunk::~RtpTrunk() = default;

RtpTrunk::Socket& RtpTrunk::socket_of(CallIndex phone) noexcept {
    return *sockets_[phone / phones_per_socket];
}

std::string RtpTrunk::address(CallIndex phone) const {
    const std::uint32_t ip = first_address + phone;
    return fmt::format("{}.{}.{}.{}", ip >> 24, ip >> 16 & 0xFF, ip >> 8 & 0xFF, ip & 0xFF);
}

std::uint16_t RtpTrunk::port(CallIndex phone) const noexcept {
    return sockets_[phone / phones_per_socket]->ports.port;
}

void RtpTrunk::begin(CallIndex index, const sockaddr_in& remote) noexcept {
    Phone& phone = phones_[index];
    if (!phone.talks) ++socket_of(index).talking;
    phone.remote = remote;
    phone.ssrc = random_u32();
    phone.timestamp = random_u32();
    phone.sequence_number = static_cast<std::uint16_t>(random_u32());
    phone.talks = phone.first = true;
    phone.since = Clock::now();
}

void RtpTrunk::end(CallIndex index) noexcept {
    if (phones_[index].talks) --socket_of(index).talking;
    phones_[index].talks = false;
}

void RtpTrunk::send(CallIndex index, FrameBytes ulaw) noexcept {
    Phone& phone = phones_[index];
    if (!phone.talks) return;
    Socket& socket = socket_of(index);
    if (socket.queued == batch) flush(socket);
    Socket::Datagram& datagram = socket.queue[socket.queued];
    media::RtpPacketView packet;
    packet.payload_type = pcmu;
    packet.marker = phone.first;
    packet.sequence_number = phone.sequence_number++;
    packet.timestamp = {phone.timestamp};
    packet.ssrc = {phone.ssrc};
    packet.payload = ulaw;
    phone.timestamp += frame_bytes;
    phone.first = false;
    if (media::build_rtp(packet, datagram.bytes).has_error()) return;
    datagram.remote = phone.remote;
    in_pktinfo source{};
    source.ipi_spec_dst.s_addr = htonl(first_address + index);
    add_control(socket.headers[socket.queued].msg_hdr, IPPROTO_IP, IP_PKTINFO, source);
    ++socket.queued;
}

void RtpTrunk::flush(Socket& socket) noexcept {
    std::size_t done = 0;
    while (done < socket.queued) {
        const int sent = ::sendmmsg(
            socket.ports.rtp,
            socket.headers.data() + done,
            static_cast<unsigned>(socket.queued - done),
            0
        );
        if (sent > 0) {
            done += static_cast<std::size_t>(sent);
            stats_.sent += static_cast<std::uint64_t>(sent);
        } else if (errno != EINTR) {
            ++stats_.send_errors;  // the first of them; the others may still go
            ++done;
        }
    }
    socket.queued = 0;
}

void RtpTrunk::flush() noexcept {
    for (const auto& socket : sockets_)
        flush(*socket);
}

void RtpTrunk::receive(TimePoint now, CrowdEvents& events) noexcept {
    const Clock::duration to_steady = now.time_since_epoch() - realtime();
    for (const auto& socket : sockets_) {
        if (socket->talking == 0) continue;
        for (;;) {
            const int got =
                ::recvmmsg(socket->ports.rtp, in_->headers.data(), batch, MSG_DONTWAIT, nullptr);
            if (got <= 0) break;
            const auto count = static_cast<std::size_t>(got);
            for (std::size_t i = 0; i < count; ++i)
                take(in_->headers[i].msg_hdr, in_->headers[i].msg_len, to_steady, events);
            in_->reset(count);
            if (count < batch) break;
        }
    }
}

void RtpTrunk::take(
    const msghdr& header, std::size_t size, Clock::duration to_steady, CrowdEvents& events
) noexcept {
    in_pktinfo to{};
    timespec at{};
    auto& mutable_header = const_cast<msghdr&>(header);  // NOLINT: CMSG_NXTHDR only reads
    for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
         control = CMSG_NXTHDR(&mutable_header, control)) {
        if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
            std::memcpy(&to, CMSG_DATA(control), sizeof to);
        } else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS) {
            std::memcpy(&at, CMSG_DATA(control), sizeof at);
        }
    }
    const std::uint32_t index = ntohl(to.ipi_addr.s_addr) - first_address;
    if (index >= phones_.size()) return;
    const Phone& phone = phones_[index];
    if (!phone.talks) return;
    const std::span<const std::byte> datagram{
        static_cast<const std::byte*>(header.msg_iov->iov_base), size};
    const TimePoint arrived{
        std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec} + to_steady};
    const auto& from = *static_cast<const sockaddr_in*>(header.msg_name);
    if (from.sin_port != phone.remote.sin_port ||
        from.sin_addr.s_addr != phone.remote.sin_addr.s_addr) {
        if (arrived - phone.since > leftovers) events.on_wrong_audio(index);
        return;
    }
    const auto packet = media::parse_rtp(datagram);
    if (packet.has_value() && packet->payload_type.value == telephone_event) return;
    if (packet.has_error() || packet->payload_type != pcmu ||
        packet->payload.size() != frame_bytes) {
        events.on_wrong_audio(index);
        return;
    }
    events.on_heard(
        index, {arrived, packet->payload, Stamp{packet->sequence_number, packet->timestamp.value}}
    );
}

Carrier::Stats RtpTrunk::stats() const noexcept {
    Carrier::Stats stats = stats_;
    for (const auto& socket : sockets_) {
        std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
        socklen_t size = sizeof memory;
        if (::getsockopt(socket->ports.rtp, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) == 0)
            stats.receive_drops += memory[SK_MEMINFO_DROPS];
    }
    return stats;
}

}  // namespace oavc::caller::bench
