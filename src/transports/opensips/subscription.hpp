#pragma once

#include "base/time.hpp"
#include "transports/opensips/mi_protocol.hpp"
#include "transports/opensips/ua_session.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace oavc::transports::opensips {

/// Keeps us subscribed to E_UA_SESSION, and notices when OpenSIPS goes away or was restarted:
/// nothing tells us otherwise. Sans-I/O. Every `renew_period` one round of requests, one at a time:
/// event_subscribe, uptime, and now and then ua_session_list.
class Subscription {
public:
    struct Settings {
        std::string socket;  ///< "udp:192.0.2.1:8090": where events shall go
        std::chrono::seconds expire{60};
        milliseconds retry{500};  ///< after the first failure; doubles
        milliseconds longest_retry{5000};
        milliseconds longest_period{5000};  ///< a restart is noticed this soon
        int rounds_per_list{6};             ///< reconcile in every n-th round
    };

    struct SendMi {
        std::uint32_t token;
        MiCommand command;
    };
    /// Subscribed for the first time, or again.
    struct Up {};
    /// OpenSIPS does not answer, or refuses (`reason`). Said once until Up.
    struct Down {
        std::string reason;
    };
    /// Calls that began before `before` are gone: OpenSIPS was restarted or is lost.
    struct CallsLost {
        TimePoint before;
        std::string reason;
    };
    /// What OpenSIPS has. Calls of ours that began before `asked` and are not in it are gone.
    struct Sessions {
        TimePoint asked;
        std::vector<MiSession> sessions;
    };
    using Action = std::variant<SendMi, Up, Down, CallsLost, Sessions>;

    explicit Subscription(Settings settings);

    void start(TimePoint now);
    void on_mi(std::uint32_t token, const MiOutcome& outcome, TimePoint now);
    void on_time(TimePoint now);
    /// A reason to ask for the list in the next round: events may have been lost.
    void reconcile_soon() noexcept { list_wanted_ = true; }
    /// Says that we want no more events (takes effect within a second). Nothing comes after it.
    MiCommand unsubscribe() const;

    std::optional<Action> next_action();
    std::optional<TimePoint> next_deadline() const noexcept { return deadline_; }
    bool is_up() const noexcept { return up_; }
    milliseconds renew_period() const noexcept;

private:
    enum class Step { idle, subscribing, asking_uptime, listing };

    void begin_round(TimePoint now);
    void send(Step step, MiCommand command);
    void end_round(TimePoint now);
    void fail(std::string reason, TimePoint now);
    bool restarted(const MiResponse& response);

    const Settings settings_;
    Step step_{Step::idle};
    bool up_{false};
    bool said_down_{false};
    bool list_wanted_{true};
    bool restart_seen_{false};  ///< in the last round: the subscription may have been the old one's
    int rounds_{0};
    milliseconds back_off_;
    TimePoint round_began_{};
    std::optional<TimePoint> last_success_;
    std::string up_since_;
    std::optional<std::int64_t> up_seconds_;
    std::optional<TimePoint> deadline_;
    std::uint32_t token_{0};
    std::deque<Action> actions_;
};

}  // namespace oavc::transports::opensips
