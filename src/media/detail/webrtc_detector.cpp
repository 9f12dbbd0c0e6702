#include "media/detail/webrtc_detector.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

// The library exports its detector, and Debian leaves out the header. 0 is success, -1 is not;
// WebRtcVad_Process answers 1 for voice.
extern "C" {
WebRtcVadInst* WebRtcVad_Create();
void WebRtcVad_Free(WebRtcVadInst* detector);
int WebRtcVad_Init(WebRtcVadInst* detector);
int WebRtcVad_set_mode(WebRtcVadInst* detector, int aggressiveness);
int WebRtcVad_Process(
    WebRtcVadInst* detector, int rate, const std::int16_t* samples, std::size_t count
);
}

namespace oavc::media::detail {

void WebRtcDetector::Destroy::operator()(WebRtcVadInst* detector) const noexcept {
    WebRtcVad_Free(detector);
}

WebRtcDetector::WebRtcDetector(int aggressiveness)
    : detector_{WebRtcVad_Create()}, aggressiveness_{std::clamp(aggressiveness, 0, 3)} {
    if (!detector_) throw std::bad_alloc{};
    reset();
}

bool WebRtcDetector::has_voice(Samples samples, SampleRate rate) noexcept {
    const int answer = WebRtcVad_Process(
        detector_.get(), static_cast<int>(rate.hz), samples.data(), samples.size()
    );
    OAVC_ASSERT(answer >= 0);
    return answer == 1;
}

void WebRtcDetector::reset() noexcept {
    OAVC_ASSERT(WebRtcVad_Init(detector_.get()) == 0);
    OAVC_ASSERT(WebRtcVad_set_mode(detector_.get(), aggressiveness_) == 0);
}

}  // namespace oavc::media::detail
