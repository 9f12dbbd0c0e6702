#include "media/detail/gated_vad.hpp"

#include "base/assert.hpp"
#include "media/detail/level_gate.hpp"
#include "media/detail/silero_stream.hpp"
#include "media/detail/webrtc_detector.hpp"

#include <array>
#include <cstddef>
#include <utility>

namespace oavc::media::detail {

namespace {

/// What is judged in retrospect when the gates open. Measured over 1,100 onsets in noise down to
/// 0 dB: six windows are late for 3, ten for none, sixteen cost 3 % more.
constexpr std::size_t kept_windows = 10;

/// Frames that Silero listens on after gates and Silero heard the last of a voice. Half of it
/// misses one onset of those 1,100.
constexpr int patience = 8;

/// WebRTC's second most permissive setting: no onset later than with the most permissive one, and
/// a fifth less to judge in a driving car.
constexpr int aggressiveness = 1;

/// One frame in so many is played to WebRTC's detector even when the level gate is shut: it has to
/// know the noise, or it takes the rare louder frame of it for a voice.
constexpr int frames_per_lesson = 8;

class GatedVad final : public VadEngine {
public:
    GatedVad(std::shared_ptr<const SileroModel> model, SampleRate line, float threshold)
        : threshold_{threshold},
          detector_{aggressiveness},
          stream_{std::move(model), line, kept_windows} {}

    SampleRate input_rate() const noexcept override { return stream_.rate(); }

    VadDecisions process(FrameView frame) noexcept override {
        OAVC_ASSERT(frame.rate == stream_.rate() && frame.duration() == microseconds{frame_time});
        stream_.push(frame.samples);
        const bool open = level_.open(frame.samples);
        lesson_ = (lesson_ + 1) % frames_per_lesson;
        if ((open || lesson_ == 0) && detector_.has_voice(frame.samples, frame.rate) && open) {
            awake_ = patience;
        }
        if (awake_ == 0) {
            while (stream_.ready() > kept_windows)
                stream_.skip();
            decisions_[0] = {};
            return {decisions_.data(), 1};
        }
        --awake_;
        std::size_t count = 0;
        while (stream_.ready() > 0) {
            const float probability = stream_.judge();
            const bool voiced = probability >= threshold_;
            if (voiced) awake_ = patience;
            decisions_[count++] = {
                probability,
                voiced,
                static_cast<std::uint32_t>(stream_.window_samples()),
                stream_.age()};
        }
        return {decisions_.data(), count};
    }

    void reset() noexcept override {
        level_.reset();
        detector_.reset();
        stream_.reset();
        lesson_ = 0;
        awake_ = 0;
    }

private:
    float threshold_;
    LevelGate level_;
    WebRtcDetector detector_;
    SileroStream stream_;
    int lesson_{0};
    int awake_{0};  ///< frames that Silero listens on
    std::array<VadDecision, kept_windows + 1> decisions_;
};

}  // namespace

std::unique_ptr<VadEngine> make_gated_vad(
    std::shared_ptr<const SileroModel> model, SampleRate line, float threshold
) {
    return std::make_unique<GatedVad>(std::move(model), line, threshold);
}

}  // namespace oavc::media::detail
