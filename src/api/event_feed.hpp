#pragma once

#include "async/awaitable.hpp"
#include "base/time.hpp"
#include "pipeline/events.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace oavc::api {

/// One event of one call, with its place among all.
struct FeedItem {
    std::uint64_t number{0};  ///< from 1, without gaps
    SessionId session;
    std::string via;
    std::string native_id;
    bool outgoing{false};
    pipeline::CallEvent event;
};

/// What happens in all calls, for those who watch as it happens. One ring for everybody: the last
/// `kept` events. A watcher that falls behind by more than that has lost some and is told so: that
/// is the bound of its queue. Thread: any; one short lock, nothing is rendered under it.
class EventFeed final : public pipeline::CallObserver {
    struct Watcher;

public:
    static constexpr std::size_t kept = 2'048;
    static constexpr std::size_t max_text = 4'096;
    static constexpr std::size_t max_watchers = 64;

    using Items = std::vector<std::shared_ptr<const FeedItem>>;
    struct Page {
        Items items;
        std::uint64_t missed{0};  ///< older ones that the reader has not seen and never will
    };
    struct Stats {
        std::size_t watchers{0};
        std::uint64_t refused{0};  ///< watchers for whom there was no place
        std::uint64_t dropped{0};  ///< watchers that were too slow
        std::uint64_t failed{0};   ///< events lost because memory ran out
    };

    /// A place among the watchers, for as long as it lives. Thread: its coroutine's. The feed
    /// outlives it.
    class Watch {
    public:
        Watch(EventFeed& feed, std::shared_ptr<Watcher> watcher) noexcept;
        Watch(Watch&&) noexcept = default;
        Watch& operator=(Watch&&) = delete;
        ~Watch();

        /// Returns at the next event, also one that came since the last wait; false: none came by
        /// `deadline`. Cancellable.
        asio::awaitable<bool> wait(TimePoint deadline);

    private:
        EventFeed* feed_;
        std::shared_ptr<Watcher> watcher_;
    };

    EventFeed() = default;
    EventFeed(const EventFeed&) = delete;
    EventFeed& operator=(const EventFeed&) = delete;

    void on_call_event(
        const SessionId& session, const transports::CallInfo& call, const pipeline::CallEvent& event
    ) noexcept override;

    /// Nothing: there are too many watchers.
    std::optional<Watch> watch(asio::any_io_executor executor);

    /// Events after number `after`, at most `limit`.
    Page read(std::uint64_t after, std::size_t limit) const;
    /// The number of the latest event; 0: nothing happened yet.
    std::uint64_t latest() const;

    /// A watcher was too slow.
    void count_dropped() noexcept;
    Stats stats() const;

private:
    mutable std::mutex mutex_;
    std::deque<std::shared_ptr<const FeedItem>> ring_;
    std::uint64_t latest_{0};
    std::list<std::shared_ptr<Watcher>> watchers_;
    Stats stats_;
};

}  // namespace oavc::api
