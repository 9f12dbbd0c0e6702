#pragma once

#include "base/time.hpp"
#include "sip/dialog.hpp"
#include "sip/digest.hpp"
#include "sip/offer_answer.hpp"
#include "sip/transaction_layer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace oavc::sip {

/// How a call ended.
enum class CallEnd {
    remote_hung_up,
    local_hung_up,
    cancelled,    ///< the caller gave up before we answered
    transferred,  ///< the other side took the call elsewhere
    refused,      ///< by us or, of an outgoing call, by them: `status`
    lost,         ///< no ACK, no refresh, no way to reach them, or a peer beyond repair
};

/// The methods that we take within a call.
inline constexpr std::string_view allowed_methods =
    "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, PRACK, NOTIFY";

/// One INVITE session, called or calling, sans-I/O: requests, responses, wishes and time in;
/// messages go to the transaction layer, events come out. RFC 3261 (dialogs, re-INVITE, CANCEL),
/// 3262 (PRACK as the caller), 3264, 3311 (UPDATE), 3515 and 3891 (REFER), 4028 (session timers),
/// 6026, 6086 (INFO), 7616 (digest).
///
/// After `Over` the call is done for its users; `finished()` tells when the other side has been
/// told all it must be. Owner: UserAgent. Thread: its.
class Call {
public:
    struct Settings {
        MediaPreferences media{};
        std::string contact_user;                      ///< in our Contact
        std::chrono::seconds session_expires{1800};    ///< asked for in outgoing calls; 0: none
        std::chrono::seconds min_session_expires{90};  ///< RFC 4028 §4
        milliseconds transfer_timeout{32'000};         ///< from REFER to its final NOTIFY
        Credentials credentials;                       ///< for 401 and 407
    };

    /// Whom an outgoing call is for.
    struct Destination {
        std::string uri;   ///< Request-URI and To
        std::string from;  ///< URI of From
        Target next_hop;
    };

    // What comes out.
    struct Ringing {
        int status;  ///< 180 … 199
    };
    struct Answered {
        NegotiatedAudio audio;
    };
    /// A re-INVITE, an UPDATE or a late answer was agreed on.
    struct MediaChanged {
        NegotiatedAudio audio;
    };
    struct Digit {
        char digit;
    };
    /// The outcome of a wish; `status` is what the other side said, 408 when it said nothing.
    struct HoldDone {
        int status;
    };
    struct TransferDone {
        int status;  ///< after success Over{transferred} follows
    };
    struct InfoDone {
        int status;
    };
    struct Over {
        CallEnd end;
        int status;  ///< of `refused`; else 0
        std::string detail;
    };
    using Action = std::
        variant<Ringing, Answered, MediaChanged, Digit, HoldDone, TransferDone, InfoDone, Over>;

    /// We are called. An INVITE that cannot be taken is refused at once: then `is_over()`.
    Call(
        TransactionLayer& layer,
        const Settings& settings,
        std::uint64_t number,
        TransactionId id,
        const Message& invite,
        const Target& from,
        TimePoint now
    );
    /// We call, when `start` says so.
    Call(
        TransactionLayer& layer,
        const Settings& settings,
        std::uint64_t number,
        Destination destination
    );
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // What comes in.
    void on_request(TransactionId id, const Message& request, const Target& from, TimePoint now);
    void on_cancel(TimePoint now);
    void on_ack(const Message& ack, TimePoint now);
    void on_response(TransactionId id, const Message& response, const Target& from, TimePoint now);
    void on_failed(TransactionId id, bool timeout, TimePoint now);
    void on_time(TimePoint now);

    // Wishes. False: the state does not allow it.
    /// 200 with our description.
    bool answer(const LocalMedia& local, TimePoint now);
    /// A final reply ≥ 300. `headers` are added: Retry-After, Contact of a redirection.
    bool reject(
        int status, std::string_view reason, const std::vector<HeaderField>& headers, TimePoint now
    );
    /// INVITE with our offer.
    bool start(const LocalMedia& local, TimePoint now);
    /// BYE or CANCEL, or 480 to a caller who waits.
    void hang_up(TimePoint now);
    /// HoldDone follows. Waits for the end of an exchange of offer and answer that is under way.
    bool hold(bool held, TimePoint now);
    /// REFER to a URI; TransferDone follows. `replaces`: attended, RFC 3891.
    bool transfer(std::string_view uri, std::string_view replaces, TimePoint now);
    /// INFO that presses a key; InfoDone follows.
    bool send_digit(char digit, TimePoint now);

    std::optional<Action> next_action();
    std::optional<TimePoint> next_deadline() const;

    std::uint64_t number() const noexcept { return number_; }
    bool is_outgoing() const noexcept { return outgoing_; }
    bool is_waiting() const noexcept { return state_ == State::offered; }
    bool is_established() const noexcept { return state_ == State::established; }
    bool is_over() const noexcept { return state_ == State::over; }
    bool finished() const noexcept;

    const Message& invite() const noexcept { return invite_; }
    const Dialog& dialog() const noexcept { return dialog_; }
    /// Where the other side's latest message came from.
    const Target& peer() const noexcept { return peer_; }
    /// Numeric address of the offer's audio: what ours must route to. Empty: unknown.
    const std::string& media_address() const noexcept { return media_address_; }
    /// The value of Replaces for this call, as the other side must be told it (RFC 3891 §3).
    std::string replaces() const;

private:
    enum class State {
        offered,  ///< INVITE waits for our final reply
        idle,     ///< outgoing, not started
        calling,  ///< our INVITE waits for theirs
        established,
        over,
    };
    enum class Kind { invite, reinvite, refresh, update, bye, stray_bye, refer, info, prack };
    /// A request of ours that is under way.
    struct Pending {
        Kind kind;
        Message message;  ///< without Via
        Target to;
        int challenges{0};
    };
    /// Our 2xx to an INVITE until its ACK.
    struct Answering {
        TransactionId id;
        Message response;
        std::uint32_t cseq;
        bool offered;  ///< it carries our offer: the ACK brings the answer
        milliseconds interval;
        TimePoint repeat;
        TimePoint deadline;
    };
    struct SessionTimer {
        std::chrono::seconds interval{0};
        bool ours{false};  ///< we refresh
        std::optional<TimePoint> due;
    };
    /// A re-INVITE that is to be sent then, or as soon after as nothing else is under way: what a
    /// 491 put off, or what was asked for meanwhile.
    struct DueReinvite {
        Kind kind;
        TimePoint at;
    };
    struct Early {
        Dialog dialog;
        std::uint32_t rseq{0};
    };

    void check_invite(TimePoint now);
    void on_invite(TransactionId id, const Message& request, TimePoint now);
    void on_update(TransactionId id, const Message& request, TimePoint now);
    void on_info(TransactionId id, const Message& request, TimePoint now);
    void on_notify(TransactionId id, const Message& request, TimePoint now);
    void on_bye(TransactionId id, const Message& request, TimePoint now);
    void on_invite_response(
        TransactionId id, Pending& pending, const Message& response, TimePoint now
    );
    void on_call_accepted(const Message& response, TimePoint now);
    void on_provisional(const Message& response, TimePoint now);
    void on_reinvite_response(Pending pending, const Message& response, TimePoint now);
    void on_other_response(Pending pending, const Message& response, TimePoint now);
    bool try_again(const Pending& pending, const Message& response, TimePoint now);
    void dialog_failed(int status, TimePoint now);

    Message reply_to(const Message& request, int status, std::string_view reason = {}) const;
    void respond(TransactionId id, Message response, TimePoint now);
    void refuse(TransactionId id, const Message& request, int status, TimePoint now);
    void accept_invite(
        TransactionId id, const Message& request, std::string sdp, bool offered, TimePoint now
    );
    TransactionId send(Kind kind, Message message, TimePoint now);
    TransactionId send(Kind kind, Message message, const Target& to, int challenges, TimePoint now);
    void send_invite(Kind kind, TimePoint now);
    void acknowledge(Dialog& dialog, const Message& invite, TimePoint now);
    void send_bye(TimePoint now);
    void cancel_invite(TimePoint now);
    void add_capabilities(Message& message) const;
    void add_contact(Message& message, const Target& to) const;
    bool has_pending(Kind kind) const;
    bool invite_pending() const {
        return has_pending(Kind::invite) || has_pending(Kind::reinvite) ||
               has_pending(Kind::refresh);
    }
    bool offer_pending() const { return our_offer_.has_value(); }
    /// RFC 3261 §14.1: no re-INVITE meanwhile.
    bool exchange_pending() const { return invite_pending() || answering_ || offer_pending(); }
    void send_due_reinvite(TimePoint now);

    Result<std::string> answer_offer(std::string_view body);
    std::string write_offer(bool held);
    bool take_answer(std::string_view body);

    bool check_session_timer(TransactionId id, const Message& request, TimePoint now);
    void agree_session_timer(const Message& request, Message& response, TimePoint now);
    void take_session_timer(const Message& response, TimePoint now);
    void arm_session_timer(TimePoint now);
    void finish_transfer(int status, TimePoint now);
    void end(CallEnd how, int status, std::string detail);
    void push(Action action);

    // Given to us.
    TransactionLayer& layer_;
    const Settings settings_;
    const std::uint64_t number_;
    const bool outgoing_;
    const bool secure_;  ///< our Contact is a SIPS URI
    // State.
    State state_;
    Dialog dialog_;
    Target peer_;
    Message invite_;           ///< the first INVITE, theirs or ours
    TransactionId invite_id_;  ///< its transaction
    Destination destination_;
    std::string auth_header_;  ///< "Authorization" or "Proxy-Authorization" once challenged
    std::optional<Challenge> challenge_;
    std::uint32_t challenge_count_{0};
    std::map<std::uint64_t, Pending> pending_;
    std::optional<Answering> answering_;
    std::vector<Early> early_;
    std::map<std::string, TransactionLayer::Send> acks_;  ///< by To-tag: repeated with each 2xx
    std::string peer_allows_;                             ///< their Allow
    bool bye_when_acked_{false};
    bool cancelling_{false};
    bool cancelled_{false};  ///< CANCEL has been sent
    // Media.
    LocalMedia local_;
    std::string media_address_;
    std::string description_;  ///< our latest SDP
    std::optional<NegotiatedAudio> audio_;
    std::optional<Sdp> our_offer_;
    bool holding_{false};     ///< we put them on hold
    bool want_hold_{false};   ///< what the re-INVITE under way, or due, asks for
    bool hold_waits_{false};  ///< HoldDone is owed
    std::optional<DueReinvite> reinvite_due_;
    // Session timer.
    SessionTimer timer_;
    // Transfer.
    bool transferring_{false};
    int transfer_status_{0};
    std::optional<TimePoint> transfer_deadline_;
    std::deque<Action> actions_;
};

}  // namespace oavc::sip
