#pragma once

#include "async/background.hpp"
#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "services/failover/detail/choice.hpp"
#include "services/failover/detail/open_first.hpp"
#include "services/failover/provider.hpp"
#include "services/served.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace oavc::services {

/// The providers of one kind, in order, and how they are asked. One object for all calls. `Kind`
/// names the types: Service, Session, Reply, Event, Options, Request, and
/// `ask(Session&, const Request&)`.
template <class Kind>
struct Chain {
    std::vector<Candidate<typename Kind::Service>> candidates;
    FailoverConfig config;
    milliseconds first_limit;  ///< request → first event
    milliseconds next_limit;   ///< between events

    Choice choice() const {
        std::vector<Provider*> providers;
        for (const auto& candidate : candidates)
            providers.push_back(candidate.provider.get());
        return {std::move(providers), config.breaker.open_for};
    }
};

/// One call's sessions with the providers. That of the first is opened with the call; the others
/// when they are needed: a connection per call that stands by for a rare event costs a server, and
/// often money, all the time; opening it costs one handshake, once.
template <class Kind>
class CallSessions {
public:
    using Session = typename Kind::Session;
    using Options = typename Kind::Options;

    CallSessions(async::Shard& on, const Chain<Kind>& chain, Options options)
        : shard_{on},
          chain_{chain},
          options_{std::move(options)},
          choice_{chain.choice()},
          sessions_(chain.candidates.size()) {}

    async::Shard& shard() const noexcept { return shard_; }
    const Chain<Kind>& chain() const noexcept { return chain_; }
    Choice& choice() noexcept { return choice_; }

    /// Opens the first that can be opened.
    static asio::awaitable<Result<void>> open_first(std::shared_ptr<CallSessions> self) {
        const auto one = [self](std::size_t index) { return open(self, index); };
        const auto first = co_await services::open_first<Session*>(self->choice_, one);
        if (!first) co_return first.error();
        co_return Result<void>{};
    }

    /// The session with candidate `index`, opened if need be. Valid until the next wait.
    static asio::awaitable<Result<Session*>> open(
        std::shared_ptr<CallSessions> self, std::size_t index
    ) {
        if (!self->sessions_[index]) {
            Options options = self->options_;
            if (index > 0) Kind::generalise(options);
            auto& service = *self->chain_.candidates[index].service;
            auto opening = service.open(self->shard_, std::move(options));
            auto opened = co_await std::move(opening);
            if (!opened) co_return opened.error();
            if (self->closed_) co_return make_error_code(ServiceErrc::cancelled);
            if (!self->sessions_[index]) self->sessions_[index] = std::move(*opened);
        }
        co_return self->sessions_[index].get();
    }

    /// The call's wrapper goes: so do the sessions, though a coroutine may still hold us.
    void close() noexcept {
        closed_ = true;
        sessions_.clear();
        sessions_.resize(chain_.candidates.size());
    }

private:
    async::Shard& shard_;
    const Chain<Kind>& chain_;
    const Options options_;
    Choice choice_;
    std::vector<std::unique_ptr<Session>> sessions_;
    bool closed_{false};
};

/// One question. Asks one candidate after another, or two at once when the first is late, until one
/// speaks; then reads from that one. Owner: the wrapper's reply, which calls stop() when it goes,
/// and the coroutine that waits. Thread: the call's shard.
template <class Kind>
class ReplyRace : public std::enable_shared_from_this<ReplyRace<Kind>> {
public:
    using Reply = typename Kind::Reply;
    using Event = typename Kind::Event;
    using Request = typename Kind::Request;

    explicit ReplyRace(std::shared_ptr<CallSessions<Kind>> call)
        : call_{std::move(call)}, changed_{call_->shard().executor()} {}

    bool speaking() const noexcept { return speaker_ != nullptr; }
    /// Everybody was asked, and failed.
    bool exhausted() const noexcept { return exhausted_; }

    /// The first event of whoever speaks first. `may_be_empty`: end_of_stream counts as one. Fails
    /// with the last error when nobody is left to ask.
    static asio::awaitable<Result<Event>> first(
        std::shared_ptr<ReplyRace> self, Request request, bool may_be_empty
    ) {
        for (;;) {
            if (self->stopped_) co_return make_error_code(ServiceErrc::cancelled);
            if (self->runners_.empty() && !self->start(request)) {
                self->exhausted_ = true;
                co_return self->last_error_;
            }
            const auto done = std::ranges::find_if(self->runners_, [](const auto& runner) {
                return runner->outcome.has_value();
            });
            if (done != self->runners_.end()) {
                const auto runner = *done;
                self->runners_.erase(done);
                auto outcome = std::move(*runner->outcome);
                const bool end = !outcome && outcome.error() == ServiceErrc::end_of_stream;
                if (outcome || (end && may_be_empty)) {
                    self->won(runner);
                    co_return outcome;
                }
                // Silence is no answer.
                self->blame(
                    *runner, end ? make_error_code(ServiceErrc::protocol) : fault(outcome.error())
                );
                continue;
            }
            const auto hedge_at = self->hedge_at();
            if (Clock::now() >= hedge_at) {
                self->hedged_ = true;
                if (self->start(request)) self->hedge_ = self->runners_.back()->index;
                continue;
            }
            const bool go_on = co_await self->changed_.wait_until(hedge_at);
            if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
        }
    }

    /// The next event of who speaks. After an error other than end_of_stream and cancelled nobody
    /// speaks.
    static asio::awaitable<Result<Event>> more(std::shared_ptr<ReplyRace> self) {
        const auto speaker = self->speaker_;
        auto next = speaker->reply->next();
        auto event = co_await async::with_deadline(
            std::move(next), self->patience(self->call_->chain().next_limit)
        );
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (self->stopped_ || cancelled.cancelled() != asio::cancellation_type::none) {
            co_return make_error_code(ServiceErrc::cancelled);
        }
        if (event || event.error() == ServiceErrc::end_of_stream) co_return event;
        const auto error = fault(event.error());
        self->give_up(error);
        co_return error;
    }

    /// Who speaks failed in a way that only the wrapper sees.
    void give_up(const error_code& error) {
        blame(*speaker_, error);
        speaker_->drop();
        speaker_.reset();
    }

    Served served() const noexcept {
        if (!speaker_) return {};
        Served served;
        served.provider = call_->choice().provider(speaker_->index).identity().name;
        served.hedged = hedge_.has_value();
        served.failed_over = speaker_->index != 0 && (failed_ || !hedge_);
        return served;
    }

    /// The wrapper's reply goes: everybody is cancelled at once.
    void stop() noexcept {
        stopped_ = true;
        for (const auto& runner : runners_)
            runner->drop();
        runners_.clear();
        if (speaker_) speaker_->drop();
        changed_.notify();
    }

private:
    /// One candidate that was asked.
    struct Runner {
        Runner(Choice::Picked picked, TimePoint now, async::Shard& shard)
            : index{picked.index},
              attempt{std::in_place, std::move(picked.attempt)},
              began{now},
              task{std::make_unique<async::Background>(
                  shard.executor(), [](std::exception_ptr) {}  // run() catches
              )} {}

        void drop() noexcept {
            dropped = true;
            task.reset();
            reply.reset();
            attempt.reset();
        }

        const std::size_t index;
        std::optional<Attempt> attempt;
        const TimePoint began;
        std::unique_ptr<async::Background> task;
        std::unique_ptr<Reply> reply;
        std::optional<Result<Event>> outcome;  ///< its first event
        bool dropped{false};
    };

    /// False: nobody is left to ask.
    bool start(const Request& request) {
        const auto now = Clock::now();
        auto picked = call_->choice().pick(asked_, now);
        if (!picked) return false;
        const auto runner = std::make_shared<Runner>(std::move(*picked), now, call_->shard());
        runners_.push_back(runner);
        runner->task->spawn(run(this->shared_from_this(), runner, request));
        return true;
    }

    static asio::awaitable<void> run(
        std::shared_ptr<ReplyRace> self, std::shared_ptr<Runner> runner, Request request
    ) {
        std::optional<Result<Event>> outcome;
        try {
            auto asking = ask(self->call_, runner, std::move(request));
            outcome = co_await async::with_deadline(
                std::move(asking), self->patience(self->call_->chain().first_limit)
            );
        } catch (const boost::system::system_error& error) {
            outcome = error.code();
        } catch (const std::exception&) {
            outcome = make_error_code(ServiceErrc::unavailable);
        }
        if (runner->dropped) co_return;
        runner->outcome = std::move(outcome);
        self->changed_.notify();
    }

    static asio::awaitable<Result<Event>> ask(
        std::shared_ptr<CallSessions<Kind>> call, std::shared_ptr<Runner> runner, Request request
    ) {
        const auto session = co_await CallSessions<Kind>::open(call, runner->index);
        if (!session) co_return session.error();
        if (runner->dropped) co_return make_error_code(ServiceErrc::cancelled);
        runner->reply = Kind::ask(**session, std::move(request));
        auto next = runner->reply->next();
        co_return co_await std::move(next);
    }

    Clock::duration patience(Clock::duration limit) const {
        return call_->choice().patience(asked_, limit, Clock::now());
    }

    void won(const std::shared_ptr<Runner>& winner) {
        const auto now = Clock::now();
        winner->attempt->responded(now - winner->began);
        for (const auto& loser : runners_) {
            if (loser->began < winner->began) {
                loser->attempt->overtaken(now - loser->began, now);
                call_->choice().let_down(loser->index, now);
            }
            loser->drop();
        }
        if (hedge_) call_->choice().provider(*hedge_).count_hedge(*hedge_ == winner->index);
        runners_.clear();
        speaker_ = winner;
    }

    void blame(Runner& runner, const error_code& error) {
        const auto now = Clock::now();
        runner.attempt->failed(error, now);
        call_->choice().let_down(runner.index, now);
        last_error_ = error;
        failed_ = true;
        const auto& who = call_->choice().provider(runner.index);
        if (call_->choice().size() > 1) who.count_failover();
    }

    /// When a second one is asked: later than the first one's own usual time.
    TimePoint hedge_at() const {
        const auto& config = call_->chain().config;
        if (!config.hedge || hedged_ || runners_.size() != 1) return TimePoint::max();
        const auto& runner = *runners_.front();
        const auto usual = call_->choice().provider(runner.index).p95();
        if (!usual) return TimePoint::max();
        return runner.began + std::max<Clock::duration>(*usual, config.hedge_at_least);
    }

    const std::shared_ptr<CallSessions<Kind>> call_;
    async::Signal changed_;
    Choice::Asked asked_;
    std::vector<std::shared_ptr<Runner>> runners_;  ///< asked, not yet heard; at most two
    std::shared_ptr<Runner> speaker_;
    error_code last_error_{make_error_code(ServiceErrc::unavailable)};
    std::optional<std::size_t> hedge_;  ///< who was asked because the first was late
    bool hedged_{false};                ///< tried to: once is enough
    bool failed_{false};
    bool exhausted_{false};
    bool stopped_{false};
};

}  // namespace oavc::services
