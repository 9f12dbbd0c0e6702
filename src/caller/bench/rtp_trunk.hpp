#pragma once

#include "caller/bench/carrier.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace oavc::caller::bench {

/// RTP (RFC 3550, PCMU) of thousands of phones over a few UDP sockets: every phone has an address
/// of its own below 127.1.0.0/16 (Linux takes all of 127.0.0.0/8 as this machine), set and read per
/// packet by IP_PKTINFO, so that the server sees as many peers as there are phones while we make
/// two system calls for a whole slot. Arrival times are the kernel's (SO_TIMESTAMPNS). For servers
/// on this machine. Thread: one.
class RtpTrunk {
public:
    static constexpr std::size_t max_phones = 60'000;

    /// Throws std::runtime_error that says what to do when there are no ports.
    explicit RtpTrunk(std::size_t phones);
    ~RtpTrunk();
    RtpTrunk(const RtpTrunk&) = delete;
    RtpTrunk& operator=(const RtpTrunk&) = delete;

    /// Where the phone takes RTP, for its SDP.
    std::string address(CallIndex phone) const;
    std::uint16_t port(CallIndex phone) const noexcept;

    /// Media flows between the phone and `remote` from now on, with fresh RTP state.
    void begin(CallIndex phone, const sockaddr_in& remote) noexcept;
    /// What still arrives for the phone is ignored.
    void end(CallIndex phone) noexcept;

    /// One frame, sent by `flush`.
    void send(CallIndex phone, FrameBytes ulaw) noexcept;
    void flush() noexcept;

    /// Everything that has arrived. `now`: of the steady clock, just read.
    void receive(TimePoint now, CrowdEvents& events) noexcept;

    Carrier::Stats stats() const noexcept;

private:
    struct Phone {
        sockaddr_in remote{};
        std::uint32_t ssrc{0};
        std::uint32_t timestamp{0};
        std::uint16_t sequence_number{0};
        bool talks{false};
        bool first{false};
        /// When media began: what was queued for the call before is not ours.
        TimePoint since{};
    };
    struct Socket;
    struct Batch;

    Socket& socket_of(CallIndex phone) noexcept;
    void flush(Socket& socket) noexcept;
    void take(
        const msghdr& header, std::size_t size, Clock::duration to_steady, CrowdEvents& events
    ) noexcept;

    std::vector<Phone> phones_;
    std::vector<std::unique_ptr<Socket>> sockets_;
    std::unique_ptr<Batch> in_;
    Carrier::Stats stats_;
};

}  // namespace oavc::caller::bench
