#pragma once

#include "async/mailbox.hpp"
#include "async/shard.hpp"
#include "services/tts/tts.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace oavc::services {

/// The worker's end of a synthesis: gathers audio into chunks and posts them to the shard.
/// Thread: one job's; `cancel` from any.
class WorkerOutput {
public:
    explicit WorkerOutput(async::Shard& shard) : shard_{shard}, chunks_{shard.executor(), bound} {}

    /// False once nobody listens any more: stop.
    bool add(media::Samples samples);
    /// No more audio; an error, or none for the normal end.
    void finish(error_code error);

    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
    bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }

private:
    friend class WorkerReply;

    /// The first chunk is short, for its listener waits; later ones are long, for every chunk
    /// costs.
    static constexpr std::size_t first_chunk = 320;
    static constexpr std::size_t later_chunk = 3'200;
    /// At the longest sentence and the highest rate about this many chunks; more is a bug.
    static constexpr std::size_t bound = 4'096;

    void post_chunk();

    async::Shard& shard_;
    async::Mailbox<TtsChunk> chunks_;  ///< the shard's; shared through WorkerReply and posts
    std::weak_ptr<WorkerOutput> self_;
    std::vector<media::Sample> pending_;
    bool first_{true};
    std::atomic<bool> cancelled_{false};
};

/// The shard's end: a TtsReply fed by a worker. Destruction cancels the job.
class WorkerReply final : public TtsReply {
public:
    explicit WorkerReply(async::Shard& shard);
    ~WorkerReply() override;

    /// For the job.
    std::shared_ptr<WorkerOutput> output() const noexcept { return output_; }
    /// The job could not be started.
    void fail(error_code error);

    asio::awaitable<Result<TtsChunk>> next() override;

private:
    std::shared_ptr<WorkerOutput> output_;
};

}  // namespace oavc::services
