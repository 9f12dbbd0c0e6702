#pragma once

#include "base/time.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller {

/// An OpenSIPS 3.6 as its connector sees it in UA-session mode: answers MI commands and raises
/// E_UA_SESSION events for the calls that the owner places into it. No sockets and no clock: MI
/// datagrams and time come in; events, and what the connector did to our calls, come out.
/// Emulated: the commands and answers of b2b_entities and the event core that a connector uses,
/// subscriptions with their expiry, call states, overlapping requests, the defect that
/// `extra_headers` without `body` are lost. Not emulated: timers of SIP, size limits, `n`/`t`
/// flags.
class FakeOpenSips {
public:
    static constexpr std::size_t max_subscribers = 16;

    struct Invite {
        std::string from_user{"caller"};
        std::string to_user{"bot"};
        std::string host{"127.0.0.1"};
        std::string sdp;
        std::string extra_params;  ///< empty: none
    };

    /// An event datagram for a subscriber.
    struct Event {
        std::string to;  ///< as subscribed, without "udp:": "127.0.0.1:8090"
        std::string data;
    };

    /// What the connector did to one of our calls.
    struct Outcome {
        enum class Kind {
            provisional,        ///< `code`
            answered,           ///< 2xx to the INVITE; `body` is its SDP
            rejected,           ///< `code` ≥ 300 to the INVITE
            reinvite_answered,  ///< `body`: SDP
            reinvite_rejected,
            request_answered,  ///< `code` to our INFO or NOTIFY
            held,              ///< re-INVITE from the connector that the phone took; `body`: SDP
            key,               ///< INFO with a key from the connector; `body`: the key
            hung_up,           ///< BYE from the connector
            called,            ///< a call that the connector starts: `reason` is the Request-URI
                               ///< and `body` its SDP
            cancelled,         ///< CANCEL of that call
            transfer,          ///< REFER; `body`: the Refer-To target
        };
        Kind kind{Kind::answered};
        std::string key;
        int code{0};
        std::string reason;
        std::string body;
    };

    /// `started`: for uptime.
    explicit FakeOpenSips(TimePoint started);

    /// One MI datagram. Returns the answer, or nothing where OpenSIPS says nothing.
    std::optional<std::string> on_mi(std::string_view request, TimePoint now);

    bool has_subscriber(TimePoint now) const;

    // What callers do. A key that is unknown (or over) is ignored.
    std::string invite(Invite call, TimePoint now);  ///< NEW; returns the session key
    void ack(const std::string& key);
    void bye(const std::string& key, TimePoint now);
    void cancel(const std::string& key, TimePoint now);
    void reinvite(const std::string& key, std::string sdp, TimePoint now);
    /// SIP INFO with application/dtmf-relay. False: another request of ours is still unanswered.
    bool press(const std::string& key, char digit, TimePoint now);

    // What callees do with the calls that the connector starts, by the key of `Outcome::called`.
    void ring(const std::string& key, TimePoint now);
    void answer(const std::string& key, std::string sdp, TimePoint now);
    void refuse(const std::string& key, int code, std::string_view reason, TimePoint now);

    /// The phone answers the connector's next request of that method with `status`.
    void refuse_next(std::string method, int status) { refusals_[std::move(method)] = status; }

    std::vector<Event> take_events();
    std::vector<Outcome> take_outcomes();

    std::size_t sessions() const noexcept { return sessions_.size(); }

private:
    enum class State {
        fresh = 1,
        early = 3,
        confirmed = 4,
        established = 5,
        modified = 6,
        over = 7
    };
    struct Session {
        Invite call;           ///< its `from_user` is our phone, its `sdp` the phone's
        bool outgoing{false};  ///< the connector started it
        std::string call_id;
        std::string from_tag;  ///< our phone's
        std::string to_tag;    ///< the connector's
        State state{State::fresh};
        std::string pending;  ///< method of our request that waits for the connector's reply
        int last_code{0};
        int cseq{1};
        bool cancelled{false};
        bool notify_final{false};  ///< the next NOTIFY of a transfer is the last
    };
    struct Subscriber {
        std::string socket;  ///< "udp:127.0.0.1:8090"
        std::chrono::seconds expire{3600};
        TimePoint since{};
    };
    struct Answer;
    using Sessions = std::map<std::string, Session>;

    Answer dispatch(std::string_view method, const boost::json::object& params, TimePoint now);
    Answer subscribe(const boost::json::object& params, TimePoint now);
    Answer list_subscribers(const boost::json::object& params, TimePoint now) const;
    Answer reply(const boost::json::object& params, TimePoint now);
    Answer update(const boost::json::object& params, TimePoint now);
    Answer start(const boost::json::object& params);
    Answer terminate(const boost::json::object& params);
    Answer list_sessions(const boost::json::object& params) const;

    void on_final_reply(
        Sessions::iterator session, const Outcome& outcome, const std::string& method, TimePoint now
    );
    std::string new_key();
    void reply_event(
        const std::string& key,
        const Session& session,
        std::string_view type,
        int status,
        std::string_view reason,
        std::string_view body,
        TimePoint now
    );
    void raise(
        const std::string& key,
        std::string_view type,
        int status,
        std::string_view reason,
        std::string_view method,
        std::string_view body,
        std::string_view headers,
        std::string_view extra_params,
        TimePoint now
    );
    void raise_request(
        const std::string& key,
        Session& session,
        std::string_view type,
        std::string_view method,
        std::string_view content_type,
        std::string_view body,
        std::string_view more_headers,
        TimePoint now
    );
    void notify(const std::string& key, Session& session, bool final, TimePoint now);

    const TimePoint started_;
    const std::string up_since_;  ///< the same on the wall: what changes means a restart
    std::vector<Subscriber> subscribers_;
    Sessions sessions_;
    std::uint32_t calls_{0};
    std::map<std::string, int> refusals_;  ///< by method
    std::vector<Event> events_;
    std::vector<Outcome> outcomes_;
};

}  // namespace oavc::caller
