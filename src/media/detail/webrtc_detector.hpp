#pragma once

#include "media/frame.hpp"

#include <memory>

struct WebRtcVadInst;  // the library's own name for it is private to it

namespace oavc::media::detail {

/// WebRTC's voice detector without the library's audio processing around it: no conversions, no
/// buffers, 736 bytes, the same decisions. Thread: its owner's.
class WebRtcDetector {
public:
    /// `aggressiveness`: 0 (takes most for speech) … 3; other values are clamped. Throws
    /// std::bad_alloc.
    explicit WebRtcDetector(int aggressiveness);

    /// One piece of 10, 20 or 30 ms at 8 or 16 kHz (OAVC_ASSERT). Pieces of one length for one
    /// detector: it counts its hang-over in pieces. Never allocates.
    bool has_voice(Samples samples, SampleRate rate) noexcept;

    /// As if newly made.
    void reset() noexcept;

private:
    struct Destroy {
        void operator()(WebRtcVadInst* detector) const noexcept;
    };
    std::unique_ptr<WebRtcVadInst, Destroy> detector_;
    int aggressiveness_;
};

}  // namespace oavc::media::detail
