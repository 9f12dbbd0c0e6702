#pragma once

#include "async/awaitable.hpp"
#include "base/time.hpp"
#include "pipeline/events.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::api {

/// An event with its place in its call, from 1. Numbers never repeat, also when old events are
/// gone.
struct LoggedEvent {
    std::uint64_t number{0};
    pipeline::CallEvent event;
};

/// What is known of one call without its events. Numbers and names are personal data.
struct CallSummary {
    SessionId session;
    std::string via;
    std::string native_id;
    std::string from;
    std::string to;
    bool outgoing{false};
    std::chrono::system_clock::time_point started{};
    milliseconds duration{0};  ///< until now (of the last event) or the end
    pipeline::CallEvent::Kind last{pipeline::CallEvent::Kind::started};
    bool answered{false};
    bool over{false};
    std::string end_reason;
    std::uint64_t events{0};     ///< all that ever happened
    std::uint64_t forgotten{0};  ///< of these, dropped because the call had too many
};

struct CallPage {
    CallSummary call;
    std::vector<LoggedEvent> events;
};

/// The last calls and what happened in them, for the API and the console. Bounded: `max_calls`
/// calls (the oldest finished one goes first), `max_events` events of each (the oldest go first),
/// `max_text` bytes of each text. Thread: any; one short lock, nothing is rendered under it.
class CallLog final : public pipeline::CallObserver {
public:
    static constexpr std::size_t max_calls = 200;
    static constexpr std::size_t max_events = 2'000;
    static constexpr std::size_t max_text = 4'096;
    static constexpr std::size_t max_page = 500;  ///< events per answer
    static constexpr std::size_t max_watchers =
        256;  ///< beyond it nobody waits: answers come at once

    struct Stats {
        std::uint64_t ignored{0};  ///< events of calls that are no longer kept
        std::uint64_t failed{0};   ///< events lost because memory ran out
    };

    CallLog() = default;
    CallLog(const CallLog&) = delete;
    CallLog& operator=(const CallLog&) = delete;

    void on_call_event(
        const SessionId& session, const transports::CallInfo& call, const pipeline::CallEvent& event
    ) noexcept override;

    /// Newest first.
    std::vector<CallSummary> list() const;

    /// `id`: our session id or the carrier's (the newest call of that name). Events numbered above
    /// `after`, at most `limit`.
    std::optional<CallPage> find(
        std::string_view id, std::uint64_t after = 0, std::size_t limit = max_events
    ) const;

    /// Like find, but when there is nothing new (or no such call yet) waits for it, at most
    /// `limit`. Cancellable. Thread: the waiting coroutine's; `this` outlives it.
    asio::awaitable<std::optional<CallPage>> wait(
        std::string id, std::uint64_t after, Clock::duration limit
    ) const;

    Stats stats() const;

private:
    struct Entry {
        CallSummary summary;
        std::deque<LoggedEvent> events;
    };
    struct Watcher;
    class Watch;

    const Entry* look_up(std::string_view id) const;  ///< under the lock
    void make_room();
    void notify(const CallSummary& call) const;

    mutable std::mutex mutex_;
    std::list<Entry> calls_;  ///< newest first
    std::map<std::string, std::list<Entry>::iterator, std::less<>> by_session_;
    mutable std::list<std::shared_ptr<Watcher>> watchers_;
    Stats stats_;
};

}  // namespace oavc::api
