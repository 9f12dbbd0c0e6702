#include "api/call_log.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>

namespace oavc::api {

using Kind = pipeline::CallEvent::Kind;

namespace {

/// Cut at a character's boundary, so that what is left is still UTF-8.
std::string shortened(std::string_view text, std::size_t bound) {
    if (text.size() <= bound) return std::string{text};
    std::size_t end = bound;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    return std::string{text.substr(0, end)};
}

}  // namespace

/// A coroutine that waits for news of one call. Shared with the wake-up that is on its way to it.
struct CallLog::Watcher {
    Watcher(asio::any_io_executor executor, std::string name)
        : timer{std::move(executor)}, id{std::move(name)} {}
    asio::steady_timer timer;  ///< touched on its own executor only
    const std::string id;
    bool woken{false};  ///< on the timer's executor
};

/// Keeps a watcher registered for as long as its coroutine's frame lives.
class CallLog::Watch {
public:
    Watch(const CallLog& log, const std::shared_ptr<Watcher>& watcher) : log_{log} {
        const std::lock_guard lock{log_.mutex_};
        if (log_.watchers_.size() >= max_watchers) return;
        place_ = log_.watchers_.insert(log_.watchers_.end(), watcher);
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
        if (!place_) return;
        const std::lock_guard lock{log_.mutex_};
        log_.watchers_.erase(*place_);
    }
    bool registered() const noexcept { return place_.has_value(); }

private:
    const CallLog& log_;
    std::optional<std::list<std::shared_ptr<Watcher>>::iterator> place_;
};

void CallLog::on_call_event(
    const SessionId& session, const transports::CallInfo& call, const pipeline::CallEvent& event
) noexcept {
    const std::lock_guard lock{mutex_};
    try {
        auto found = by_session_.find(session.value);
        if (found == by_session_.end()) {
            if (event.kind != Kind::started) {
                ++stats_.ignored;
                return;
            }
            make_room();
            Entry entry;
            entry.summary.session = session;
            entry.summary.via = shortened(call.via, max_text);
            entry.summary.native_id = shortened(call.native_id, max_text);
            entry.summary.from = shortened(call.from, max_text);
            entry.summary.to = shortened(call.to, max_text);
            entry.summary.outgoing = call.outgoing;
            entry.summary.started = event.at;
            calls_.push_front(std::move(entry));
            found = by_session_.emplace(session.value, calls_.begin()).first;
        }
        Entry& entry = *found->second;
        CallSummary& summary = entry.summary;
        LoggedEvent logged{summary.events + 1, event};
        logged.event.text = shortened(event.text, max_text);
        entry.events.push_back(std::move(logged));
        ++summary.events;
        if (entry.events.size() > max_events) {
            entry.events.pop_front();
            ++summary.forgotten;
        }
        summary.last = event.kind;
        summary.duration = std::max(summary.duration, event.since_start);
        if (event.kind == Kind::answered) summary.answered = true;
        if (event.kind == Kind::ended) {
            summary.over = true;
            summary.end_reason = shortened(event.text, max_text);
        }
        notify(summary);
    } catch (...) {
        ++stats_.failed;  // out of memory: the call itself goes on
    }
}

void CallLog::make_room() {
    if (calls_.size() < max_calls) return;
    auto victim = std::find_if(calls_.rbegin(), calls_.rend(), [](const Entry& entry) {
        return entry.summary.over;
    });
    if (victim == calls_.rend()) victim = calls_.rbegin();
    by_session_.erase(victim->summary.session.value);
    calls_.erase(std::next(victim).base());
}

void CallLog::notify(const CallSummary& call) const {
    for (const auto& watcher : watchers_) {
        if (watcher->id != call.session.value && watcher->id != call.native_id) continue;
        asio::post(watcher->timer.get_executor(), [watcher] {
            watcher->woken = true;
            watcher->timer.cancel();
        });
    }
}

const CallLog::Entry* CallLog::look_up(std::string_view id) const {
    const auto found = by_session_.find(id);
    if (found != by_session_.end()) return &*found->second;
    const auto native = std::find_if(calls_.begin(), calls_.end(), [id](const Entry& entry) {
        return entry.summary.native_id == id;
    });
    return native == calls_.end() ? nullptr : &*native;
}

std::vector<CallSummary> CallLog::list() const {
    const std::lock_guard lock{mutex_};
    std::vector<CallSummary> calls;
    calls.reserve(calls_.size());
    for (const Entry& entry : calls_)
        calls.push_back(entry.summary);
    return calls;
}

std::optional<CallPage> CallLog::find(std::string_view id, std::uint64_t after, std::size_t limit)
    const {
    const std::lock_guard lock{mutex_};
    const Entry* const entry = look_up(id);
    if (entry == nullptr) return std::nullopt;
    CallPage page{entry->summary, {}};
    const std::uint64_t first = entry->summary.forgotten + 1;  // number of events.front()
    const std::uint64_t skip = after < first ? 0 : after - first + 1;
    for (std::uint64_t i = skip; i < entry->events.size() && page.events.size() < limit; ++i) {
        page.events.push_back(entry->events[static_cast<std::size_t>(i)]);
    }
    return page;
}

asio::awaitable<std::optional<CallPage>> CallLog::wait(
    std::string id, std::uint64_t after, Clock::duration limit
) const {
    const TimePoint deadline = Clock::now() + limit;
    const auto executor = co_await asio::this_coro::executor;
    const auto watcher = std::make_shared<Watcher>(executor, id);
    // Registered before the first look, so that nothing can happen unseen between the two.
    const Watch watch{*this, watcher};
    for (;;) {
        auto page = find(id, after, max_page);
        const bool news = page && (!page->events.empty() || page->call.over);
        if (news || !watch.registered() || Clock::now() >= deadline) co_return page;
        if (!std::exchange(watcher->woken, false)) {
            watcher->timer.expires_at(deadline);
            co_await watcher->timer.async_wait(as_result);
            watcher->woken = false;
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) co_return page;
    }
}

CallLog::Stats CallLog::stats() const {
    const std::lock_guard lock{mutex_};
    return stats_;
}

}  // namespace oavc::api
