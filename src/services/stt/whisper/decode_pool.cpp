#include "services/stt/whisper/decode_pool.hpp"

#include "observability/log.hpp"
#include "services/errors.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace oavc::services::whisper {

namespace {

constexpr int background_priority = 10;  ///< "nice": a tenth of the weight of a shard

std::uint64_t whole_ms(Clock::duration d) { return static_cast<std::uint64_t>(to_ms(d)); }

}  // namespace

DecodePool::DecodePool(
    std::shared_ptr<const WhisperEngine> engine, std::size_t workers, std::size_t max_queue
)
    : engine_{std::move(engine)}, queue_{max_queue, std::max<std::size_t>(workers, 1), stats_} {
    workers = std::max<std::size_t>(workers, 1);
    for (std::size_t i = 0; i < workers; ++i)
        decoders_.push_back(engine_->make_decoder());
    for (const auto& decoder : decoders_)
        threads_.emplace_back([this, &own = *decoder] { work(own); });
}

DecodePool::~DecodePool() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
        for (const auto& job : queue_.running())
            job->abort.raise();
    }
    changed_.notify_all();
    for (auto& thread : threads_)
        thread.join();
}

bool DecodePool::submit(std::shared_ptr<DecodeJob> job) {
    {
        const std::lock_guard lock{mutex_};
        if (!queue_.offer(std::move(job), Clock::now())) return false;
    }
    changed_.notify_one();
    return true;
}

void DecodePool::forget(const std::shared_ptr<DecodeJob>& job) {
    const std::lock_guard lock{mutex_};
    queue_.forget(job);
}

void DecodePool::expire() {
    std::vector<DecodeQueue::Job> late;
    {
        const std::lock_guard lock{mutex_};
        late = queue_.drop_late(Clock::now());
    }
    for (const auto& job : late)
        job->report(*job, make_error_code(ServiceErrc::timed_out));
}

void DecodePool::work(Decoder& decoder) {
    // The audio of all calls goes first: a decode takes every core it finds. On Linux this holds
    // for the calling thread, and for those that the engine makes from it.
    ::setpriority(PRIO_PROCESS, 0, background_priority);
    std::vector<float> audio;
    const log::Logger log;
    for (;;) {
        DecodeQueue::Job job;
        {
            std::unique_lock lock{mutex_};
            changed_.wait(lock, [&] { return stopping_ || (job = queue_.take(Clock::now())); });
            if (stopping_) return;
        }
        audio.resize(job->audio.size());
        std::ranges::transform(job->audio, audio.begin(), [](media::Sample sample) {
            return static_cast<float>(sample) / 32'768.0F;
        });
        const auto result = decoder.decode(audio, job->parameters, job->abort);
        const auto took = Clock::now() - job->started;
        {
            const std::lock_guard lock{mutex_};
            queue_.finished(job);
        }
        changed_.notify_one();  // the call's next final, if it waited for this one

        const bool is_final = job->kind == DecodeJob::Kind::final;
        const auto length = duration_of(job->audio.size(), rate);
        stats_.decode_ms += whole_ms(took);
        if (result) {
            stats_.audio_ms += whole_ms(length);
            ++(is_final ? stats_.finals : stats_.partials);
        }
        const bool spoke = result && !result->segments.empty();
        log.debug(
            "whisper decoded",
            log::kv("final", is_final),
            log::kv("audio_ms", length),
            log::kv("queue_ms", job->started - job->queued),
            log::kv("decode_ms", took),
            log::kv("language", result ? result->language : std::string{}),
            log::kv("log_probability", spoke ? result->segments.front().mean_log_probability : 0.0),
            log::kv("outcome", result ? std::string{"ok"} : result.error().message())
        );
        if (job->settled.exchange(true)) continue;
        if (!result && job->deadline <= Clock::now()) {
            ++stats_.late;
            job->report(*job, make_error_code(ServiceErrc::timed_out));
            continue;
        }
        if (!result && is_final) ++stats_.failed;
        job->report(*job, result);
    }
}

}  // namespace oavc::services::whisper
