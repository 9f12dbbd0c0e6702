#pragma once

#include "async/shard.hpp"
#include "async/signal.hpp"
#include "observability/log.hpp"
#include "transports/opensips/config.hpp"
#include "transports/opensips/ua_session.hpp"
#include "transports/rtp/call_media.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/transport.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oavc::transports::opensips {

/// Names one call among all of a listener's, for messages between shards.
struct CallNumber {
    std::uint64_t value{0};
    friend auto operator<=>(const CallNumber&, const CallNumber&) = default;
};

class OpensipsTransport;

/// What a call needs from the shard that owns the sockets towards OpenSIPS. Implemented by the
/// listener. Thread: the call's shard; the work is done elsewhere.
class Exchange {
public:
    /// From now on events and results of this call go to `transport`.
    virtual void call_began(CallNumber call, OpensipsTransport& transport) = 0;
    /// Sends a request; its outcome comes back as OpensipsTransport::on_mi.
    virtual void send_mi(CallNumber call, std::uint32_t token, MiCommand command) = 0;
    /// The transport goes away: nothing must reach it any more. `leftovers` are still sent, in
    /// order; the port pair is free again.
    virtual void call_ended(
        CallNumber call, std::uint16_t port, std::vector<MiCommand> leftovers
    ) = 0;

protected:
    ~Exchange() = default;
};

/// One call that came through OpenSIPS in UA-session mode. Owner: the call's Session. Thread: the
/// call's shard. Destroyed early, it refuses or hangs up what it stood for.
class OpensipsTransport final : public Transport, private rtp::CallMedia::Owner {
public:
    /// Everything but the parts is borrowed and outlives the transport.
    OpensipsTransport(
        async::Shard& shard,
        Exchange& exchange,
        const Config& config,
        const rtp::Config& rtp,
        CallNumber number,
        UaSession session,
        rtp::RtpPortPair ports,
        log::Logger log
    );
    OpensipsTransport(const OpensipsTransport&) = delete;
    OpensipsTransport& operator=(const OpensipsTransport&) = delete;
    ~OpensipsTransport() override;

    /// Outgoing: asks OpenSIPS for the call. Returns when the other side rings or answers, or after
    /// `limit` once OpenSIPS has sent the INVITE. Errors: CallControlErrc; then destroy it.
    asio::awaitable<Result<void>> place(Clock::duration limit);

    // Transport
    const CallInfo& info() const noexcept override { return session_.info(); }
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
    /// Digits go in RTP (RFC 4733) where the other side takes them there, else by INFO.
    CallControls controls() const noexcept override;
    asio::awaitable<Result<void>> transfer(std::string target) override;
    asio::awaitable<Result<void>> hold(bool held) override;
    asio::awaitable<Result<void>> send_digits(std::string digits) override;
    MediaStats stats() const noexcept override { return media_->leg().stats(); }

    // From the listener, on the call's shard.
    void on_event(const UaEvent& event);
    void on_mi(std::uint32_t token, const MiOutcome& outcome);
    void on_lost(std::string reason);

private:
    // CallMedia::Owner
    void on_media_timeout() noexcept override;
    void on_media_tick(TimePoint now) noexcept override;

    /// Waits for an outcome, or for the end of the call.
    template <class Done>
    asio::awaitable<Result<void>> outcome(std::optional<Done>& done);
    asio::awaitable<Result<void>> press_by_info(char digit);
    asio::awaitable<bool> wait_for_news(std::optional<TimePoint> until = {});
    asio::awaitable<Result<void>> wait_for_answer();
    void run_actions();
    asio::awaitable<void> finish();

    // Given to us.
    Exchange& exchange_;
    const Config& config_;
    const rtp::Config& rtp_;
    const CallNumber number_;
    log::Logger log_;
    // Owned.
    UaSession session_;
    std::optional<rtp::CallMedia> media_;
    async::Signal changed_;  ///< of anything below
    // State.
    bool answered_{false};
    bool ringing_{false};  ///< outgoing: the other side does
    std::optional<MediaEnd> end_;
    std::optional<UaSession::TransferDone> transfer_done_;
    std::optional<UaSession::HoldDone> hold_done_;
    std::optional<UaSession::KeyDone> key_done_;
    bool pressing_{false};
};

}  // namespace oavc::transports::opensips
