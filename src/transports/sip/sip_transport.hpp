#pragma once

#include "async/shard.hpp"
#include "async/signal.hpp"
#include "observability/log.hpp"
#include "sip/call.hpp"
#include "transports/errors.hpp"
#include "transports/rtp/call_media.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/transport.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace oavc::transports::sip_ua {

class SipTransport;

// What a call wants of the user agent, which lives on shard 0.
struct Answer {};
struct Reject {
    int status;
    std::string reason;
};
struct HangUp {};
struct Hold {
    bool held;
};
struct Transfer {
    std::string target;
};
struct AttendedTransfer {
    std::string target;
    milliseconds patience;
};
struct PressKey {
    char digit;
};
using Wish = std::variant<Answer, Reject, HangUp, Hold, Transfer, AttendedTransfer, PressKey>;

// What the user agent tells a call.
/// The wish was not possible in the call's state.
struct Refused {
    CallControlErrc why;
};
/// Nothing of the call is left at the other side.
struct Gone {};
using Event = std::variant<sip::Call::Action, Refused, Gone>;

/// What a call needs from shard 0. Implemented by the listener. Thread: the call's shard; the work
/// is done elsewhere.
class Exchange {
public:
    /// From now on events of this call go to `transport`.
    virtual void call_began(std::uint64_t number, SipTransport& transport) = 0;
    virtual void wish(std::uint64_t number, Wish wish) = 0;
    /// The transport goes away: nothing must reach it any more. A call that is not over is hung
    /// up; the port pair is free again.
    virtual void call_ended(std::uint64_t number, std::uint16_t port) = 0;

protected:
    ~Exchange() = default;
};

/// One call of our SIP user agent: its media here, its signalling on shard 0. Owner: the call's
/// Session. Thread: the call's shard.
class SipTransport final : public Transport, private rtp::CallMedia::Owner {
public:
    /// Everything but the parts is borrowed and outlives the transport.
    SipTransport(
        async::Shard& shard,
        Exchange& exchange,
        const rtp::Config& rtp,
        std::uint64_t number,
        CallInfo info,
        rtp::RtpPortPair ports,
        log::Logger log
    );
    SipTransport(const SipTransport&) = delete;
    SipTransport& operator=(const SipTransport&) = delete;
    ~SipTransport() override;

    // Transport
    const CallInfo& info() const noexcept override { return info_; }
    asio::awaitable<Result<void>> connect() override;
    asio::awaitable<void> reject(int status, std::string reason) override;
    const media::AudioFormat& format() const noexcept override { return media_->leg().format(); }
    asio::awaitable<MediaEnd> receive_audio(MediaSink& sink) override;
    std::size_t send_room() const noexcept override { return media_->leg().send_room(); }
    bool send_audio(media::FrameView frame) noexcept override {
        return media_->leg().send_audio(frame);
    }
    milliseconds unheard() const noexcept override { return milliseconds{0}; }
    milliseconds clear_audio() noexcept override { return milliseconds{0}; }
    asio::awaitable<void> hang_up() override;
    CallControls controls() const noexcept override { return {true, true, true, true}; }
    asio::awaitable<Result<void>> transfer(std::string target) override;
    asio::awaitable<Result<void>> transfer_attended(std::string target, milliseconds patience)
        override;
    asio::awaitable<Result<void>> hold(bool held) override;
    asio::awaitable<Result<void>> send_digits(std::string digits) override;
    MediaStats stats() const noexcept override { return media_->leg().stats(); }

    // From the listener, on the call's shard.
    void on_event(Event event);

private:
    // CallMedia::Owner
    void on_media_timeout() noexcept override;

    void on_call_event(sip::Call::Action action);
    void end(MediaEnd end);
    asio::awaitable<Result<void>> done(Wish wish);
    asio::awaitable<void> finish();

    // Given to us.
    Exchange& exchange_;
    const std::uint64_t number_;
    const CallInfo info_;
    log::Logger log_;
    // Owned.
    std::optional<rtp::CallMedia> media_;
    async::Signal changed_;  ///< of anything below
    // State.
    bool answered_{false};
    bool gone_{false};
    std::optional<MediaEnd> end_;
    CallControlErrc refusal_{CallControlErrc::gone};  ///< why an outgoing call was not answered
    bool wish_under_way_{false};
    std::optional<Result<void>> wish_done_;
};

}  // namespace oavc::transports::sip_ua
