#pragma once

#include "async/awaitable.hpp"
#include "base/time.hpp"
#include "media/frame.hpp"

#include <cstdint>
#include <string>

namespace oavc::caller {

/// The caller's ear: what comes out of a line. Thread: the line's shard.
class Ear {
public:
    /// Audio at 8 kHz whose first sample was on the wire at `at`.
    virtual void on_heard(TimePoint at, media::Samples samples) noexcept = 0;

    /// The other side ended the call. Once, after an answer.
    virtual void on_line_over(const std::string& why) noexcept = 0;

protected:
    ~Ear() = default;
};

struct Dialled {
    bool answered{false};
    microseconds setup{0};  ///< first sign of the call to the connector → its answer
    TimePoint at{};         ///< of the answer
    std::string what;       ///< answered: the media, for people; else why not
};

/// RTP: packets. Twilio: media messages.
struct LineStats {
    std::uint64_t sent{0};
    std::uint64_t received{0};
    std::uint64_t lost{0};
    double jitter_ms{0};
    double max_gap_ms{0};
    std::string from{};  ///< the first packet's source; empty: not known
};

/// One call as the caller's phone has it, over one kind of carrier. Thread: one shard.
class Line {
public:
    virtual ~Line() = default;

    /// The carrier's name for the call, known before it is placed.
    virtual const std::string& native_id() const noexcept = 0;

    /// Places the call and waits for the answer, with a bound. `ear` outlives the line.
    virtual asio::awaitable<Dialled> dial(Ear& ear) = 0;

    /// One 20 ms frame at 8 kHz. `now`: the tick's deadline.
    virtual void send(TimePoint now, media::Samples frame) noexcept = 0;

    /// Time has come to `now`: hands over what has been heard.
    virtual void advance(TimePoint now) noexcept = 0;

    virtual void press(char digit) noexcept = 0;

    /// Ends (or gives up) the call politely, with a bound.
    virtual asio::awaitable<void> hang_up() = 0;

    virtual LineStats stats() const noexcept = 0;
};

}  // namespace oavc::caller
