#include "services/failover/failover_stt.hpp"

#include "async/background.hpp"
#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "base/assert.hpp"
#include "media/resampler.hpp"
#include "services/errors.hpp"
#include "services/failover/detail/choice.hpp"
#include "services/failover/detail/kept_speech.hpp"
#include "services/failover/detail/open_first.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>

namespace oavc::services {

namespace {

/// Longer utterances are cut by the turn machine anyway.
constexpr milliseconds longest_kept{30'000};
/// Replayed at once: every recogniser takes so much. What is longer follows at `replay_speed`, so
/// that no bounded queue of a recogniser overflows.
constexpr milliseconds replay_burst{5'000};
constexpr milliseconds replay_step{500};
constexpr int replay_speed = 25;
/// Results that the call has not fetched; a call fetches at once.
constexpr std::size_t most_events = 64;
/// Utterances without a final. The call takes the oldest for lost long before.
constexpr std::size_t most_waiting = 4;

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
    struct Line;

    /// One utterance, from begin() to its final. A caller may go on before the final of what he
    /// said is there: then two wait.
    struct Utterance {
        UtteranceId id;
        std::optional<KeptSpeech> audio;  ///< so far; nothing before its first frame
        bool ended{false};
        bool hopeless{false};  ///< everybody failed it: its final will be empty
        Choice::Asked asked;
        std::optional<Attempt> attempt;  ///< of the candidate that hears it
        std::shared_ptr<Line> line;      ///< that hears it; null: nobody
        std::size_t given{0};            ///< samples that the line has
        TimePoint waiting_since{};       ///< its end, or the change to another recogniser
    };

    /// An inner stream: one candidate's, from before it is open until it fails.
    struct Line {
        std::size_t index{0};
        SampleRate rate{wideband};          ///< that the recogniser wants
        std::unique_ptr<SttStream> stream;  ///< null: being opened
        std::unique_ptr<async::Background> task;
        std::optional<media::Resampler> resampler;  ///< to that, from the rate of the line
        std::vector<media::Sample> resampled;
        std::shared_ptr<Utterance> feeding;  ///< begun, and not ended yet
        bool caught_up{false};               ///< it has all audio of that: more goes on as it comes
        bool dropped{false};

        void drop() noexcept {
            dropped = true;
            feeding.reset();
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
          choice{providers_of(from), with.breaker.open_for},
          changed{on.executor()} {}

    // ── the utterances ──────────────────────────────────────────────────────────────────────────

    void begin(UtteranceId id) {
        if (waiting.size() >= most_waiting) forget(waiting.front());
        open = std::make_shared<Utterance>();
        open->id = id;
        waiting.push_back(open);
        serve(open, Clock::now());
    }

    void push(media::FrameView frame) {
        if (!open) return;
        if (!open->audio) open->audio.emplace(frame.rate);
        auto& audio = *open->audio;
        OAVC_ASSERT(frame.rate == audio.rate());
        const auto room = samples_in(longest_kept, audio.rate()) - audio.size();
        audio.append(frame.samples.first(std::min(room, frame.samples.size())));
        const auto& line = open->line;
        if (line && line->feeding == open && line->caught_up) {
            give(*line, frame);
            open->given = audio.size();
        }
    }

    void end() {
        if (!open) return;
        const auto ended = std::exchange(open, nullptr);
        ended->ended = true;
        ended->waiting_since = Clock::now();
        if (ended->hopeless) {
            finish_empty(ended);
        } else if (ended->line && ended->line->feeding == ended && ended->line->caught_up) {
            finish(*ended->line);
        }
        changed.notify();
    }

    /// Of the latest utterance, whether it has ended or not.
    void cancel() {
        const auto latest = open || waiting.empty() ? open : waiting.back();
        open.reset();
        if (!latest) return;
        if (const auto& line = latest->line; line && line->stream) {
            if (line->feeding == latest || latest->ended) line->stream->cancel();
        }
        forget(latest);
        changed.notify();
    }

    /// Nobody waits for its final any more.
    void forget(const std::shared_ptr<Utterance>& gone) {
        const auto utterance = gone;  // `gone` may be an element of what is erased from
        if (utterance->line && utterance->line->feeding == utterance) {
            utterance->line->feeding.reset();
        }
        utterance->attempt.reset();
        utterance->line.reset();
        std::erase(waiting, utterance);
        std::erase_if(events, [&](const SttEvent& event) {
            return event.utterance == utterance->id;
        });
    }

    /// Gives the utterance, as far as it is known, to the next usable candidate.
    void serve(const std::shared_ptr<Utterance>& utterance, TimePoint now) {
        utterance->line.reset();
        utterance->given = 0;
        auto picked = choice.pick(utterance->asked, now);
        if (!picked) {
            nobody_left(utterance);
            return;
        }
        utterance->attempt.emplace(std::move(picked->attempt));
        utterance->waiting_since = now;
        utterance->line = line_to(picked->index);
        utterance->line->feeding = utterance;
        utterance->line->caught_up = false;
        if (utterance->line->stream) replay(utterance->line);
    }

    void nobody_left(const std::shared_ptr<Utterance>& utterance) {
        const bool some_may_recover = std::ranges::any_of(candidates, [](const auto& candidate) {
            return candidate.provider->snapshot().breaker == CircuitBreaker::State::closed;
        });
        if (!some_may_recover) {
            failure = last_error;
        } else if (utterance->ended) {
            finish_empty(utterance);
        } else {
            utterance->hopeless = true;
        }
        changed.notify();
    }

    void finish_empty(const std::shared_ptr<Utterance>& utterance) {
        SttEvent nothing;
        nothing.kind = SttEvent::Kind::final;
        nothing.utterance = utterance->id;
        forget(utterance);
        events.push_back(std::move(nothing));
    }

    // ── one recogniser ──────────────────────────────────────────────────────────────────────────

    /// A stream with a candidate that hears nobody at the moment: an open one or one that opens.
    std::shared_ptr<Line> line_to(std::size_t index) {
        for (const auto& line : lines) {
            if (line->index == index && !line->feeding) return line;
        }
        return connect(index);
    }

    /// Begins to open a stream with a candidate, or to read the one that it has.
    std::shared_ptr<Line> connect(std::size_t index, std::unique_ptr<SttStream> stream = {}) {
        auto line = std::make_shared<Line>();
        line->index = index;
        line->stream = std::move(stream);
        line->rate = candidates[index].service->capabilities().input_rate;
        line->task = std::make_unique<async::Background>(
            shard.executor(), [](std::exception_ptr) {}  // read() catches
        );
        lines.push_back(line);
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
        // Between utterances a broken stream is nobody's business: the next one opens it anew.
        if (!line->dropped) self->lose(line, fault(error));
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
            if (line->feeding) self->replay(line);
        }
        for (;;) {
            auto next = line->stream->next();
            auto event = co_await std::move(next);
            if (line->dropped) co_return error_code{};
            if (!event) co_return event.error();
            self->heard(line, std::move(*event));
            if (line->dropped) co_return error_code{};
        }
    }

    /// Begins the utterance with a recogniser that joins late, or from the start.
    void replay(const std::shared_ptr<Line>& line) {
        line->stream->begin(line->feeding->id);
        if (line->resampler) line->resampler->reset();
        if (!give_more(*line, replay_burst)) {
            line->task->spawn(replay_rest(shared_from_this(), line, line->feeding));
        }
    }

    static asio::awaitable<void> replay_rest(
        std::shared_ptr<Call> self, std::shared_ptr<Line> line, std::shared_ptr<Utterance> of
    ) {
        for (;;) {
            const bool go_on = co_await async::sleep_for(replay_step / replay_speed);
            if (!go_on || line->dropped || line->feeding != of) co_return;
            if (self->give_more(*line, replay_step)) co_return;
        }
    }

    /// Gives the line up to `length` of what it has not heard yet. True: that was all.
    bool give_more(Line& line, milliseconds length) {
        const auto utterance = line.feeding;
        const auto& audio = utterance->audio;
        const auto known = audio ? audio->size() : 0;
        for (; length >= frame_time && utterance->given < known; length -= frame_time) {
            std::array<media::Sample, media::max_frame_samples> frame;
            const auto piece = std::min(samples_in(frame_time, audio->rate()), frame.size());
            const auto count = std::min(piece, known - utterance->given);
            audio->read(utterance->given, std::span{frame}.first(count));
            give(line, {media::Samples{frame}.first(count), audio->rate()});
            utterance->given += count;
        }
        if (utterance->given < known) return false;
        line.caught_up = true;
        if (utterance->ended) finish(line);
        return true;
    }

    void give(Line& line, media::FrameView audio) {
        if (audio.rate == line.rate) {
            line.stream->push(audio);
            return;
        }
        if (!line.resampler || line.resampler->input_rate() != audio.rate) {
            line.resampler.emplace(audio.rate, line.rate);
        }
        line.resampled.clear();
        line.resampler->process(audio.samples, line.resampled);
        if (!line.resampled.empty()) line.stream->push({line.resampled, line.rate});
    }

    void finish(Line& line) {
        if (line.resampler) {
            line.resampled.clear();
            line.resampler->flush(line.resampled);
            if (!line.resampled.empty()) line.stream->push({line.resampled, line.rate});
        }
        line.feeding.reset();
        line.stream->end();
    }

    void heard(const std::shared_ptr<Line>& line, SttEvent event) {
        const auto found = std::ranges::find_if(waiting, [&](const auto& utterance) {
            return utterance->line == line && utterance->id == event.utterance;
        });
        if (found == waiting.end()) return;  // cancelled, or heard by another by now
        if (event.kind == SttEvent::Kind::interim) {
            if (events.size() >= most_events) return;
        } else {
            const auto utterance = *found;
            if (utterance->ended) {
                utterance->attempt->responded(Clock::now() - utterance->waiting_since);
            } else {
                utterance->attempt->responded();
            }
            forget(utterance);
            drop_if_spare(line);
        }
        event.served.provider = choice.provider(line->index).identity().name;
        event.served.failed_over = line->index != 0;
        events.push_back(std::move(event));
        changed.notify();
    }

    /// Two utterances at once needed two streams with a candidate: one is enough from here on.
    void drop_if_spare(const std::shared_ptr<Line>& line) {
        const bool busy = line->feeding || std::ranges::any_of(waiting, [&](const auto& utterance) {
                              return utterance->line == line;
                          });
        const bool another = std::ranges::any_of(lines, [&](const auto& other) {
            return other != line && other->index == line->index;
        });
        if (busy || !another) return;
        std::erase(lines, line);
        line->drop();
    }

    /// A stream is of no more use: whoever else is usable hears what it had to hear.
    void lose(const std::shared_ptr<Line>& line, const error_code& error) {
        std::erase(lines, line);
        line->drop();  // what still comes from it is stale
        const auto all = waiting;
        for (const auto& utterance : all) {
            if (utterance->line == line) fail(utterance, error);
        }
    }

    void fail(const std::shared_ptr<Utterance>& utterance, const error_code& error) {
        const auto now = Clock::now();
        const auto index = utterance->line->index;
        utterance->attempt->failed(error, now);
        utterance->attempt.reset();
        choice.let_down(index, now);
        last_error = error;
        const auto& who = choice.provider(index);
        if (choice.size() > 1) who.count_failover();
        serve(utterance, now);
    }

    // ── the call ────────────────────────────────────────────────────────────────────────────────

    TimePoint deadline_of(const Utterance& utterance) const {
        if (!utterance.ended || !utterance.line) return TimePoint::max();
        const auto now = utterance.waiting_since;
        return now + choice.patience(utterance.asked, config.final_transcript, now);
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
            const auto most_urgent = std::ranges::min_element(
                self->waiting, {}, [&](const auto& u) { return self->deadline_of(*u); }
            );
            const auto deadline = most_urgent == self->waiting.end()
                                      ? TimePoint::max()
                                      : self->deadline_of(**most_urgent);
            if (Clock::now() >= deadline) {
                const auto line = (*most_urgent)->line;
                self->lose(line, make_error_code(ServiceErrc::timed_out));
                continue;
            }
            const bool go_on = co_await self->changed.wait_until(deadline);
            if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
        }
    }

    void close() noexcept {
        closed = true;
        open.reset();
        for (const auto& utterance : waiting) {
            utterance->attempt.reset();
            utterance->line.reset();
        }
        waiting.clear();
        for (const auto& line : lines)
            line->drop();
        lines.clear();
        changed.notify();
    }

    // Given to us.
    async::Shard& shard;
    const std::vector<Candidate<SttService>>& candidates;
    const FailoverConfig& config;
    const SttOptions options;
    // State.
    Choice choice;
    async::Signal changed;
    std::vector<std::shared_ptr<Line>> lines;         ///< one per candidate in use, seldom two
    std::shared_ptr<Utterance> open;                  ///< audio goes to it
    std::vector<std::shared_ptr<Utterance>> waiting;  ///< without a final; `open` is the last
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
    capabilities_ = candidates_.front().service->capabilities();
    capabilities_.any_rate = true;
}
FailoverStt::~FailoverStt() = default;

std::string_view FailoverStt::name() const noexcept { return candidates_.front().service->name(); }

const SttCapabilities& FailoverStt::capabilities() const noexcept { return capabilities_; }

/// The first recogniser is opened with the call, the others when they are needed: see CallSessions.
asio::awaitable<Result<std::unique_ptr<SttStream>>> FailoverStt::open(
    async::Shard& shard, SttOptions options
) {
    auto call = std::make_shared<Call>(shard, candidates_, config_, std::move(options));
    const auto one = [call](std::size_t index) {
        return call->candidates[index].service->open(call->shard, call->options);
    };
    auto first = co_await open_first<std::unique_ptr<SttStream>>(call->choice, one);
    if (!first) co_return first.error();
    call->connect(first->index, std::move(first->opened));
    std::unique_ptr<SttStream> stream = std::make_unique<Stream>(std::move(call));
    co_return stream;
}

asio::awaitable<Result<void>> FailoverStt::probe(async::Shard& shard) {
    return candidates_.front().service->probe(shard);
}

}  // namespace oavc::services
