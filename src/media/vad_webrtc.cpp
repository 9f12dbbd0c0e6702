#include "media/vad_webrtc.hpp"

#include "base/assert.hpp"
#include "media/comfort_noise.hpp"

#include <webrtc/modules/audio_processing/include/audio_processing.h>
#include <webrtc/modules/interface/module_common_types.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace oavc::media {

namespace {

using webrtc::AudioProcessing;
using Likelihood = webrtc::VoiceDetection::Likelihood;

constexpr SampleRate rate = narrowband;
constexpr std::size_t chunk = samples_in(milliseconds{AudioProcessing::kChunkSizeMs}, rate);

/// A low likelihood means that a frame must look much like speech: an aggressive filter.
constexpr Likelihood likelihood_of(int aggressiveness) noexcept {
    switch (std::clamp(aggressiveness, 0, 3)) {
        case 0:
            return Likelihood::kHighLikelihood;
        case 1:
            return Likelihood::kModerateLikelihood;
        case 2:
            return Likelihood::kLowLikelihood;
        default:
            return Likelihood::kVeryLowLikelihood;
    }
}

/// The detector's own wait at the end of a longer stretch of speech, by aggressiveness.
constexpr milliseconds hang_over_of(int aggressiveness) noexcept {
    return std::clamp(aggressiveness, 0, 3) < 2 ? 140ms : 90ms;
}

class WebRtcVad final : public VadEngine {
public:
    explicit WebRtcVad(int aggressiveness) : hang_over_{hang_over_of(aggressiveness)} {
        // Its gain manager is made even where it is never enabled, and costs 24 KB of the 28 KB.
        webrtc::Config config;
        config.Set<webrtc::ExperimentalAgc>(new webrtc::ExperimentalAgc{false});
        apm_.reset(AudioProcessing::Create(config));
        OAVC_ASSERT(apm_ != nullptr);
        constexpr auto mono = AudioProcessing::kMono;
        constexpr int hz = rate.hz;
        OAVC_ASSERT(apm_->Initialize(hz, hz, hz, mono, mono, mono) == AudioProcessing::kNoError);
        auto& detection = *apm_->voice_detection();
        OAVC_ASSERT(
            detection.set_likelihood(likelihood_of(aggressiveness)) == AudioProcessing::kNoError
        );
        OAVC_ASSERT(detection.Enable(true) == AudioProcessing::kNoError);
        hear_noise();
    }

    SampleRate input_rate() const noexcept override { return rate; }
    milliseconds hang_over() const noexcept override { return hang_over_; }

    VadDecision process(FrameView frame) noexcept override {
        OAVC_ASSERT(frame.rate == rate && frame.samples.size() == 2 * chunk);
        const int voiced =
            has_voice(frame.samples.first(chunk)) + has_voice(frame.samples.last(chunk));
        return {static_cast<float>(voiced) / 2, voiced > 0};
    }

    void reset() noexcept override {
        apm_->Initialize();
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
            has_voice(samples);
        }
    }

    int has_voice(Samples samples) noexcept {
        webrtc::AudioFrame frame;  // 7.7 KB of which only what we fill is read: no need to keep it
        frame.sample_rate_hz_ = rate.hz;
        frame.samples_per_channel_ = chunk;
        frame.num_channels_ = 1;
        std::ranges::copy(samples, frame.data_);
        if (apm_->ProcessStream(&frame) != AudioProcessing::kNoError) return 0;
        return apm_->voice_detection()->stream_has_voice() ? 1 : 0;
    }

    milliseconds hang_over_;
    std::unique_ptr<AudioProcessing> apm_;
};

class WebRtcVadFactory final : public VadFactory {
public:
    explicit WebRtcVadFactory(int aggressiveness) : aggressiveness_{aggressiveness} {}

    std::string_view name() const noexcept override { return "webrtc"; }
    SampleRate input_rate() const noexcept override { return rate; }
    std::unique_ptr<VadEngine> make() const override {
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
