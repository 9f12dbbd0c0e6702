#pragma once

#include "async/awaitable.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "media/frame.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace oavc::transports {

/// What is known of a call when it begins. Numbers and URIs are personal data: log them through
/// log::pii.
struct CallInfo {
    std::string via;        ///< the transport's provider id: "opensips", "sip", "twilio"
    std::string native_id;  ///< OpenSIPS session key, SIP Call-ID, Twilio CallSid
    std::string from;       ///< caller: E.164, "user@host" or "" when withheld
    std::string to;         ///< dialled user or number, used to choose the agent
    std::map<std::string, std::string> parameters;  ///< Twilio custom parameters, extra_params
    bool outgoing{false};                           ///< we placed it (Dialer)
    std::string agent;  ///< who carries an outgoing call; empty: chosen by `to`
    std::string id;     ///< the session id that was promised for it; empty: any
};

/// What a transport can do besides carrying audio, as data: tools and the API offer no more.
struct CallControls {
    bool transfer{false};           ///< blind
    bool attended_transfer{false};  ///< the target is asked first
    bool hold{false};
    bool send_digits{false};
};

/// Why media ended.
enum class EndReason {
    caller_hung_up,  ///< the other side did, in calls of both directions
    we_hung_up,
    transferred,
    cancelled,       ///< the caller gave up before we answered
    media_timeout,   ///< no packet for the configured time
    carrier_lost,    ///< OpenSIPS restarted, socket vanished
    protocol_error,  ///< the peer broke the protocol beyond repair
    busy,            ///< outgoing: the other side is busy or declined
    not_answered,    ///< outgoing: it rang and nobody answered
    refused,         ///< outgoing: no such number, or the carrier does not call it
};
std::string_view to_string(EndReason reason) noexcept;

struct MediaEnd {
    EndReason reason{EndReason::we_hung_up};
    std::string detail;  ///< for the log
};

/// Why a call that was never answered ended: what connect() failed with, as a reason.
EndReason end_reason_of(const error_code& error, bool outgoing) noexcept;

/// Reception and sending of one call, cumulative. RTP: RFC 3550; Twilio: messages for packets.
struct MediaStats {
    std::uint64_t received{0};   ///< frames or packets accepted
    std::uint64_t lost{0};       ///< never came
    std::uint64_t concealed{0};  ///< frames invented in their place
    std::uint64_t late{0};       ///< came after their place was filled
    std::uint64_t rejected{0};   ///< not parseable, or from somebody else
    std::uint64_t sent{0};
    std::uint64_t dropped{0};  ///< our frames that did not fit the send queue
    double jitter_ms{0};       ///< RFC 3550 §6.4.1, of what we receive
    double round_trip_ms{0};   ///< by RTCP; 0: the peer reports nothing
    double mos{0};  ///< of what we receive, media::estimate_mos(); 0: RTP brought nothing
};

/// Where a keypad digit came from.
enum class DigitSource { rtp_event, sip_info, twilio };

/// Receiver of one call's events, in order. Implemented by the pipeline's Session. Thread: the
/// call's shard; plain calls, so the audio path neither allocates nor resumes a coroutine.
class MediaSink {
public:
    /// One ptime of the caller's audio, in order. `concealed`: nothing arrived and this was
    /// invented to keep time. `arrived`: when its packet came in (the tick, if concealed).
    virtual void on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept = 0;

    /// Once per 20 ms: the transport wants what to send. Call `send_audio` up to `send_room()`
    /// times; what is not supplied is silence on RTP and nothing on Twilio. `now` is the tick's
    /// deadline; the Session also runs its own timers from here.
    virtual void on_tick(TimePoint now) noexcept = 0;

    /// One keypad press, once: '0'–'9', '*', '#', 'A'–'D'. Secret by default in logs.
    virtual void on_digit(char digit, DigitSource source) noexcept = 0;

    /// The carrier put the call on hold (no audio is heard either way) or resumed it.
    virtual void on_hold(bool held) noexcept = 0;

protected:
    ~MediaSink() = default;
};

/// One call as its carrier brings it: an OpenSIPS leg with RTP, a Twilio Media Streams socket.
/// Owner: the call's Session. Thread: the call's shard. Fake: tests/support/fake_transport.hpp.
class Transport {
public:
    virtual ~Transport() = default;

    virtual const CallInfo& info() const noexcept = 0;

    /// Answers the call, or waits until an outgoing one is answered. After success media flows and
    /// `format()` is settled.
    virtual asio::awaitable<Result<void>> connect() = 0;

    /// Refuses an unanswered call with a SIP-like status (486, 488, 503 …).
    virtual asio::awaitable<void> reject(int status, std::string reason) = 0;

    /// Settled by the SDP answer or Twilio's `start`; constant afterwards. PCM s16, mono.
    virtual const media::AudioFormat& format() const noexcept = 0;

    /// Feeds `sink` until media ends: frames in order with losses concealed, a tick every 20 ms,
    /// digits, hold. Call once, after connect(). Cancellable (terminal). A misbehaving peer is a
    /// MediaEnd, never an exception.
    virtual asio::awaitable<MediaEnd> receive_audio(MediaSink& sink) = 0;

    /// How many frames `send_audio` would take now. RTP: one per tick, none while held. Twilio: as
    /// many as keep at most 200 ms ahead of the caller's ear.
    virtual std::size_t send_room() const noexcept = 0;

    /// Sends one ptime of audio at format().rate. False: no room, frame dropped, counted.
    virtual bool send_audio(media::FrameView frame) noexcept = 0;

    /// Audio accepted by send_audio that the caller has not heard yet: 0 on RTP (what has left has
    /// been heard), what lies in Twilio's buffer there. Proven by marks, extrapolated between them.
    virtual milliseconds unheard() const noexcept = 0;

    /// Barge-in: throws away what the caller has not heard yet and returns how much that was.
    virtual milliseconds clear_audio() noexcept = 0;

    /// Ends the call politely: BYE, or closing Twilio's socket. Audio still unheard is lost: wait
    /// for `unheard()` first if the last word matters. receive_audio then returns we_hung_up.
    virtual asio::awaitable<void> hang_up() = 0;

    /// What of the following this call can do. Constant once connected.
    virtual CallControls controls() const noexcept { return {}; }

    /// Blind transfer to a SIP URI or number. Success: the carrier took over; the call ends here.
    /// Errors, here and below: CallControlErrc, or what the carrier's folder says. A failed request
    /// leaves the call as it was.
    virtual asio::awaitable<Result<void>> transfer(std::string target);

    /// Attended transfer: the caller is put on hold, the target is called and, once it answers,
    /// joined with the caller. Not answered within `patience`: the caller is back with us.
    virtual asio::awaitable<Result<void>> transfer_attended(
        std::string target, milliseconds patience
    );

    /// Puts the other side on hold (it is told so in SDP; no audio flows) or resumes it.
    virtual asio::awaitable<Result<void>> hold(bool held);

    /// Presses keys: '0'–'9', '*', '#', 'A'–'D', and 'w' for half a second of waiting. Returns when
    /// the last has been sent. Secret: never logged.
    virtual asio::awaitable<Result<void>> send_digits(std::string digits);

    virtual MediaStats stats() const noexcept = 0;
};

}  // namespace oavc::transports
