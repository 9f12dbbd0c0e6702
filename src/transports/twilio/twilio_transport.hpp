#pragma once

#include "async/shard.hpp"
#include "async/signal.hpp"
#include "media/frame.hpp"
#include "net/websocket.hpp"
#include "transports/transport.hpp"
#include "transports/twilio/config.hpp"
#include "transports/twilio/media_protocol.hpp"
#include "transports/twilio/playout.hpp"
#include "transports/twilio/rest.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace oavc::transports::twilio {

/// An outgoing call from its placing until the callee answers. Shared by its transport, which
/// waits, and the listener, which brings what Twilio tells. Thread: the call's shard.
struct RingingCall {
    explicit RingingCall(asio::any_io_executor executor) : changed{std::move(executor)} {}

    async::Signal changed;
    std::string call_sid;                    ///< empty until the REST interface told it
    std::unique_ptr<net::WebSocket> socket;  ///< the callee answered: it has said `start`
    std::string stream_sid;
    std::optional<error_code> failure;  ///< it ended before: CallControlErrc
};

/// One call over a Media Streams socket that has said `start`, or that will once the callee of an
/// outgoing call answers. PCM at 8 kHz.
///
/// In: frames of 20 ms in order, as they come. TCP loses nothing but may stall: after 100 ms
/// without audio each tick hands over a frame of concealed silence, so that time passes for the
/// session; what arrives afterwards is handed over too (counted late), for none of the caller's
/// words is thrown away. Missing chunk numbers are concealed with silence.
///
/// Out: at most Config::max_buffered of audio lies ahead of the caller's ear, and steadily 60 ms
/// less than that, filled up in bursts; marks tell how far Twilio has played. Thread: the shard's.
class TwilioTransport final : public Transport, private async::TickClient, private net::WsReceiver {
public:
    /// `start` is the stream's `start` message's streamSid.
    TwilioTransport(
        async::Shard& shard,
        std::unique_ptr<net::WebSocket> socket,
        std::string_view stream_sid,
        CallInfo info,
        const Config& config,
        const RestClient& rest
    );
    /// An outgoing call that rings for `patience` at most.
    TwilioTransport(
        async::Shard& shard,
        std::shared_ptr<RingingCall> ringing,
        std::chrono::seconds patience,
        CallInfo info,
        const Config& config,
        const RestClient& rest
    );
    ~TwilioTransport();

    const CallInfo& info() const noexcept override { return info_; }
    /// Incoming: Twilio has answered already.
    asio::awaitable<Result<void>> connect() override;
    asio::awaitable<void> reject(int status, std::string reason) override;
    const media::AudioFormat& format() const noexcept override { return format_; }
    asio::awaitable<MediaEnd> receive_audio(MediaSink& sink) override;
    std::size_t send_room() const noexcept override;
    bool send_audio(media::FrameView frame) noexcept override;
    milliseconds unheard() const noexcept override;
    milliseconds clear_audio() noexcept override;
    asio::awaitable<void> hang_up() override;
    CallControls controls() const noexcept override;
    /// Over the REST interface: Twilio stops the stream and dials. From then on the call is
    /// Twilio's; whether the target answers is not told to us.
    asio::awaitable<Result<void>> transfer(std::string target) override;
    /// In band, as tones in our audio: Twilio has no message for keys that we press, and its own
    /// <Play digits> would end the stream.
    asio::awaitable<Result<void>> send_digits(std::string digits) override;
    MediaStats stats() const noexcept override { return stats_; }

    const Playout::Stats& playout_stats() const noexcept { return playout_.stats(); }

private:
    void on_tick(TimePoint now) noexcept override;
    bool on_message(const net::WsMessage& message) noexcept override;
    void take(const net::WsMessage& message, TimePoint now) noexcept;
    void on_media(const StreamMessage& message, TimePoint now) noexcept;
    void on_frame(FrameAssembler::Frame ulaw, TimePoint now) noexcept;
    void conceal(TimePoint now) noexcept;
    void send_mark() noexcept;
    void end(EndReason reason, std::string detail, std::uint16_t close_code);
    bool send_frame(media::FrameView frame) noexcept;
    asio::awaitable<bool> send_tones(char digit);

    // given to us
    async::Shard& shard_;
    const CallInfo info_;
    const milliseconds media_timeout_;
    const milliseconds max_buffered_;
    const RestClient& rest_;
    MediaSink* sink_{nullptr};
    const std::shared_ptr<RingingCall> ringing_;  ///< of an outgoing call
    const std::chrono::seconds patience_{0};

    // owned
    std::unique_ptr<net::WebSocket> socket_;
    StreamParser parser_;
    FrameAssembler assembler_;
    StreamWriter writer_;
    Playout playout_;

    // state
    std::string stream_sid_;
    const media::AudioFormat format_;
    std::array<media::Sample, ulaw_frame_bytes> frame_{};
    TimePoint last_media_{};       ///< when audio last came
    TimePoint delivered_until_{};  ///< the caller's time that the sink has been given frames for
    std::uint64_t concealed_ahead_{0};  ///< silence frames whose audio may still come
    std::uint64_t last_chunk_{0};
    std::uint64_t last_timestamp_{0};
    bool in_burst_{true};  ///< audio may be sent in this tick
    bool sent_in_tick_{false};
    bool hanging_up_{false};
    bool transferring_{false};
    std::optional<TimePoint> transferred_;
    bool pressing_{false};  ///< keys are being sent; the voice waits
    std::optional<MediaEnd> end_;
    MediaStats stats_;
};

}  // namespace oavc::transports::twilio
