#pragma once

#include "base/time.hpp"
#include "sip/offer_answer.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/mi_protocol.hpp"
#include "transports/transport.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace oavc::transports::opensips {

/// How a request to OpenSIPS ended: its response, or nothing in time.
struct MiOutcome {
    std::optional<MiResponse> response;  ///< absent: no answer
};

/// A call that we place.
struct OutgoingCall {
    CallInfo info;  ///< native_id: not known yet
    MiCall invite;  ///< all but the offer
    std::chrono::seconds patience{45};
};

/// One call in OpenSIPS's UA-session mode, sans-I/O: events, answers to our requests,
/// wishes and time in; requests and media changes out. One request is under way at a time, in
/// order; an unanswered one is repeated only where repeating is harmless.
///
/// After `call_over` the call is done for its users, but `finished()` tells when OpenSIPS has been
/// told all it must be (487, freeing the session). Owner and thread: the caller's; movable.
class UaSession {
public:
    struct Settings {
        sip::MediaPreferences media{};
        int attempts{3};  ///< of a request that may be repeated
        milliseconds transfer_timeout{
            32'000};  ///< from REFER to its final NOTIFY (RFC 3515 §2.4.6)
        milliseconds request_timeout{10'000};  ///< from a re-INVITE or INFO to its final response
    };

    // What comes out.
    struct SendMi {
        std::uint32_t token;  ///< give it back to on_mi
        MiCommand command;
    };
    struct Answered {
        sip::NegotiatedAudio audio;
    };
    /// Outgoing: OpenSIPS has sent our INVITE, and key() is known.
    struct Placed {};
    /// Outgoing: the other side rings (18x). May come several times.
    struct Ringing {};
    /// A re-INVITE, UPDATE or late answer was agreed on.
    struct MediaChanged {
        sip::NegotiatedAudio audio;
    };
    struct Digit {
        char digit;
    };
    /// The outcome of `transfer`. After success `CallOver{transferred}` follows.
    struct TransferDone {
        bool ok;
        int status;  ///< what the other side said; 408 when it said nothing
    };
    /// The outcome of `hold`, or of one key of `press`.
    struct HoldDone {
        bool ok;
        int status;
    };
    struct KeyDone {
        bool ok;
        int status;
    };
    struct CallOver {
        MediaEnd end;
    };
    using Action = std::variant<
        SendMi,
        Answered,
        Placed,
        Ringing,
        MediaChanged,
        Digit,
        TransferDone,
        HoldDone,
        KeyDone,
        CallOver>;

    /// From a NEW event. An offer that cannot be answered is refused at once (415, 488): then
    /// `is_over()`. From a list of sessions: the call is answered without having seen its offer.
    UaSession(const UaEvent& created, const Settings& settings);
    UaSession(const MiSession& listed, const Settings& settings);
    /// An outgoing call, not placed yet.
    UaSession(OutgoingCall call, const Settings& settings);

    const std::string& key() const noexcept { return info_.native_id; }
    const CallInfo& info() const noexcept { return info_; }

    /// Numeric address in the caller's SDP, or of its contact: what our own address must route to.
    /// Empty: unknown.
    const std::string& caller_address() const noexcept { return caller_address_; }

    /// The offer was not seen: no flags b and h, a late offer, or found in the list.
    bool is_blind() const noexcept { return !offer_; }

    // What comes in.
    void on_event(const UaEvent& event, TimePoint now);
    void on_mi(std::uint32_t token, const MiOutcome& outcome, TimePoint now);
    void on_time(TimePoint now);
    /// OpenSIPS was restarted, or no longer knows the session: nothing can be sent any more.
    void on_lost(std::string detail);

    // Wishes. Without effect when the state does not allow them.
    /// Outgoing: INVITE with our offer. Ends by itself (not_answered) after the call's patience.
    void place(const sip::LocalMedia& local, TimePoint now);
    /// 200 with our SDP; later descriptions are counted up from its version.
    void answer(const sip::LocalMedia& local);
    /// A final reply ≥ 300, then the session is freed. `retry_after`: adds the header (503).
    void reject(
        int code, std::string_view reason, std::optional<std::chrono::seconds> retry_after = {}
    );
    void hang_up();
    /// Media stopped coming: hangs up with that as the reason.
    void give_up(EndReason reason, std::string detail);
    /// REFER to a SIP or tel URI, "user@host" or a number. Errors, here and below: CallControlErrc
    /// bad_target, wrong_state.
    Result<void> transfer(std::string_view target, TimePoint now);
    /// re-INVITE with sendonly (RFC 6337 §5.3) or sendrecv. OpenSIPS acknowledges the 200 by itself
    /// when the script does without flag d.
    Result<void> hold(bool held, TimePoint now);
    /// INFO with one key (application/dtmf-relay).
    Result<void> press(char key, TimePoint now);

    std::optional<Action> next_action();
    std::optional<TimePoint> next_deadline() const noexcept;

    bool is_answerable() const noexcept { return state_ == State::offered; }
    bool is_established() const noexcept { return state_ == State::established; }
    /// We hold the caller: what still comes is not for us.
    bool holds() const noexcept { return holds_; }
    /// Outgoing: the INVITE was sent, and nobody has answered yet.
    bool is_ringing() const noexcept { return state_ == State::ringing; }
    /// Outgoing and over: why it was not answered; none when it was.
    const error_code& failure() const noexcept { return failure_; }
    bool is_over() const noexcept { return state_ == State::over; }
    /// The call is over and no request is under way or waiting.
    bool finished() const noexcept { return is_over() && requests_.empty(); }

    /// Ends the call if it is not over, and returns what must still be sent, in order, whatever the
    /// answers. For an owner that goes away. The session does nothing afterwards.
    std::vector<MiCommand> take_leftovers();

private:
    enum class State {
        idle,       ///< outgoing, not placed yet
        placing,    ///< outgoing: OpenSIPS was asked to send our INVITE
        ringing,    ///< outgoing: it did
        offered,    ///< the INVITE waits for our final reply
        answering,  ///< 200 sent, its result not yet known
        established,
        over,
    };
    enum class Kind {
        place,   ///< our INVITE; never repeated
        answer,  ///< 200 to the initial INVITE
        reply,   ///< any other reply
        refer,   ///< never repeated, nor are the next two
        reinvite,
        info,
        terminate,
        verify,  ///< is the session still there? after an error without a reason
    };
    struct Request {
        Kind kind;
        std::uint32_t token;
        MiCommand command;
        int attempts_left;
        bool under_way{false};
    };
    enum class Transfer { none, sent, accepted };

    void on_terminated(const UaEvent& event);
    void on_request(const UaEvent& event);
    void on_reply_event(const UaEvent& event, TimePoint now);
    void on_reoffer(const UaEvent& event, std::string_view body);
    void on_info(const UaEvent& event);
    void on_notify(const UaEvent& event);
    void on_ack(const UaEvent& event);
    void refuse_unfit_offer();
    void read_offer(const UaEvent& event);
    void on_call_answered(const UaEvent& event);
    void fail(error_code why, std::string detail);
    void report_change(const std::optional<sip::NegotiatedAudio>& before);
    void on_hold_answered(const UaEvent& event, TimePoint now);
    void offer_hold(TimePoint now);
    void finish_transfer(bool ok, int status);
    void finish_hold(bool ok, int status);
    void finish_key(bool ok, int status);
    void finish_all(int status);
    void end(EndReason reason, std::string detail);
    void enqueue(Kind kind, MiCommand command);
    void reply(std::string_view method, int code, std::string_view reason);
    void reply_unsupported_media_type(std::string_view method);
    void pump();
    void request_failed(Kind kind, const MiResponse* response);

    Settings settings_;
    CallInfo info_;
    std::string referred_by_;  ///< the dialled URI: who we are
    std::string caller_address_;

    State state_{State::offered};
    std::optional<sip::Sdp> offer_;
    int refusal_{0};                              ///< the status that the offer deserves; 0: none
    std::optional<sip::MediaNegotiation> media_;  ///< once answered or placed
    std::optional<OutgoingCall> outgoing_;
    std::optional<TimePoint> ringing_deadline_;
    error_code failure_;
    Transfer transfer_{Transfer::none};
    int transfer_status_{0};  ///< the latest that a NOTIFY told
    std::optional<TimePoint> transfer_deadline_;
    bool holds_{false};
    std::optional<bool> hold_wish_;  ///< what a re-INVITE of ours asks for, while it is under way
    int hold_attempts_{0};
    std::optional<TimePoint> hold_deadline_;
    std::optional<TimePoint> hold_retry_at_;  ///< after glare
    std::optional<TimePoint> key_deadline_;

    std::uint32_t next_token_{1};
    std::deque<Request> requests_;  ///< the first one is under way
    std::deque<Action> actions_;
};

/// What a session that nobody owns needs: a reply to its pending request.
MiCommand reply_to_unknown(const UaEvent& event);

}  // namespace oavc::transports::opensips
