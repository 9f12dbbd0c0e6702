#pragma once

#include "async/shard.hpp"
#include "base/time.hpp"
#include "observability/log.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/rtp_leg.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/transport.hpp"

#include <optional>

namespace oavc::transports::rtp {

/// The media of one call as its Transport shows it: the leg; hold and keys for whoever listens,
/// each key once; log lines of what was agreed on. Owner: the transport. Thread: the call's shard.
class CallMedia final : private RtpLeg::Observer {
public:
    /// Told by plain calls within a tick. Must not destroy the media.
    class Owner {
    public:
        /// Nothing came for the configured time while it should. Said once.
        virtual void on_media_timeout() noexcept = 0;
        /// Every tick while somebody listens, before the listener's.
        virtual void on_media_tick(TimePoint) noexcept {}

    protected:
        ~Owner() = default;
    };

    /// `shard` and `owner` outlive it.
    CallMedia(
        async::Shard& shard, RtpPortPair ports, const Config& config, Owner& owner, log::Logger log
    );
    CallMedia(const CallMedia&) = delete;
    CallMedia& operator=(const CallMedia&) = delete;
    ~CallMedia() = default;  ///< closes the sockets

    RtpLeg& leg() noexcept { return leg_; }
    const RtpLeg& leg() const noexcept { return leg_; }

    /// What was agreed on, now or anew; as RtpLeg::apply.
    void apply(const sip::NegotiatedAudio& audio);
    /// `sink` gets frames, ticks, keys and hold until `detach`.
    void attach(MediaSink& sink);
    void detach() noexcept;
    /// A key that came by another way than RTP.
    void press(char digit, DigitSource source) noexcept;

private:
    struct Press {
        char digit;
        DigitSource source;
        TimePoint at;
    };

    // RtpLeg::Observer
    void on_media_timeout() noexcept override { owner_.on_media_timeout(); }
    void on_leg_tick(TimePoint now) noexcept override;
    void on_rtp_digit(char digit) noexcept override { press(digit, DigitSource::rtp_event); }

    // Given to us.
    Owner& owner_;
    log::Logger log_;
    // Owned.
    RtpLeg leg_;
    // State.
    MediaSink* sink_{nullptr};
    bool held_{false};
    bool pin_reported_{false};
    std::optional<Press> last_press_;
};

}  // namespace oavc::transports::rtp
