#pragma once

#include "async/worker_pool.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "media/frame.hpp"
#include "observability/audit.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "pipeline/config.hpp"
#include "pipeline/recording_tape.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace oavc::pipeline {

/// Why a recording is silent for now. Several may hold at once.
enum class MuteReason : std::uint8_t {
    keys = 1,       ///< the caller keys something in
    number = 2,     ///< we say a card's number
    operator_ = 4,  ///< the API said so
};

/// Records one call. Thread: the call's shard. No allocation per frame; once a second a chunk goes
/// to the workers, which seal it and write it to the disk.
class Recorder {
public:
    struct Writer;  ///< lives on the workers

    Recorder(
        std::shared_ptr<Writer> writer, async::WorkerPool& workers, SampleRate rate, TimePoint began
    );
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;
    /// The rest is written.
    ~Recorder();

    /// The caller's audio that arrived at `at`.
    void heard(media::Samples samples, TimePoint at) noexcept {
        tape_.put(RecordingTape::Side::caller, samples, at);
    }
    /// Ours, which the caller hears at `at`.
    void said(media::Samples samples, TimePoint at) noexcept {
        tape_.put(RecordingTape::Side::us, samples, at);
    }
    /// What was to be heard from `from` on is not.
    void cut(TimePoint from) noexcept { tape_.cut(from); }

    void mute(MuteReason reason, bool on) noexcept;
    bool muted(MuteReason reason) const noexcept;
    /// A card's number was said between these: nobody will hear it.
    void erase(TimePoint from, TimePoint to) noexcept { tape_.erase(from, to); }

    /// Once per ptime.
    void tick(TimePoint now) noexcept;

private:
    std::shared_ptr<Writer> writer_;
    async::WorkerPool& workers_;
    SampleRate rate_;
    RecordingTape tape_;
    TimePoint now_;
    std::uint8_t reasons_{0};
};

/// All recordings of the process: where they go and how long they stay. Thread: any.
class Recordings {
public:
    /// How long audio is held back: a card's number is recognised within it, or stays.
    static constexpr milliseconds hold_back{30'000};

    /// Throws std::runtime_error when the key is none. `workers` outlives every Recorder.
    Recordings(
        RecordingConfig config,
        async::WorkerPool& workers,
        audit::Log& audit,
        log::Logger log,
        metrics::Registry* registry = nullptr
    );
    Recordings(const Recordings&) = delete;
    Recordings& operator=(const Recordings&) = delete;
    ~Recordings();

    /// Begins FOLDER/2026-11-22/213700-SESSION.wav.sealed, with ".part" behind it until it is
    /// complete. Files appear with the first chunk.
    std::unique_ptr<Recorder> begin(const SessionId& session, SampleRate rate, TimePoint now);

    /// False: after `limit` some are not complete yet. For shutdown: it blocks.
    bool wait_until_written(milliseconds limit) const;

    /// Deletes recordings that are older than the configuration lets them be, on the workers.
    void delete_old();

    struct Shared;  ///< with the recordings that are not on the disk yet

private:
    std::shared_ptr<Shared> shared_;
};

}  // namespace oavc::pipeline
