#pragma once

#include "media/detail/silero_model.hpp"
#include "media/detail/silero_net.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace oavc::media::detail {

/// One call's audio on its way through the network: samples come in frames, the network takes them
/// in windows of 32 ms, each judged or skipped in its turn. Keeps the windows that wait for that.
///
/// At 8 kHz it interpolates to the network's 16 kHz itself (detail/interpolation.hpp), and only
/// what is judged. No allocation after construction. Thread: its owner's.
class SileroStream {
public:
    /// `line`: 8 or 16 kHz (OAVC_ASSERT). `windows`: how many may wait.
    SileroStream(std::shared_ptr<const SileroModel> model, SampleRate line, std::size_t windows);

    SampleRate rate() const noexcept { return rate_; }
    std::size_t window_samples() const noexcept { return window_; }

    /// One frame of 20 ms. There has to be room: at most `windows` whole windows wait.
    void push(Samples frame) noexcept;

    /// Whole windows that wait.
    std::size_t ready() const noexcept;
    /// The oldest window's speech probability. One has to be ready.
    float judge() noexcept;
    /// Leaves the oldest window out, as if it had not been. What the network remembers stays.
    void skip() noexcept;

    /// Samples between the end of the window judged or skipped last and the newest sample.
    std::uint32_t age() const noexcept { return static_cast<std::uint32_t>(pushed_ - next_); }

    /// As if newly made.
    void reset() noexcept;

private:
    void read(std::uint64_t from, std::size_t count, float* to) const noexcept;

    std::shared_ptr<const SileroModel> model_;  ///< shared with every stream of the factory
    SampleRate rate_;
    bool narrow_;
    SileroNet net_;
    std::size_t window_;  ///< samples at rate_
    std::size_t ahead_;   ///< samples behind a window's end that interpolation needs
    std::size_t behind_;  ///< and before its beginning

    SileroState state_;
    std::vector<Sample> ring_;
    std::uint64_t pushed_{0};  ///< samples, since the beginning
    std::uint64_t next_{0};    ///< where the oldest window that waits begins
};

}  // namespace oavc::media::detail
