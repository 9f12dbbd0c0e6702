#pragma once

#include "media/frame.hpp"
#include "media/resampler.hpp"

#include <array>
#include <memory>
#include <optional>

struct dtmf_rx_state_s;

namespace oavc::media {

/// Finds keys in the sound itself (ITU-T Q.23, Q.24), for callers whose gateway sends DTMF as audio
/// only. Not to be used beside telephone-event: the same press would be heard twice.
///
/// A digit is told once, when its tone has lasted 40 ms or so. Stricter on twist than the standard
/// asks, against digits in speech. Owner: whoever has the frames. Thread: the call's. Allocates in
/// the constructor only.
class InbandDigits {
public:
    /// `rate`: of the frames. Throws std::bad_alloc.
    explicit InbandDigits(SampleRate rate);

    /// The next frame, 20 ms at most. The digit whose tone was recognised in it, if any: '0'–'9',
    /// '*', '#', 'A'–'D'.
    std::optional<char> on_frame(Samples frame) noexcept;

private:
    struct Destroy {
        void operator()(dtmf_rx_state_s* detector) const noexcept;
    };
    std::unique_ptr<dtmf_rx_state_s, Destroy> detector_;
    Resampler to_narrowband_;
    std::array<Sample, 512> narrow_{};
};

}  // namespace oavc::media
