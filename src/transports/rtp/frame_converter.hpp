#pragma once

#include "media/frame.hpp"
#include "media/resampler.hpp"

#include <cstddef>
#include <vector>

namespace oavc::transports::rtp {

/// Frames of 20 ms at one rate from frames of 20 ms at another: one out for each in, 4 ms late.
/// Allocates when constructed only. Owner: the leg.
class FrameConverter {
public:
    FrameConverter(SampleRate in, SampleRate out);

    SampleRate input_rate() const noexcept { return resampler_.input_rate(); }
    SampleRate output_rate() const noexcept { return resampler_.output_rate(); }

    /// `frame`: 20 ms at input_rate(). The result lives until the next call.
    media::FrameView convert(media::FrameView frame) noexcept;

    /// The next frame does not follow the latest.
    void reset() noexcept;

private:
    media::Resampler resampler_;
    std::size_t frame_samples_;  ///< of a frame that goes out
    std::vector<media::Sample> buffer_;
    std::size_t filled_{0};
    std::size_t given_{0};  ///< of these, out since the last call
};

}  // namespace oavc::transports::rtp
