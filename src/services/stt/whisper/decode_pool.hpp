#pragma once

#include "services/stt/whisper/decode_queue.hpp"

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace oavc::services::whisper {

/// Threads that decode, each with a decoder of its own, fed by a DecodeQueue. Not the worker pool:
/// a decode takes seconds, must be stoppable and takes turns by call, while the pool's other jobs
/// (synthesis, embedded recognition) need a thread within milliseconds. Any thread may call.
class DecodePool {
public:
    /// Makes all decoders at once, so that lack of memory shows at start-up: throws
    /// std::runtime_error.
    DecodePool(
        std::shared_ptr<const WhisperEngine> engine, std::size_t workers, std::size_t max_queue
    );
    DecodePool(const DecodePool&) = delete;
    DecodePool& operator=(const DecodePool&) = delete;
    /// Stops what runs and waits for it: at most one run of the encoder.
    ~DecodePool();

    /// False: refused. Never waits.
    bool submit(std::shared_ptr<DecodeJob> job);
    void forget(const std::shared_ptr<DecodeJob>& job);
    /// Reports late finals as timed_out. Who waits for one calls this at its deadline.
    void expire();

    DecodeStats& stats() noexcept { return stats_; }
    std::uint64_t new_call() noexcept { return ++calls_; }

private:
    void work(Decoder& decoder);

    const std::shared_ptr<const WhisperEngine> engine_;
    DecodeStats stats_;
    std::atomic<std::uint64_t> calls_{0};
    std::mutex mutex_;
    std::condition_variable changed_;
    DecodeQueue queue_;  ///< guarded by mutex_
    bool stopping_{false};
    std::vector<std::unique_ptr<Decoder>> decoders_;
    std::vector<std::thread> threads_;
};

}  // namespace oavc::services::whisper
