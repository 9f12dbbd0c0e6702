#include "services/stt/pocketsphinx_stt.hpp"

#include "async/mailbox.hpp"
#include "services/errors.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>

namespace oavc::services {

Result<std::unique_ptr<SphinxDecoder>, error_code> SphinxDecoderPool::take() {
    {
        const std::lock_guard lock{mutex_};
        if (!idle_.empty()) {
            auto decoder = std::move(idle_.back());
            idle_.pop_back();
            return decoder;
        }
    }
    return SphinxDecoder::create(model_);
}

void SphinxDecoderPool::give_back(std::unique_ptr<SphinxDecoder> decoder) {
    const std::lock_guard lock{mutex_};
    if (idle_.size() < most_idle) idle_.push_back(std::move(decoder));
}

namespace {

/// Results on their way to the shard. Lives on the shard; jobs reach it by Shard::post.
struct Inbox {
    explicit Inbox(async::Shard& s) : shard{s}, events{s.executor(), 64} {}

    async::Shard& shard;
    async::Mailbox<SttEvent> events;
    std::optional<UtteranceId> cancelled_until;  ///< events of these and older ones are dropped
};

/// One stream's work between its shard and the workers. Shared by both; the mutex is held for a
/// copy at most, never while decoding.
class Work : public std::enable_shared_from_this<Work> {
public:
    Work(
        std::shared_ptr<Inbox> inbox,
        std::shared_ptr<SphinxDecoderPool> decoders,
        async::WorkerPool& workers,
        std::size_t max_backlog
    )
        : inbox_{std::move(inbox)},
          decoders_{std::move(decoders)},
          workers_{workers},
          lane_{workers.make_lane()},
          max_backlog_{max_backlog} {}

    // --- the shard's side ---

    void begin(UtteranceId utterance) { add({Step::Kind::begin, utterance, {}}); }
    void end(UtteranceId utterance) { add({Step::Kind::end, utterance, {}}); }
    void cancel(UtteranceId utterance) { add({Step::Kind::cancel, utterance, {}}); }

    void audio(UtteranceId utterance, media::Samples samples) {
        {
            const std::lock_guard lock{mutex_};
            if (backlog_ + samples.size() > max_backlog_) drop_oldest(samples.size());
            if (steps_.empty() || steps_.back().kind != Step::Kind::audio) {
                steps_.push_back({Step::Kind::audio, utterance, {}});
            }
            auto& pending = steps_.back().samples;
            pending.insert(pending.end(), samples.begin(), samples.end());
            backlog_ += samples.size();
        }
        schedule();
    }

    /// Nobody listens any more.
    void close() { add({Step::Kind::close, {}, {}}); }

private:
    struct Step {
        enum class Kind { begin, audio, end, cancel, close };
        Kind kind;
        UtteranceId utterance;
        std::vector<media::Sample> samples;
    };

    void add(Step step) {
        {
            const std::lock_guard lock{mutex_};
            steps_.push_back(std::move(step));
        }
        schedule();
    }

    /// Under the mutex. Audio that waits for a worker too long is worth less than new audio.
    void drop_oldest(std::size_t room) {
        for (auto& step : steps_) {
            const auto drop = std::min(step.samples.size(), room);
            step.samples.erase(
                step.samples.begin(), step.samples.begin() + static_cast<std::ptrdiff_t>(drop)
            );
            backlog_ -= drop;
            room -= drop;
            if (room == 0) return;
        }
    }

    /// One job at a time takes all that waits. A full pool is asked again with the next frame.
    void schedule() {
        {
            const std::lock_guard lock{mutex_};
            if (scheduled_ || steps_.empty()) return;
            scheduled_ = true;
        }
        auto job = [self = shared_from_this()] { self->run(); };
        if (workers_.try_submit(lane_, std::move(job))) return;
        const std::lock_guard lock{mutex_};
        scheduled_ = false;
    }

    // --- a worker's side: jobs of one lane never overlap ---

    void run() {
        std::deque<Step> steps;
        {
            const std::lock_guard lock{mutex_};
            steps.swap(steps_);
            backlog_ = 0;
            scheduled_ = false;
        }
        for (auto& step : steps)
            take(step);
    }

    void take(Step& step) {
        switch (step.kind) {
            case Step::Kind::begin: {
                abandon();
                utterance_ = step.utterance;
                partial_.clear();
                auto decoder = decoders_->take();
                if (!decoder) {
                    fail(decoder.error());
                    return;
                }
                decoder_ = std::move(*decoder);
                decoder_->start(channel_);
                break;
            }
            case Step::Kind::audio:
                if (decoder_) listen(step.samples);
                break;
            case Step::Kind::end: {
                std::string text = decoder_ ? decoder_->finish(channel_) : std::string{};
                if (decoder_) decoders_->give_back(std::move(decoder_));
                tell({SttEvent::Kind::final, step.utterance, std::move(text)});
                break;
            }
            case Step::Kind::cancel:
            case Step::Kind::close:
                abandon();
                break;
        }
    }

    void listen(media::Samples samples) {
        decoder_->process(samples);
        auto text = decoder_->partial();
        if (text.empty() || text == partial_) return;
        partial_ = text;
        tell({SttEvent::Kind::interim, utterance_, std::move(text)});
    }

    void abandon() {
        if (!decoder_) return;
        decoder_->abandon();
        decoders_->give_back(std::move(decoder_));
    }

    void tell(SttEvent event) {
        inbox_->shard.post([inbox = inbox_, e = std::move(event)]() mutable {
            if (inbox->cancelled_until && e.utterance <= *inbox->cancelled_until) return;
            inbox->events.push_or_drop_oldest(std::move(e));
        });
    }

    void fail(error_code error) {
        inbox_->shard.post([inbox = inbox_, error] { inbox->events.close(error); });
    }

    // Given to us.
    std::shared_ptr<Inbox> inbox_;
    std::shared_ptr<SphinxDecoderPool> decoders_;
    async::WorkerPool& workers_;
    async::WorkerPool::Lane lane_;
    const std::size_t max_backlog_;
    // Between the threads.
    std::mutex mutex_;
    std::deque<Step> steps_;
    std::size_t backlog_{0};
    bool scheduled_{false};
    // The worker's.
    std::unique_ptr<SphinxDecoder> decoder_;
    ChannelState channel_;
    UtteranceId utterance_;
    std::string partial_;
};

class Stream final : public SttStream {
public:
    Stream(
        async::Shard& shard,
        std::shared_ptr<SphinxDecoderPool> decoders,
        async::WorkerPool& workers,
        std::size_t max_backlog
    )
        : inbox_{std::make_shared<Inbox>(shard)},
          work_{std::make_shared<Work>(inbox_, std::move(decoders), workers, max_backlog)} {}
    ~Stream() override {
        inbox_->events.close(make_error_code(ServiceErrc::cancelled));
        work_->close();
    }

    void begin(UtteranceId utterance) noexcept override {
        utterance_ = utterance;
        work_->begin(utterance);
    }
    void push(media::FrameView audio) noexcept override { work_->audio(utterance_, audio.samples); }
    void end() noexcept override { work_->end(utterance_); }
    void cancel() noexcept override {
        inbox_->cancelled_until = utterance_;
        work_->cancel(utterance_);
    }
    asio::awaitable<Result<SttEvent>> next() override {
        const auto inbox = inbox_;
        for (;;) {
            auto event = co_await inbox->events.pop();
            if (!event && event.error() == asio::error::operation_aborted) {
                co_return make_error_code(ServiceErrc::cancelled);
            }
            // One that was already in the box when its utterance was cancelled.
            const auto gone = inbox->cancelled_until;
            if (event && gone && event->utterance <= *gone) continue;
            co_return event;
        }
    }

private:
    std::shared_ptr<Inbox> inbox_;
    std::shared_ptr<Work> work_;
    UtteranceId utterance_;
};

}  // namespace

PocketSphinxStt::PocketSphinxStt(
    std::shared_ptr<const SphinxModel> model,
    const PocketSphinxConfig& config,
    async::WorkerPool& workers
)
    : max_backlog_{samples_in(milliseconds{config.max_backlog_ms}, wideband)},
      workers_{workers},
      decoders_{std::make_shared<SphinxDecoderPool>(std::move(model))} {}

asio::awaitable<Result<std::unique_ptr<SttStream>>> PocketSphinxStt::open(
    async::Shard& shard, SttOptions options
) {
    static_cast<void>(options);  // the vocabulary's language is the model's
    std::unique_ptr<SttStream> stream =
        std::make_unique<Stream>(shard, decoders_, workers_, max_backlog_);
    co_return stream;
}

}  // namespace oavc::services
