#pragma once

#include "base/time.hpp"
#include "media/frame.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace oavc::pipeline {

/// The last half minute of a call in stereo, sans-I/O: the caller left, we right, each sample where
/// it belongs in time. It is held back for so long that what turns out to be a card's number can
/// still be taken out. Never allocates after construction. Not thread-safe.
class RecordingTape {
public:
    enum class Side : std::size_t { caller, us };

    RecordingTape(SampleRate rate, TimePoint began, milliseconds hold_back);

    /// Audio of one side that begins at `at` (that the caller hears then, of ours). Pieces within
    /// 60 ms of the one before follow it without a seam.
    void put(Side side, media::Samples samples, TimePoint at) noexcept;

    /// Barge-in: what of ours was to be heard from `from` on is not.
    void cut(TimePoint from) noexcept;

    /// Silence on both sides for what is put from now on.
    void mute(bool on) noexcept { muted_ = on; }
    /// Silence on both sides; what is no longer held back stays as it was.
    void erase(TimePoint from, TimePoint to) noexcept;

    /// Moves the oldest out.size() / 2 frames into `out`, interleaved, if they are `hold_back` old.
    /// False: they are not.
    bool take(std::span<media::Sample> out, TimePoint now) noexcept;
    /// Frames until `now`, held back or not.
    std::size_t left(TimePoint now) const noexcept;
    /// Moves the oldest frames out whatever their age.
    void drain(std::span<media::Sample> out) noexcept;

    std::uint64_t erased() const noexcept { return erased_; }  ///< frames that were made silent

private:
    std::uint64_t position(TimePoint at) const noexcept;
    media::Sample& at(std::uint64_t frame, std::size_t side) noexcept {
        return ring_[(frame % frames_) * 2 + side];
    }

    SampleRate rate_;
    TimePoint began_;
    std::uint64_t hold_back_;  ///< frames
    std::uint64_t frames_;
    std::vector<media::Sample> ring_;      ///< silence wherever nothing was put
    std::uint64_t taken_{0};               ///< frames that left
    std::array<std::uint64_t, 2> next_{};  ///< of each side, behind its latest piece
    std::uint64_t erased_{0};
    bool muted_{false};
};

}  // namespace oavc::pipeline
