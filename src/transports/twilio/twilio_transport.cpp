#include "transports/twilio/twilio_transport.hpp"

#include "async/deadline.hpp"
#include "base/assert.hpp"
#include "media/dtmf_tone.hpp"
#include "media/g711.hpp"
#include "transports/twilio/errors.hpp"
#include "transports/twilio/twiml.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

namespace oavc::transports::twilio {

namespace {

constexpr milliseconds stall{100};            ///< without audio before silence takes its place
constexpr std::uint64_t most_concealed = 10;  ///< frames in one gap of chunk numbers
/// Audio is sent when this much has room, so that it leaves in one write: most of what a message
/// costs is the kernel's.
constexpr int burst_frames = 3;
constexpr std::uint64_t most_rejected = 50;       ///< messages that make no sense before we give up
constexpr std::uint16_t close_normal = 1000;      // RFC 6455 §7.4.1
constexpr std::uint16_t close_going_away = 1001;  // dto.
constexpr std::uint16_t close_protocol_error = 1002;  // dto.

constexpr std::chrono::seconds late_news{10};  ///< Twilio ends the ringing; its word needs time
constexpr std::chrono::seconds longest_handover{5};  ///< from a transfer to the end of the stream
constexpr int tone_frames = 5;                       ///< 100 ms of tone …
constexpr int gap_frames = 5;                        ///< … and of silence behind it
constexpr int wait_frames = 25;                      ///< 'w'
constexpr std::size_t most_digits = 64;

}  // namespace

TwilioTransport::TwilioTransport(
    async::Shard& shard,
    std::unique_ptr<net::WebSocket> socket,
    std::string_view stream_sid,
    CallInfo info,
    const Config& config,
    const RestClient& rest
)
    : shard_{shard},
      info_{std::move(info)},
      media_timeout_{config.media_timeout},
      max_buffered_{config.max_buffered},
      rest_{rest},
      socket_{std::move(socket)},
      writer_{stream_sid},
      playout_{config.max_buffered},
      stream_sid_{stream_sid} {}

TwilioTransport::TwilioTransport(
    async::Shard& shard,
    std::shared_ptr<RingingCall> ringing,
    std::chrono::seconds patience,
    CallInfo info,
    const Config& config,
    const RestClient& rest
)
    : shard_{shard},
      info_{std::move(info)},
      media_timeout_{config.media_timeout},
      max_buffered_{config.max_buffered},
      rest_{rest},
      ringing_{std::move(ringing)},
      patience_{patience},
      writer_{""},
      playout_{config.max_buffered} {}

TwilioTransport::~TwilioTransport() { OAVC_ASSERT(sink_ == nullptr); }

asio::awaitable<Result<void>> TwilioTransport::connect() {
    if (!ringing_) co_return Result<void>{};
    const TimePoint deadline = Clock::now() + patience_ + late_news;
    while (!ringing_->socket && !ringing_->failure && Clock::now() < deadline) {
        if (!co_await ringing_->changed.wait_until(deadline)) {
            co_return error_code{asio::error::operation_aborted};
        }
    }
    if (!ringing_->socket) co_return ringing_->failure.value_or(CallControlErrc::no_answer);
    socket_ = std::move(ringing_->socket);
    stream_sid_ = ringing_->stream_sid;
    writer_ = StreamWriter{stream_sid_};
    co_return Result<void>{};
}

asio::awaitable<void> TwilioTransport::reject(int, std::string) { co_await hang_up(); }

asio::awaitable<MediaEnd> TwilioTransport::receive_audio(MediaSink& sink) {
    /// Ticks as long as this coroutine lives, however it ends.
    struct Ticking {
        explicit Ticking(TwilioTransport& t, MediaSink& s) : transport{t} {
            transport.sink_ = &s;
            transport.shard_.add_tick(transport);
        }
        Ticking(const Ticking&) = delete;
        Ticking& operator=(const Ticking&) = delete;
        ~Ticking() {
            transport.shard_.remove_tick(transport);
            transport.sink_ = nullptr;
        }
        TwilioTransport& transport;
    };
    OAVC_ASSERT(sink_ == nullptr);
    last_media_ = delivered_until_ = Clock::now();
    const Ticking ticking{*this, sink};
    error_code failure;
    if (!end_) {
        const auto received = co_await socket_->receive(*this);
        if (received.has_error()) failure = received.error();
    }
    MediaEnd result;
    if (end_) {
        result = *end_;
    } else if (transferred_ && failure != asio::error::operation_aborted) {
        result = {EndReason::transferred, "Twilio closed the media socket to dial"};
    } else if (hanging_up_ || failure == asio::error::operation_aborted) {
        result = {EndReason::we_hung_up, "we closed the media socket"};
    } else if (failure == asio::error::eof) {
        result = {EndReason::caller_hung_up, "Twilio closed the media socket without stop"};
    } else {
        result = {EndReason::carrier_lost, "the media socket broke: " + failure.message()};
    }
    co_return result;
}

bool TwilioTransport::on_message(const net::WsMessage& message) noexcept {
    take(message, Clock::now());
    return !end_;
}

void TwilioTransport::take(const net::WsMessage& message, TimePoint now) noexcept {
    const auto parsed =
        message.binary ? Result<StreamMessage>{TwilioErrc::not_json} : parser_.parse(message.data);
    const bool foreign =
        parsed.has_value() && !parsed->stream_sid.empty() && parsed->stream_sid != stream_sid_;
    if (parsed.has_error() || foreign) {
        if (++stats_.rejected > most_rejected) {
            end(EndReason::protocol_error, "too many senseless messages", close_protocol_error);
        }
        return;
    }
    switch (parsed->event) {
        case StreamEvent::media:
            on_media(*parsed, now);
            break;
        case StreamEvent::mark:
            playout_.on_echo(parsed->mark_name, now);
            break;
        case StreamEvent::dtmf:
            if (media::is_dtmf_digit(parsed->digit.front())) {
                sink_->on_digit(parsed->digit.front(), DigitSource::twilio);
            }
            break;
        case StreamEvent::stop:
            if (transferring_ || transferred_) {
                end(EndReason::transferred, "Twilio stopped the stream to dial", close_normal);
            } else {
                end(EndReason::caller_hung_up, "Twilio stopped the stream", close_normal);
            }
            break;
        default:
            break;  // a second connected or start, and what Twilio may add
    }
}

void TwilioTransport::on_media(const StreamMessage& message, TimePoint now) noexcept {
    if (message.track.starts_with("outbound"))
        return;  // our own words; never on bidirectional streams
    ++stats_.received;
    if (message.chunk != 0) {
        if (message.chunk > last_chunk_ + 1 && last_chunk_ != 0) {
            const auto missing = message.chunk - last_chunk_ - 1;
            stats_.lost += missing;
            for (std::uint64_t i = 0; i < std::min(missing, most_concealed); ++i)
                conceal(now);
        }
        last_chunk_ = message.chunk;
    }
    if (last_timestamp_ != 0 && message.timestamp_ms > last_timestamp_) {  // RFC 3550 §6.4.1
        const double sent = static_cast<double>(message.timestamp_ms - last_timestamp_);
        const double deviation = std::abs(to_ms(now - last_media_) - sent);
        stats_.jitter_ms += (deviation - stats_.jitter_ms) / 16;
    }
    last_timestamp_ = message.timestamp_ms;
    last_media_ = now;
    const auto pushed = assembler_.push_base64(message.payload, [&](FrameAssembler::Frame frame) {
        on_frame(frame, now);
    });
    if (pushed.has_error()) ++stats_.rejected;
}

void TwilioTransport::on_frame(FrameAssembler::Frame ulaw, TimePoint now) noexcept {
    if (concealed_ahead_ > 0) {
        --concealed_ahead_;
        ++stats_.late;
    }
    delivered_until_ = now;
    media::g711::ulaw_decode(ulaw, frame_);
    sink_->on_frame({frame_, narrowband}, now, false);
}

void TwilioTransport::conceal(TimePoint now) noexcept {
    ++stats_.concealed;
    frame_.fill(0);
    sink_->on_frame({frame_, narrowband}, now, true);
}

void TwilioTransport::on_tick(TimePoint now) noexcept {
    while (now - delivered_until_ >= stall) {
        delivered_until_ += frame_time;
        ++concealed_ahead_;
        conceal(now);
    }
    const auto burst = std::min(burst_frames * frame_time, max_buffered_ / 2);
    in_burst_ = playout_.room(now) >= burst;
    sent_in_tick_ = false;
    sink_->on_tick(now);
    // Nothing to say although there was room: the last words get their mark.
    if (playout_.mark_due(in_burst_ && !sent_in_tick_)) send_mark();
    if (transferred_ && now - *transferred_ >= longest_handover) {
        end(EndReason::transferred, "Twilio dials, but left the stream open", close_normal);
    }
    if (now - last_media_ >= media_timeout_) {
        end(EndReason::media_timeout, "no audio from Twilio", close_going_away);
    }
}

void TwilioTransport::end(EndReason reason, std::string detail, std::uint16_t close_code) {
    if (end_) return;
    end_ = MediaEnd{reason, std::move(detail)};
    socket_->begin_close(close_code, "");
}

std::size_t TwilioTransport::send_room() const noexcept {
    if (end_ || hanging_up_ || pressing_ || !socket_ || !in_burst_) return 0;
    return static_cast<std::size_t>(playout_.room(Clock::now()) / frame_time);
}

bool TwilioTransport::send_audio(media::FrameView frame) noexcept {
    const bool fits = frame.rate == narrowband && !frame.samples.empty() &&
                      frame.samples.size() <= ulaw_frame_bytes;
    if (!fits || send_room() == 0) {
        ++stats_.dropped;
        return false;
    }
    return send_frame(frame);
}

bool TwilioTransport::send_frame(media::FrameView frame) noexcept {
    std::array<std::byte, ulaw_frame_bytes> ulaw;
    const auto size = media::g711::ulaw_encode(frame.samples, ulaw);
    if (!socket_->send_text(writer_.media(std::span{ulaw}.first(size)))) {
        ++stats_.dropped;
        return false;
    }
    ++stats_.sent;
    sent_in_tick_ = true;
    // Rounded up, so that odd lengths never add up to more than max_buffered.
    const auto length = milliseconds{static_cast<std::int64_t>((size + 7) / 8)};
    playout_.on_sent(length, Clock::now());
    if (playout_.mark_due(false)) send_mark();
    return true;
}

void TwilioTransport::send_mark() noexcept {
    if (socket_->send_text(writer_.mark(playout_.mark_name()))) playout_.on_marked(Clock::now());
}

milliseconds TwilioTransport::unheard() const noexcept { return playout_.unheard(Clock::now()); }

milliseconds TwilioTransport::clear_audio() noexcept {
    if (pressing_ || !socket_) return milliseconds{0};  // a key is not to be cut short
    const bool anything = playout_.anything_sent();
    const auto unheard = playout_.clear(Clock::now());
    if (anything) socket_->send_text(writer_.clear());
    return unheard;
}

asio::awaitable<void> TwilioTransport::hang_up() {
    const bool first = !std::exchange(hanging_up_, true);
    if (socket_) {
        co_await socket_->close(close_normal, "call ended");
    } else if (first && ringing_ && !ringing_->failure) {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        const auto done = co_await rest_.hang_up(shard_, info_.native_id);
        static_cast<void>(done);  // logged; what still rings ends by Twilio's own Timeout
    }
}

CallControls TwilioTransport::controls() const noexcept {
    CallControls controls;
    controls.transfer = rest_.usable();
    controls.send_digits = true;
    return controls;
}

asio::awaitable<Result<void>> TwilioTransport::transfer(std::string target) {
    if (!rest_.usable()) co_return CallControlErrc::not_supported;
    const auto number = dial_target(target);
    if (!number) co_return number.error();
    if (!socket_ || end_ || hanging_up_ || transferring_ || transferred_) {
        co_return CallControlErrc::wrong_state;
    }
    // `stop` may come before the answer to our request.
    transferring_ = true;
    const auto done = co_await rest_.redirect(shard_, info_.native_id, dial(*number));
    transferring_ = false;
    if (!done) co_return done.error();
    transferred_ = Clock::now();
    co_return Result<void>{};
}

asio::awaitable<Result<void>> TwilioTransport::send_digits(std::string digits) {
    const bool valid = std::all_of(digits.begin(), digits.end(), [](char c) {
        return c == 'w' || media::is_dtmf_digit(c);
    });
    if (!valid || digits.empty() || digits.size() > most_digits) {
        co_return CallControlErrc::bad_target;
    }
    if (!socket_ || end_ || hanging_up_ || pressing_) co_return CallControlErrc::wrong_state;
    /// Our voice waits for as long as this coroutine lives.
    struct Pressing {
        explicit Pressing(bool& p) : pressing{p} { pressing = true; }
        Pressing(const Pressing&) = delete;
        Pressing& operator=(const Pressing&) = delete;
        ~Pressing() { pressing = false; }
        bool& pressing;
    };
    const Pressing pressing{pressing_};
    for (const char digit : digits) {
        if (!co_await send_tones(digit)) co_return CallControlErrc::gone;
    }
    co_return Result<void>{};
}

/// One key and the silence behind it, at the pace at which Twilio plays.
asio::awaitable<bool> TwilioTransport::send_tones(char digit) {
    const int sounding = digit == 'w' ? 0 : tone_frames;
    const int frames = digit == 'w' ? wait_frames : tone_frames + gap_frames;
    media::DtmfTone tone{digit, narrowband};
    std::array<media::Sample, ulaw_frame_bytes> samples{};
    for (int i = 0; i < frames; ++i) {
        while (playout_.room(Clock::now()) < frame_time) {
            if (!co_await async::sleep_for(frame_time)) co_return false;
            if (end_ || hanging_up_) co_return false;
        }
        if (i < sounding) {
            tone.fill(samples);
        } else {
            samples.fill(0);
        }
        if (!send_frame({samples, narrowband})) co_return false;
    }
    co_return true;
}

}  // namespace oavc::transports::twilio
