#include "api/event_feed.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace oavc::api {

/// Who waits. Shared with the wake-up that is on its way to it.
struct EventFeed::Watcher {
    explicit Watcher(asio::any_io_executor executor) : timer{std::move(executor)} {}
    asio::steady_timer timer;  ///< it and `news`: touched on its own executor only
    bool news{false};
    bool told{false};  ///< a wake-up is on its way; under the feed's lock
};

EventFeed::Watch::Watch(EventFeed& feed, std::shared_ptr<Watcher> watcher) noexcept
    : feed_{&feed}, watcher_{std::move(watcher)} {}

EventFeed::Watch::~Watch() {
    if (!watcher_) return;
    const std::lock_guard lock{feed_->mutex_};
    std::erase(feed_->watchers_, watcher_);
}

asio::awaitable<bool> EventFeed::Watch::wait(TimePoint deadline) {
    if (!watcher_->news) {
        watcher_->timer.expires_at(deadline);
        co_await watcher_->timer.async_wait(as_result);
    }
    const std::lock_guard lock{feed_->mutex_};
    watcher_->told = false;
    co_return std::exchange(watcher_->news, false);
}

void EventFeed::on_call_event(
    const SessionId& session, const transports::CallInfo& call, const pipeline::CallEvent& event
) noexcept {
    const std::lock_guard lock{mutex_};
    try {
        auto item = std::make_shared<FeedItem>();
        item->number = latest_ + 1;
        item->session = session;
        item->via = call.via;
        item->native_id = call.native_id.substr(0, max_text);
        item->outgoing = call.outgoing;
        item->event = event;
        if (item->event.text.size() > max_text) item->event.text.resize(max_text);
        ring_.push_back(std::move(item));
        ++latest_;
        if (ring_.size() > kept) ring_.pop_front();
        for (const auto& watcher : watchers_) {
            if (std::exchange(watcher->told, true)) continue;
            asio::post(watcher->timer.get_executor(), [watcher] {
                watcher->news = true;
                watcher->timer.cancel();
            });
        }
    } catch (...) {
        ++stats_.failed;  // out of memory: the call itself goes on
    }
}

std::optional<EventFeed::Watch> EventFeed::watch(asio::any_io_executor executor) {
    auto watcher = std::make_shared<Watcher>(std::move(executor));
    const std::lock_guard lock{mutex_};
    if (watchers_.size() >= max_watchers) {
        ++stats_.refused;
        return std::nullopt;
    }
    watchers_.push_back(watcher);
    return std::optional<Watch>{std::in_place, *this, std::move(watcher)};
}

EventFeed::Page EventFeed::read(std::uint64_t after, std::size_t limit) const {
    const std::lock_guard lock{mutex_};
    Page page;
    const std::uint64_t oldest = latest_ - ring_.size() + 1;  // number of ring_.front()
    if (after + 1 < oldest) {
        page.missed = oldest - after - 1;
        after = oldest - 1;
    }
    for (auto i = after + 1; i <= latest_ && page.items.size() < limit; ++i)
        page.items.push_back(ring_[static_cast<std::size_t>(i - oldest)]);
    return page;
}

std::uint64_t EventFeed::latest() const {
    const std::lock_guard lock{mutex_};
    return latest_;
}

void EventFeed::count_dropped() noexcept {
    const std::lock_guard lock{mutex_};
    ++stats_.dropped;
}

EventFeed::Stats EventFeed::stats() const {
    const std::lock_guard lock{mutex_};
    Stats stats = stats_;
    stats.watchers = watchers_.size();
    return stats;
}

}  // namespace oavc::api
