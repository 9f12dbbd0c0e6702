#pragma once

#include "base/time.hpp"
#include "media/frame.hpp"
#include "services/stt/whisper/speech_span.hpp"
#include "services/stt/whisper/whisper_engine.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace oavc::services::whisper {

/// One stretch of a call's audio that is to be decoded. Shared by the stream that asked and by the
/// queue; `abort` may be raised by either.
struct DecodeJob {
    enum class Kind { partial, final };
    /// Gets the result once, on whatever thread has it: decoded, or late (timed_out), or failed.
    /// Not called for what was forgotten, superseded or refused.
    using Report = std::function<void(const DecodeJob&, const Result<Decoded>&)>;

    DecodeJob(Kind kind_, std::uint64_t call_, TimePoint deadline_)
        : kind{kind_}, call{call_}, deadline{deadline_}, abort{deadline_} {}

    const Kind kind;
    const std::uint64_t call;          ///< whose: turns are taken by call
    const TimePoint deadline;          ///< finals: given up then, waiting or running
    std::vector<media::Sample> audio;  ///< 16 kHz, at most 30 s
    SpeechSpan speech;
    DecodeParameters parameters;
    Report report;

    TimePoint queued{};
    TimePoint started{};
    Abort abort;
    std::atomic<bool> settled{false};  ///< reported, or nobody wants the report any more
};

/// Since start-up; any thread.
struct DecodeStats {
    std::atomic<std::uint64_t> finals{0};      ///< decoded
    std::atomic<std::uint64_t> partials{0};    ///< decoded
    std::atomic<std::uint64_t> refused{0};     ///< finals that found the queue full
    std::atomic<std::uint64_t> late{0};        ///< finals given up at their deadline
    std::atomic<std::uint64_t> failed{0};      ///< finals that the engine could not decode
    std::atomic<std::uint64_t> hurried{0};     ///< finals decoded greedily since they had waited
    std::atomic<std::uint64_t> skipped{0};     ///< partials not decoded: busy, or finals waited
    std::atomic<std::uint64_t> superseded{0};  ///< partials that newer audio replaced
    std::atomic<std::uint64_t> aborted{0};     ///< partials stopped for a final; hang-ups
    std::atomic<std::uint64_t> wait_ms{0};     ///< of finals in the queue, all together
    std::atomic<std::uint64_t> audio_ms{0};    ///< decoded
    std::atomic<std::uint64_t> decode_ms{0};   ///< spent on it; over audio_ms: real-time factor
};

/// Who is decoded next, sans-I/O: time comes in, jobs come out. Calls take turns; one call's finals
/// run one at a time and in order. Finals go before partials: a partial starts only when no final
/// waits, and is stopped when a final needs its worker. Thread: its owner holds a lock.
class DecodeQueue {
public:
    using Job = std::shared_ptr<DecodeJob>;

    /// `bound`: finals that may wait. `workers`: decodes at once.
    DecodeQueue(std::size_t bound, std::size_t workers, DecodeStats& stats)
        : bound_{bound}, workers_{workers}, stats_{stats} {}

    /// False: refused, and counted. A call's waiting partial is replaced by a newer one; a running
    /// one makes newer ones skipped. A final ends its call's partials.
    bool offer(Job job, TimePoint now);

    /// The next job to run, or none. What waited long is decoded greedily.
    Job take(TimePoint now);

    /// `job`, from take(), has ended.
    void finished(const Job& job);

    /// Nobody wants it any more: out of the queue, or stopped.
    void forget(const Job& job);

    /// Finals whose deadline has passed, waiting ones and running ones; each once.
    std::vector<Job> drop_late(TimePoint now);

    std::size_t waiting_finals() const noexcept { return waiting_finals_; }
    const std::vector<Job>& running() const noexcept { return running_; }

    /// Finals that waited longer than this are decoded without beam search and fallback.
    static constexpr auto hurry_after = 1000ms;

private:
    struct Lane {
        std::uint64_t call;
        std::deque<Job> finals;
        Job partial;
    };

    Lane& lane_of(std::uint64_t call);
    bool final_runs(std::uint64_t call) const noexcept;
    void free_a_worker(const Job& for_final);
    void stop(const Job& job);
    void sweep();

    const std::size_t bound_;
    const std::size_t workers_;
    DecodeStats& stats_;
    std::deque<Lane> lanes_;  ///< calls with something waiting; the next one's turn first
    std::vector<Job> running_;
    std::size_t waiting_finals_{0};
};

}  // namespace oavc::services::whisper
