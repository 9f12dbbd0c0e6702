#include "media/vad_webrtc.hpp"

#include "base/assert.hpp"
#include "media/comfort_noise.hpp"
#include "media/detail/webrtc_detector.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace oavc::media {

namespace {

constexpr SampleRate rate = narrowband;
constexpr std::size_t chunk = samples_in(milliseconds{10}, rate);

/// The detector's own wait at the end of a longer stretch of speech, by aggressiveness.
constexpr milliseconds hang_over_of(int aggressiveness) noexcept {
    return std::clamp(aggressiveness, 0, 3) < 2 ? 140ms : 90ms;
}

class WebRtcVad final : public VadEngine {
public:
    explicit WebRtcVad(int aggressiveness)
        : hang_over_{hang_over_of(aggressiveness)}, detector_{aggressiveness} {
        hear_noise();
    }

    SampleRate input_rate() const noexcept override { return rate; }
    milliseconds hang_over() const noexcept override { return hang_over_; }

    VadDecisions process(FrameView frame) noexcept override {
        OAVC_ASSERT(frame.rate == rate && frame.samples.size() == 2 * chunk);
        const int voiced = (detector_.has_voice(frame.samples.first(chunk), rate) ? 1 : 0) +
                           (detector_.has_voice(frame.samples.last(chunk), rate) ? 1 : 0);
        decision_ = {static_cast<float>(voiced) / 2, voiced > 0};
        return {&decision_, 1};
    }

    void reset() noexcept override {
        detector_.reset();
        hear_noise();
    }

private:
    /// Before it has heard noise it takes the first 80 ms of any line's for a voice: every call
    /// would begin with an interruption. Noise above -45 dBFS still has to be learnt; speech is
    /// heard as before, quiet one too.
    void hear_noise() noexcept {
        ComfortNoise noise{-45, 1};
        std::array<Sample, chunk> samples{};
        for (int i = 0; i < 10; ++i) {
            noise.fill(samples);
            detector_.has_voice(samples, rate);
        }
    }

    milliseconds hang_over_;
    detail::WebRtcDetector detector_;
    VadDecision decision_;
};

class WebRtcVadFactory final : public VadFactory {
public:
    explicit WebRtcVadFactory(int aggressiveness) : aggressiveness_{aggressiveness} {}

    std::string_view name() const noexcept override { return "webrtc"; }
    std::unique_ptr<VadEngine> make(SampleRate) const override {
        return std::make_unique<WebRtcVad>(aggressiveness_);
    }

private:
    int aggressiveness_;
};

}  // namespace

std::shared_ptr<const VadFactory> make_webrtc_vad(int aggressiveness) {
    return std::make_shared<WebRtcVadFactory>(aggressiveness);
}

}  // namespace oavc::media
