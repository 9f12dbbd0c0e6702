#include "services/failover/failover_stt.hpp"

#include "async/background.hpp"
#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "base/assert.hpp"
#include "media/resampler.hpp"
#include "observability/log.hpp"
#include "services/errors.hpp"
#include "services/failover/detail/choice.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <deque>
#include <optional>

namespace oavc::services {

namespace {

/// Longer utterances are cut by the turn machine anyway.
constexpr milliseconds longest_kept{30'000};
/// Room that is kept between utterances; longer ones borrow more.
constexpr milliseconds usual_utterance{1'000};
/// Replayed at once: every recogniser takes so much. What is longer follows at `replay_speed`, so
/// that no bounded queue of a recogniser overflows.
constexpr milliseconds replay_burst{5'000};
constexpr milliseconds replay_step{500};
constexpr int replay_speed = 25;
/// Results that the call has not fetched; a call fetches at once.
constexpr std::size_t most_events = 64;

std::vector<Provider*> providers_of(const std::vector<Candidate<SttService>>& candidates) {
    std::vector<Provider*> all;
    for (const auto& candidate : candidates)
        all.push_back(candidate.provider.get());
    return all;
}

}  // namespace

/// One call's recognisers. Shared by the wrapper's stream and the coroutines that read the inner
/// streams. Thread: the call's shard.
struct FailoverStt::Call : std::enable_shared_from_this<Call> {
    /// An inner stream: one candidate's, from before it is open until it fails.
    struct Line {
        std::size_t index{0};
        std::unique_ptr<SttStream> stream;  ///< null: being opened
        std::unique_ptr<async::Background> task;
        std::optional<media::Resampler> resampler;
        std::vector<media::Sample> resampled;
        std::size_t given{0};  ///< samples of the utterance, while it is replayed
        bool current{false};   ///< it has all audio so far: the rest is passed on as it comes
        bool dropped{false};

        void drop() noexcept {
            dropped = true;
            task.reset();
            stream.reset();
        }
    };

    Call(
        async::Shard& on,
        const std::vector<Candidate<SttService>>& from,
        const FailoverConfig& with,
        SttOptions asked
    )
        : shard{on},
          candidates{from},
          config{with},
          options{std::move(asked)},
          rate{from.front().service->capabilities().input_rate},
          choice{providers_of(from), with.breaker.open_for},
          changed{on.executor()},
          lines(from.size()) {
        audio.reserve(samples_in(usual_utterance, rate));
    }

    // ── the utterance ───────────────────────────────────────────────────────────────────────────

    void begin(UtteranceId id) {
        leave();
        utterance = id;
        active = true;
        ended = false;
        hopeless = false;
        asked.clear();
        serve(Clock::now());
    }

    void push(media::FrameView frame) {
        if (!active) return;
        const auto room = samples_in(longest_kept, rate) - audio.size();
        const auto kept = frame.samples.first(std::min(room, frame.samples.size()));
        audio.insert(audio.end(), kept.begin(), kept.end());
        if (serving && serving->current) give(*serving, frame.samples);
    }

    void end() {
        if (!active || ended) return;
        ended = true;
        ended_at = Clock::now();
        waiting_since = ended_at;
        if (hopeless) {
            finish_empty();
        } else if (serving && serving->current) {
            finish(*serving);
        }
        changed.notify();
    }

    void cancel() {
        if (serving && serving->stream && utterance_known_to_serving) serving->stream->cancel();
        leave();
        events.clear();
        changed.notify();
    }

    /// Nobody hears the utterance any more.
    void leave() {
        active = false;
        attempt.reset();
        utterance_known_to_serving = false;
        if (serving) serving->current = false;
        serving.reset();
        audio.clear();
        if (audio.capacity() > 2 * samples_in(usual_utterance, rate)) {
            std::vector<media::Sample>{}.swap(audio);
            audio.reserve(samples_in(usual_utterance, rate));
        }
    }

    /// Gives the utterance, as far as it is known, to the next usable candidate.
    void serve(TimePoint now) {
        auto picked = choice.pick(asked, now);
        if (!picked) {
            nobody_left();
            return;
        }
        attempt.emplace(std::move(picked->attempt));
        waiting_since = now;
        utterance_known_to_serving = false;
        auto& line = lines[picked->index];
        const bool opened = line && line->stream;
        if (!line) line = connect(picked->index);
        serving = line;
        if (opened) replay(serving);
    }

    void nobody_left() {
        const bool some_may_recover = std::ranges::any_of(candidates, [](const auto& candidate) {
            return candidate.provider->snapshot().breaker == CircuitBreaker::State::closed;
        });
        leave();
        if (!some_may_recover) {
            failure = last_error;
        } else if (ended) {
            active = true;  // for finish_empty
            finish_empty();
        } else {
            active = true;
            hopeless = true;
        }
        changed.notify();
    }

    void finish_empty() {
        SttEvent nothing;
        nothing.kind = SttEvent::Kind::final;
        nothing.utterance = utterance;
        events.push_back(std::move(nothing));
        leave();
    }

    // ── one recogniser ──────────────────────────────────────────────────────────────────────────

    /// Begins to open a stream with a candidate, or to read the one that it has.
    std::shared_ptr<Line> connect(std::size_t index, std::unique_ptr<SttStream> stream = {}) {
        auto line = std::make_shared<Line>();
        line->index = index;
        line->stream = std::move(stream);
        const auto wanted = candidates[index].service->capabilities().input_rate;
        if (wanted != rate) line->resampler.emplace(rate, wanted);
        line->task = std::make_unique<async::Background>(
            shard.executor(), [](std::exception_ptr) {}  // read() catches
        );
        line->task->spawn(read(shared_from_this(), line));
        return line;
    }

    /// Opens the line if need be, then hands on its results until it fails.
    static asio::awaitable<void> read(std::shared_ptr<Call> self, std::shared_ptr<Line> line) {
        error_code error;
        try {
            error = co_await read_until_error(self, line);
        } catch (const boost::system::system_error& thrown) {
            error = thrown.code();
        } catch (const std::exception&) {
            error = make_error_code(ServiceErrc::unavailable);
        }
        if (!line->dropped) self->lost(line, fault(error));
    }

    static asio::awaitable<error_code> read_until_error(
        std::shared_ptr<Call> self, std::shared_ptr<Line> line
    ) {
        if (!line->stream) {
            auto opening = self->candidates[line->index].service->open(self->shard, self->options);
            auto opened = co_await async::with_deadline(std::move(opening), time_to_open);
            if (line->dropped) co_return error_code{};
            if (!opened) co_return opened.error();
            line->stream = std::move(*opened);
            if (self->serving == line) self->replay(line);
        }
        for (;;) {
            auto next = line->stream->next();
            auto event = co_await std::move(next);
            if (line->dropped) co_return error_code{};
            if (!event) co_return event.error();
            self->heard(line, std::move(*event));
        }
    }

    /// Begins the utterance with a recogniser that joins late or from the start.
    void replay(const std::shared_ptr<Line>& line) {
        line->stream->begin(utterance);
        utterance_known_to_serving = true;
        line->given = 0;
        line->current = false;
        if (line->resampler) line->resampler->reset();
        if (!give_more(*line, samples_in(replay_burst, rate))) {
            line->task->spawn(replay_rest(shared_from_this(), line, utterance));
        }
    }

    static asio::awaitable<void> replay_rest(
        std::shared_ptr<Call> self, std::shared_ptr<Line> line, UtteranceId of
    ) {
        for (;;) {
            const bool go_on = co_await async::sleep_for(replay_step / replay_speed);
            const bool ours = !line->dropped && self->serving == line && self->utterance == of;
            if (!go_on || !ours) co_return;
            if (self->give_more(*line, samples_in(replay_step, self->rate))) co_return;
        }
    }

    /// Gives the line up to `samples` of what it has not heard yet. True: that was all.
    bool give_more(Line& line, std::size_t samples) {
        const auto piece = samples_in(frame_time, rate);
        while (samples >= piece && line.given < audio.size()) {
            const auto count = std::min(piece, audio.size() - line.given);
            give(line, media::Samples{audio}.subspan(line.given, count));
            line.given += count;
            samples -= piece;
        }
        if (line.given < audio.size()) return false;
        line.current = true;
        if (ended) finish(line);
        return true;
    }

    void give(Line& line, media::Samples samples) {
        if (!line.resampler) {
            line.stream->push({samples, rate});
            return;
        }
        line.resampled.clear();
        line.resampler->process(samples, line.resampled);
        if (line.resampled.empty()) return;
        line.stream->push({line.resampled, line.resampler->output_rate()});
    }

    void finish(Line& line) {
        if (line.resampler) {
            line.resampled.clear();
            line.resampler->flush(line.resampled);
            if (!line.resampled.empty()) {
                line.stream->push({line.resampled, line.resampler->output_rate()});
            }
        }
        line.stream->end();
    }

    void heard(const std::shared_ptr<Line>& line, SttEvent event) {
        if (serving != line || !active || event.utterance != utterance) return;
        if (event.kind == SttEvent::Kind::interim) {
            if (events.size() >= most_events) return;
        } else {
            if (ended) {
                attempt->responded(Clock::now() - waiting_since);
            } else {
                attempt->responded();
            }
            leave();
        }
        event.served.provider = choice.provider(line->index).identity().name;
        event.served.failed_over = line->index != 0;
        events.push_back(std::move(event));
        changed.notify();
    }

    /// A stream broke. Between utterances that is nobody's business: the next one opens it anew.
    void lost(const std::shared_ptr<Line>& line, const error_code& error) {
        lines[line->index].reset();
        const bool needed = serving == line && active;
        line->drop();
        if (needed) fail(line->index, error);
    }

    /// The recogniser of the utterance failed: the next one hears it.
    void fail(std::size_t index, const error_code& error) {
        const auto now = Clock::now();
        attempt->failed(error, now);
        attempt.reset();
        choice.let_down(index, now);
        last_error = error;
        const auto& who = choice.provider(index);
        if (choice.size() > 1) who.count_failover();
        log.warn(
            "a provider failed within a turn",
            log::kv("kind", "stt"),
            log::kv("provider", who.identity().name),
            log::kv("error", error)
        );
        serve(now);
    }

    // ── the call ────────────────────────────────────────────────────────────────────────────────

    TimePoint deadline() const noexcept {
        return active && ended && serving ? waiting_since + config.final_transcript
                                          : TimePoint::max();
    }

    static asio::awaitable<Result<SttEvent>> next(std::shared_ptr<Call> self) {
        for (;;) {
            if (self->closed) co_return make_error_code(ServiceErrc::cancelled);
            if (!self->events.empty()) {
                auto event = std::move(self->events.front());
                self->events.pop_front();
                co_return event;
            }
            if (self->failure) co_return self->failure;
            if (Clock::now() >= self->deadline()) {
                const auto line = self->serving;
                self->lines[line->index].reset();
                line->drop();  // what still comes from it is stale
                self->fail(line->index, make_error_code(ServiceErrc::timed_out));
                continue;
            }
            const bool go_on = co_await self->changed.wait_until(self->deadline());
            if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
        }
    }

    void close() noexcept {
        closed = true;
        leave();
        for (auto& line : lines) {
            if (line) line->drop();
            line.reset();
        }
        changed.notify();
    }

    // Given to us.
    async::Shard& shard;
    const std::vector<Candidate<SttService>>& candidates;
    const FailoverConfig& config;
    const SttOptions options;
    const SampleRate rate;  ///< of the audio that comes in
    log::Logger log;
    // State.
    Choice choice;
    Choice::Asked asked;  ///< about this utterance
    async::Signal changed;
    std::vector<std::shared_ptr<Line>> lines;  ///< by candidate; null: not open
    std::shared_ptr<Line> serving;             ///< who hears the utterance
    std::optional<Attempt> attempt;            ///< its
    bool utterance_known_to_serving{false};
    UtteranceId utterance;
    std::vector<media::Sample> audio;  ///< of the utterance
    bool active{false};                ///< begun, and neither final nor cancelled
    bool ended{false};
    bool hopeless{false};  ///< everybody failed it; the final will be empty
    TimePoint ended_at{};
    TimePoint waiting_since{};  ///< end of the utterance, or the change to another recogniser
    std::deque<SttEvent> events;
    error_code last_error{make_error_code(ServiceErrc::unavailable)};
    error_code failure;
    bool closed{false};
};

namespace {

class Stream final : public SttStream {
public:
    explicit Stream(std::shared_ptr<FailoverStt::Call> call) : call_{std::move(call)} {}
    ~Stream() override { call_->close(); }

    void begin(UtteranceId utterance) noexcept override { call_->begin(utterance); }
    void push(media::FrameView audio) noexcept override { call_->push(audio); }
    void end() noexcept override { call_->end(); }
    void cancel() noexcept override { call_->cancel(); }
    asio::awaitable<Result<SttEvent>> next() override { return FailoverStt::Call::next(call_); }

private:
    const std::shared_ptr<FailoverStt::Call> call_;
};

}  // namespace

FailoverStt::FailoverStt(
    std::vector<Candidate<SttService>> candidates, const FailoverConfig& config
)
    : candidates_{std::move(candidates)}, config_{config} {
    OAVC_ASSERT(!candidates_.empty());
}
FailoverStt::~FailoverStt() = default;

std::string_view FailoverStt::name() const noexcept { return candidates_.front().service->name(); }

const SttCapabilities& FailoverStt::capabilities() const noexcept {
    return candidates_.front().service->capabilities();
}

/// The first recogniser is opened with the call, the others when they are needed: see CallSessions.
asio::awaitable<Result<std::unique_ptr<SttStream>>> FailoverStt::open(
    async::Shard& shard, SttOptions options
) {
    auto call = std::make_shared<Call>(shard, candidates_, config_, std::move(options));
    error_code last = make_error_code(ServiceErrc::unavailable);
    Choice::Asked asked;
    while (auto picked = call->choice.pick(asked, Clock::now())) {
        auto opening = candidates_[picked->index].service->open(shard, call->options);
        auto opened =
            co_await async::with_deadline(std::move(opening), time_to_open / candidates_.size());
        const auto cancelled = co_await asio::this_coro::cancellation_state;
        if (cancelled.cancelled() != asio::cancellation_type::none) {
            co_return make_error_code(ServiceErrc::cancelled);
        }
        if (opened) {
            picked->attempt.withdraw();
            call->lines[picked->index] = call->connect(picked->index, std::move(*opened));
            std::unique_ptr<SttStream> stream = std::make_unique<Stream>(std::move(call));
            co_return stream;
        }
        last = fault(opened.error());
        const auto now = Clock::now();
        picked->attempt.failed(last, now);
        call->choice.let_down(picked->index, now);
    }
    co_return last;
}

asio::awaitable<Result<void>> FailoverStt::probe(async::Shard& shard) {
    return candidates_.front().service->probe(shard);
}

}  // namespace oavc::services
