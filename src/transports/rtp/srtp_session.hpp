#pragma once

#include "sip/offer_answer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct srtp_ctx_t_;

namespace oavc::transports::rtp {

/// SRTP and SRTCP of one leg (RFC 3711), with the keys that SDP agreed on: AES-128 in counter mode
/// and HMAC-SHA1. Packets are changed in place. Any SSRC is taken, because authentication tells who
/// it is; the roll-over counter begins at 0 for each (RFC 3711 §3.3.1).
///
/// Allocates when keys are set and, inside the library, at the first packet of an SSRC that proved
/// genuine; never per packet. Owner: the leg. Thread: the call's shard.
class SrtpSession {
public:
    /// What `protect` may add: a tag of 80 bits, for RTCP the index as well.
    static constexpr std::size_t overhead = 16;

    struct Stats {
        std::uint64_t unauthenticated{0};  ///< forged, damaged, plain, or under other keys
        std::uint64_t replayed{0};         ///< seen before, or too old to tell
    };

    /// Throws std::runtime_error when the library refuses.
    explicit SrtpSession(const sip::SrtpParameters& parameters);
    SrtpSession(const SrtpSession&) = delete;
    SrtpSession& operator=(const SrtpSession&) = delete;
    ~SrtpSession();

    /// New keys by a re-INVITE. What did not change goes on with its counters.
    void set_keys(const sip::SrtpParameters& parameters);

    /// Encrypts the first `size` bytes of `buffer`, which has room for `overhead` more. Returns the
    /// packet; empty: not RTP, or the key is worn out (2^48 packets).
    std::span<std::byte> protect(std::span<std::byte> buffer, std::size_t size) noexcept;
    std::span<std::byte> protect_rtcp(std::span<std::byte> buffer, std::size_t size) noexcept;

    /// Checks and decrypts. Returns what was inside; empty: counted and to be dropped.
    std::span<std::byte> unprotect(std::span<std::byte> packet) noexcept;
    std::span<std::byte> unprotect_rtcp(std::span<std::byte> packet) noexcept;

    const Stats& stats() const noexcept { return stats_; }

private:
    struct Destroy {
        void operator()(srtp_ctx_t_* context) const noexcept;
    };
    using Context = std::unique_ptr<srtp_ctx_t_, Destroy>;
    enum class Way { in, out };

    static Context make(Way way, sip::SrtpSuite suite, const sip::SrtpKey& key);
    std::span<std::byte> checked(std::span<std::byte> packet, int size, int status) noexcept;

    sip::SrtpParameters parameters_;
    Context out_;
    Context in_;
    Stats stats_;
};

}  // namespace oavc::transports::rtp
