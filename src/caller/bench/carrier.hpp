#pragma once

#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace oavc::caller::bench {

/// Which of the crowd's phones: 0 … capacity - 1. A phone makes one call after the other.
using CallIndex = std::uint32_t;

/// One ptime of G.711 µ-law: 20 ms at 8 kHz.
inline constexpr std::size_t frame_bytes = 160;
using FrameBytes = std::span<const std::byte, frame_bytes>;

/// What a sequence-numbered medium (RTP) says of a packet; loss and jitter are measured with it.
struct Stamp {
    std::uint16_t sequence_number{0};
    std::uint32_t timestamp{0};  ///< in samples of 8 kHz
};

/// Audio that reached a caller's ear. Borrows the carrier's buffer.
struct Heard {
    TimePoint at;                     ///< of the first sample: RTP: when its packet arrived (by the
                                      ///< kernel's clock); Twilio: when its buffer plays it
    std::span<const std::byte> ulaw;  ///< any length
    std::optional<Stamp> stamp;
};

enum class Ending {
    refused,  ///< the server said no: busy, draining, no such agent
    failed,   ///< no answer, a broken answer, a connection that ended
    hung_up,  ///< the server ended an answered call
};

/// What happens to the calls of a crowd; implemented by the engine.
class CrowdEvents {
public:
    /// Media flows from now on: `send` is called for this phone every 20 ms.
    virtual void on_answered(CallIndex call, TimePoint at) = 0;
    virtual void on_heard(CallIndex call, const Heard& heard) = 0;
    /// Bytes that cannot belong to this call: another codec, size or source. Never expected.
    virtual void on_wrong_audio(CallIndex call) = 0;
    /// What the caller hears was interrupted for `gap`, because the rest came too late. Only of
    /// carriers that play from a buffer: RTP's packets tell by themselves.
    virtual void on_underrun(CallIndex call, Clock::duration gap) = 0;
    /// The call is over, not by our `hang_up`; the phone is free. `why` is for a person.
    virtual void on_over(CallIndex call, TimePoint at, Ending how, std::string_view why) = 0;

protected:
    ~CrowdEvents() = default;
};

/// How a crowd's calls reach the server: signalling and media of thousands of phones on one thread
/// without a coroutine or an allocation per packet. All functions are called by the engine's
/// thread; none blocks.
class Carrier {
public:
    virtual ~Carrier() = default;

    /// The server is known to take calls, as far as the carrier can tell.
    virtual bool ready(TimePoint now) = 0;

    /// An epoll or socket descriptor that is readable when *signalling* waits, so that set-up is
    /// not delayed to the next slot; media alone must not wake the engine. Negative: none.
    virtual int wake_fd() const noexcept = 0;

    /// Takes in everything that has arrived, signalling and media. Every millisecond, and when
    /// `wake_fd` is readable. Also the carrier's clock for its own deadlines.
    virtual void poll(TimePoint now, CrowdEvents& events) = 0;

    /// Begins a call from a free phone. Its end or answer is reported by `poll`, never from within;
    /// no answer within the carrier's own limit is `Ending::failed`.
    virtual void place(CallIndex call, TimePoint now) = 0;

    /// Ends a call, answered or not. Nothing more is reported of it, and the phone is free at once.
    virtual void hang_up(CallIndex call, TimePoint now) = 0;

    /// The phone's next 20 ms, for an answered call; called every 20 ms, which makes it the clock
    /// of a playback buffer, too. Queued until `flush`, which may come after many of these.
    virtual void send(CallIndex call, FrameBytes ulaw, TimePoint now) noexcept = 0;
    virtual void flush(TimePoint now) noexcept = 0;

    struct Stats {
        std::uint64_t sent{0};         ///< frames handed to the kernel
        std::uint64_t send_errors{0};  ///< frames that the kernel did not take
        /// Packets that arrived and were dropped because we read too late: never the server's
        /// fault.
        std::uint64_t receive_drops{0};
    };
    /// Since the beginning.
    virtual Stats stats() const noexcept = 0;
};

}  // namespace oavc::caller::bench
