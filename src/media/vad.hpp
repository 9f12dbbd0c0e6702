#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "base/units.hpp"
#include "media/frame.hpp"
#include "media/vad_config.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace oavc::media {

/// What an engine thinks of a piece of audio.
struct VadDecision {
    float speech_probability{0};  ///< 0 … 1; WebRTC knows only 0, ½ (one half of the frame) and 1
    bool voiced{false};
    /// Which audio was judged: `span` samples, the last of them `age` samples before the end of
    /// the frame just consumed. Span 0 is short for that frame itself.
    std::uint32_t span{0};
    std::uint32_t age{0};
};

/// What one frame settled, oldest audio first; empty: nothing yet. Valid until the next frame.
/// A voiced decision may be about audio that was called unvoiced before: the later one counts.
using VadDecisions = std::span<const VadDecision>;

/// The ear of one call. Cheap to make; `process` never allocates.
/// Thread: the call's shard. Get one from a VadFactory.
class VadEngine {
public:
    virtual ~VadEngine() = default;

    /// What `process` wants; the pipeline resamples, engines do not.
    virtual SampleRate input_rate() const noexcept = 0;

    /// How long the engine says "voiced" after speech of some length has ended. Where speech ended
    /// is known better by so much: SpeechDetector takes it.
    virtual milliseconds hang_over() const noexcept { return milliseconds{0}; }

    /// Consumes one frame of exactly 20 ms at input_rate(). Silero decides every 32 ms, so that not
    /// every frame brings a decision.
    virtual VadDecisions process(FrameView frame) noexcept = 0;

    /// Forgets the audio heard so far, as if newly made.
    virtual void reset() noexcept = 0;
};

/// Makes engines that share what can be shared (the weights). Immutable: any thread may call it.
class VadFactory {
public:
    virtual ~VadFactory() = default;

    virtual std::string_view name() const noexcept = 0;  ///< "webrtc", "silero" or "gated"

    /// An ear for a line of that rate: the engine wants (input_rate()) the line's own rate where it
    /// can listen at it.
    virtual std::unique_ptr<VadEngine> make(SampleRate line) const = 0;

    /// Engine `auto` had to take WebRTC: one sentence for the log at start-up saying why and what
    /// to do about it. Empty otherwise.
    virtual std::string_view note() const noexcept { return {}; }
};

/// The engine that `config.engine` names. An error is a sentence for the operator: unknown engine,
/// or Silero asked for by name whose model file is missing or broken. Shared by all calls.
Result<std::shared_ptr<const VadFactory>, std::string> make_vad_factory(const VadConfig& config);

}  // namespace oavc::media
