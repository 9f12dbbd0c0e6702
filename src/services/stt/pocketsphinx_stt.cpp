#include "services/stt/pocketsphinx_stt.hpp"

#include "async/mailbox.hpp"
#include "async/signal.hpp"
#include "observability/log.hpp"
#include "services/detail/shard_link.hpp"
#include "services/detail/stream_error.hpp"
#include "services/errors.hpp"
#include "services/stt/detail/decoder_pool.hpp"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace oavc::services {

namespace {

/// When the worker pool is full or all decoders are in use, an utterance asks again this much later
/// …
constexpr auto retry_after = 10ms;
/// … and gives up after this: the stream fails as overloaded, and failover may take the call.
constexpr auto give_up_after = 3s;
/// Utterances of one call that wait for their result at once; the oldest then gets an empty one.
constexpr std::size_t most_pending = 8;
constexpr std::size_t inbox_bound = 64;

using Stats = PocketSphinxStt::Stats;

/// One utterance, shared by its stream and by the job that decodes it: whoever is last destroys it,
/// on whatever thread.
class Utterance {
public:
    enum class Outcome {
        idle,        ///< everything that came in is decoded
        no_decoder,  ///< all are in use: run again later
        finished,    ///< no more jobs are needed
        failed,      ///< no decoder could be made
    };
    using Report = std::function<void(SttEvent::Kind, std::string)>;

    Utterance(
        UtteranceId id,
        std::shared_ptr<DecoderPool> decoders,
        std::shared_ptr<ChannelState> channel,
        std::shared_ptr<Stats> stats,
        std::size_t max_backlog
    )
        : id_{id},
          decoders_{std::move(decoders)},
          channel_{std::move(channel)},
          stats_{std::move(stats)},
          max_backlog_{max_backlog} {}
    Utterance(const Utterance&) = delete;
    Utterance& operator=(const Utterance&) = delete;
    ~Utterance() { abandon(); }

    // Thread: the shard's.

    UtteranceId id() const noexcept { return id_; }

    /// At most one job exists at a time, so that a busy caller holds one place in the pool's queue.
    /// True: the caller must submit one, or else unclaim it.
    bool push_and_claim(media::Samples samples) {
        const std::lock_guard lock{mutex_};
        std::size_t dropped = 0;
        if (samples.size() > max_backlog_) {
            dropped = samples.size() - max_backlog_;
            samples = samples.last(max_backlog_);
        }
        const auto total = backlog_.size() + samples.size();
        if (total > max_backlog_) {
            const auto oldest = total - max_backlog_;
            backlog_.erase(
                backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(oldest)
            );
            dropped += oldest;
        }
        backlog_.insert(backlog_.end(), samples.begin(), samples.end());
        stats_->dropped_samples += dropped;
        return claim();
    }
    bool end_and_claim() {
        const std::lock_guard lock{mutex_};
        ended_ = true;
        return claim();
    }
    bool claim_again() {
        const std::lock_guard lock{mutex_};
        return claim();
    }
    void unclaim() {
        const std::lock_guard lock{mutex_};
        claimed_ = false;
    }
    void cancel() noexcept { cancelled_ = true; }
    bool cancelled() const noexcept { return cancelled_; }

    // Thread: the job's.

    /// The job: decodes all that has come in and reports what that means.
    Outcome work(const Report& report) {
        for (;;) {
            bool last = false;
            {
                const std::lock_guard lock{mutex_};
                if (cancelled_ || finished_) {
                    finished_ = true;
                    backlog_ = {};
                    break;
                }
                if (backlog_.empty() && !ended_) {
                    claimed_ = false;
                    return Outcome::idle;
                }
                if (decoder_ != nullptr || (backlog_.empty() && ended_)) {
                    std::swap(backlog_, scratch_);
                    last = ended_;
                }
            }
            if (decoder_ != nullptr || last) {
                decode(last, report);
                continue;
            }
            auto decoder = decoders_->try_take();
            if (!decoder) return Outcome::failed;
            if (*decoder == nullptr) {
                unclaim();
                return Outcome::no_decoder;
            }
            decoder_ = std::move(*decoder);
            decoder_->start(*channel_);
        }
        abandon();
        return Outcome::finished;
    }

private:
    bool claim() {
        if (claimed_ || finished_ || (backlog_.empty() && !ended_)) return false;
        claimed_ = true;
        return true;
    }

    void decode(bool last, const Report& report) {
        // In pieces, so that a cancelled utterance stops within a moment with seconds still
        // waiting.
        constexpr std::size_t piece = 1'600;
        for (std::size_t at = 0; at < scratch_.size() && !cancelled_; at += piece) {
            const auto size = std::min(piece, scratch_.size() - at);
            decoder_->process(media::Samples{scratch_}.subspan(at, size));
        }
        scratch_.clear();
        if (cancelled_) return;
        if (last) {
            std::string text;
            if (decoder_ != nullptr) {  // none: there was no audio at all
                text = decoder_->finish(*channel_);
                decoders_->give_back(std::move(decoder_));
            }
            {
                const std::lock_guard lock{mutex_};
                finished_ = true;
            }
            report(SttEvent::Kind::final, std::move(text));
            return;
        }
        if (auto text = decoder_->partial(); !text.empty() && text != partial_) {
            partial_ = text;
            report(SttEvent::Kind::interim, std::move(text));
        }
    }

    void abandon() {
        if (decoder_ == nullptr) return;
        decoder_->abandon();
        decoders_->give_back(std::move(decoder_));
    }

    const UtteranceId id_;
    const std::shared_ptr<DecoderPool> decoders_;
    /// What the call has told about its line; used by one job at a time, as a call's jobs share a
    /// lane.
    const std::shared_ptr<ChannelState> channel_;
    const std::shared_ptr<Stats> stats_;
    const std::size_t max_backlog_;
    std::atomic<bool> cancelled_{false};

    std::mutex mutex_;
    std::vector<media::Sample> backlog_;
    bool ended_{false};
    bool claimed_{false};
    bool finished_{false};

    // The job's.
    std::unique_ptr<SphinxDecoder> decoder_;
    std::vector<media::Sample> scratch_;
    std::string partial_;
};

/// The shard's side of a stream. Owners: the stream, and a next() that still waits. Jobs know it
/// weakly and reach it through the link.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(async::Shard& shard, async::WorkerPool& workers, std::shared_ptr<Stats> stats)
        : link_{std::make_shared<ShardLink>(shard)},
          workers_{workers},
          lane_{workers.make_lane()},
          stats_{std::move(stats)},
          inbox_{shard.executor(), inbox_bound + most_pending},
          retry_{shard.executor()} {}

    void close() {
        link_->cut();
        retry_.cancel();
        for (auto& utterance : pending_)
            utterance->cancel();
        pending_.clear();
        inbox_.close(make_error_code(ServiceErrc::cancelled));
    }

    void add(std::shared_ptr<Utterance> utterance) {
        if (pending_.size() == most_pending) {
            const auto oldest = pending_.front();
            pending_.pop_front();
            oldest->cancel();
            inbox_.push_or_drop_oldest({{SttEvent::Kind::final, oldest->id(), {}}, nullptr});
        }
        pending_.push_back(std::move(utterance));
    }

    void forget(const std::shared_ptr<Utterance>& utterance) {
        utterance->cancel();
        std::erase(pending_, utterance);
    }

    /// Submits the job that was claimed.
    void submit(const std::shared_ptr<Utterance>& utterance) {
        auto job = [utterance, link = link_, weak = weak_from_this()] {
            const auto to_core = [&](auto action) {
                link->post([weak, utterance, action = std::move(action)]() mutable {
                    if (const auto core = weak.lock()) action(*core, utterance);
                });
            };
            const auto outcome = utterance->work([&](SttEvent::Kind kind, std::string text) {
                to_core([kind, text = std::move(text)](Core& core, const auto& who) mutable {
                    core.deliver(kind, std::move(text), who);
                });
            });
            if (outcome == Utterance::Outcome::no_decoder) {
                to_core([](Core& core, const auto&) { core.retry_later(); });
            } else if (outcome == Utterance::Outcome::failed) {
                to_core([](Core& core, const auto&) { core.fail(ServiceErrc::configuration); });
            }
        };
        if (workers_.try_submit(lane_, std::move(job))) return;
        ++stats_->delayed_jobs;
        utterance->unclaim();
        retry_later();
    }

    static asio::awaitable<Result<SttEvent>> next(std::shared_ptr<Core> core) {
        for (;;) {
            auto item = co_await core->inbox_.pop();
            if (!item) co_return service_error(item.error());
            if (item->utterance != nullptr && item->utterance->cancelled()) continue;
            co_return std::move(item->event);
        }
    }

private:
    struct Item {
        SttEvent event;
        std::shared_ptr<Utterance> utterance;
    };

    void deliver(
        SttEvent::Kind kind, std::string text, const std::shared_ptr<Utterance>& utterance
    ) {
        if (utterance->cancelled()) return;
        late_since_.reset();
        Item item{{kind, utterance->id(), std::move(text)}, utterance};
        if (kind == SttEvent::Kind::final) {
            std::erase(pending_, utterance);
            inbox_.push_or_drop_oldest(std::move(item));
        } else if (inbox_.size() < inbox_bound) {
            inbox_.try_push(std::move(item));  // a reader this slow can miss an interim
        }
    }

    void fail(ServiceErrc code) { inbox_.close(make_error_code(code)); }

    void retry_later() {
        if (retrying_) return;
        const auto now = Clock::now();
        if (!late_since_) late_since_ = now;
        if (now - *late_since_ > give_up_after) return fail(ServiceErrc::overloaded);
        retrying_ = true;
        retry_.expires_after(retry_after);
        retry_.async_wait([weak = weak_from_this()](const error_code& error) {
            const auto core = weak.lock();
            if (core == nullptr) return;
            core->retrying_ = false;
            if (error) return;
            const auto pending = core->pending_;
            for (const auto& utterance : pending) {
                if (utterance->claim_again()) core->submit(utterance);
            }
        });
    }

    const std::shared_ptr<ShardLink> link_;
    async::WorkerPool& workers_;
    const async::WorkerPool::Lane lane_;  ///< a call's jobs run in order
    const std::shared_ptr<Stats> stats_;
    async::Mailbox<Item> inbox_;
    std::deque<std::shared_ptr<Utterance>> pending_;  ///< begun, and their final not delivered
    asio::steady_timer retry_;
    bool retrying_{false};
    std::optional<TimePoint> late_since_;  ///< nothing has come back since
};

class Stream final : public SttStream {
public:
    Stream(
        async::Shard& shard,
        async::WorkerPool& workers,
        std::shared_ptr<DecoderPool> decoders,
        std::shared_ptr<Stats> stats,
        std::size_t max_backlog
    )
        : core_{std::make_shared<Core>(shard, workers, stats)},
          decoders_{std::move(decoders)},
          stats_{std::move(stats)},
          channel_{std::make_shared<ChannelState>()},
          max_backlog_{max_backlog} {}
    ~Stream() override { core_->close(); }

    void begin(UtteranceId utterance) noexcept override {
        if (open_) cancel();
        ++stats_->utterances;
        current_ =
            std::make_shared<Utterance>(utterance, decoders_, channel_, stats_, max_backlog_);
        open_ = true;
        core_->add(current_);
    }

    void push(media::FrameView audio) noexcept override {
        if (open_ && current_->push_and_claim(audio.samples)) core_->submit(current_);
    }

    void end() noexcept override {
        if (!open_) return;
        open_ = false;
        if (current_->end_and_claim()) core_->submit(current_);
    }

    void cancel() noexcept override {
        open_ = false;
        if (current_ == nullptr) return;
        core_->forget(current_);
        current_.reset();
    }

    asio::awaitable<Result<SttEvent>> next() override { return Core::next(core_); }

private:
    const std::shared_ptr<Core> core_;
    const std::shared_ptr<DecoderPool> decoders_;
    const std::shared_ptr<Stats> stats_;
    const std::shared_ptr<ChannelState> channel_;
    const std::size_t max_backlog_;
    std::shared_ptr<Utterance> current_;  ///< the latest, also after its end
    bool open_{false};                    ///< … which has not ended
};

/// More callers than this at once cannot be decoded in time anyway: one takes 2.4 % of a core.
std::size_t decoders_for_this_machine() {
    const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
    return std::clamp<std::size_t>(cores * 24, 8, 256);
}

}  // namespace

PocketSphinxStt::PocketSphinxStt(
    std::shared_ptr<const SphinxModel> model,
    const PocketSphinxConfig& config,
    async::WorkerPool& workers,
    std::size_t max_decoders
)
    : workers_{workers},
      stats_{std::make_shared<Stats>()},
      model_dir_{config.model_dir},
      max_backlog_{
          samples_in(milliseconds{std::max<std::size_t>(config.max_backlog_ms, 100)}, wideband)},
      capabilities_{.input_rate = wideband, .interim_results = true, .endpointing = false} {
    constexpr std::size_t general_decoders = 2;  // 100 MB each
    if (max_decoders == 0) {
        max_decoders = model->is_general() ? general_decoders : decoders_for_this_machine();
    }
    decoders_ = std::make_shared<DecoderPool>(std::move(model), max_decoders);
}

PocketSphinxStt::~PocketSphinxStt() = default;

asio::awaitable<Result<std::unique_ptr<SttStream>>> PocketSphinxStt::open(
    async::Shard& shard, SttOptions options
) {
    const auto& language = options.language;
    const bool english = language.empty() || language == "en" || language.starts_with("en-") ||
                         language.starts_with("en_");
    if (!english) {
        options.log.warn(
            "pocketsphinx understands English only: choose another [stt] provider",
            log::kv("language", language)
        );
        co_return make_error_code(ServiceErrc::configuration);
    }
    std::unique_ptr<SttStream> stream =
        std::make_unique<Stream>(shard, workers_, decoders_, stats_, max_backlog_);
    co_return stream;
}

namespace {

/// The way of the first decoder's outcome back to the shard.
struct FirstDecoder {
    explicit FirstDecoder(async::Shard& shard)
        : link{std::make_shared<ShardLink>(shard)}, changed{shard.executor()} {}
    FirstDecoder(const FirstDecoder&) = delete;
    FirstDecoder& operator=(const FirstDecoder&) = delete;
    ~FirstDecoder() { link->cut(); }

    const std::shared_ptr<ShardLink> link;
    async::Signal changed;
    std::optional<error_code> outcome;
};

}  // namespace

asio::awaitable<Result<void>> PocketSphinxStt::probe(async::Shard& shard) {
    if (decoders_->made() > 0) co_return Result<void>{};
    const auto first = std::make_shared<FirstDecoder>(shard);
    auto job = [decoders = decoders_, link = first->link, weak = std::weak_ptr{first}] {
        auto made = decoders->try_take();
        const error_code error = made ? error_code{} : made.error();
        if (made && *made) decoders->give_back(std::move(*made));
        link->post([weak, error] {
            const auto waiting = weak.lock();
            if (!waiting) return;
            waiting->outcome = error;
            waiting->changed.notify();
        });
    };
    if (!workers_.try_submit(std::move(job))) co_return make_error_code(ServiceErrc::overloaded);
    while (!first->outcome) {
        const bool go_on = co_await first->changed.wait();
        if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
    }
    if (!*first->outcome) co_return Result<void>{};
    if (!told_.exchange(true)) {
        log::Logger{}.error(
            "pocketsphinx cannot load its model: install the Debian package pocketsphinx-en-us or "
            "set [stt.pocketsphinx] model_dir",
            log::kv("model_dir", model_dir_)
        );
    }
    co_return *first->outcome;
}

std::size_t PocketSphinxStt::decoders() const { return decoders_->made(); }

std::vector<metrics::Count> PocketSphinxStt::counts() const {
    const auto dropped = static_cast<double>(stats_->dropped_samples);
    return {
        {"utterances", static_cast<double>(stats_->utterances)},
        {"delayed_jobs", static_cast<double>(stats_->delayed_jobs)},
        {"lost",
         dropped / static_cast<double>(capabilities().input_rate.hz),
         metrics::Count::Unit::audio_seconds},
    };
}

}  // namespace oavc::services
