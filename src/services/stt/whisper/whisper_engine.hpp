#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "services/config.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services::whisper {

/// Stops a decode that runs: raised from any thread, or by the clock.
class Abort {
public:
    explicit Abort(TimePoint deadline = TimePoint::max()) noexcept : deadline_{deadline} {}

    void raise() noexcept { raised_.store(true, std::memory_order_relaxed); }
    bool raised() const noexcept {
        return raised_.load(std::memory_order_relaxed) ||
               (deadline_ != TimePoint::max() && Clock::now() >= deadline_);
    }

private:
    const TimePoint deadline_;
    std::atomic<bool> raised_{false};
};

/// What one decode is asked.
struct DecodeParameters {
    std::string language;      ///< ISO 639-1; empty: detect it, which costs one more encoder run
    std::string prompt;        ///< text that came before: names and spelling to expect
    bool every_window{false};  ///< the prompt counts beyond the first 30 s window, too
    int beam_size{1};          ///< 1: greedy; at most 8
    double temperature_step{0.0};  ///< of the fallback ladder 0, step, 2 step … 1; 0: no fallback
    int max_tokens{0};             ///< 0: the model's bound
    int audio_context{0};          ///< encoder frames of 20 ms; 0: all 1500, whatever the length
    int threads{1};
};

struct Segment {
    std::string text;          ///< as the model wrote it: usually begins with a space
    std::int64_t begin_cs{0};  ///< centiseconds
    std::int64_t end_cs{0};
    double mean_log_probability{0.0};  ///< of its text tokens
    std::size_t tokens{0};             ///< text tokens
    /// Practically 0 for every segment in whisper.cpp 1.9 (upstream pull requests 3945, 4068):
    /// nothing may depend on it.
    double no_speech_probability{0.0};
};

struct Decoded {
    std::vector<Segment> segments;
    std::string language;  ///< used or detected
};

/// Work space of one decode at a time; holds nothing of the former one. Thread: one at a time.
class Decoder {
public:
    virtual ~Decoder() = default;

    /// `audio`: f32 −1 … 1, 16 kHz, mono, at most 30 s; shorter than 1 s is padded with silence.
    /// Nothing in, nothing out. Errors: cancelled (aborted), unavailable (out of memory, the
    /// device failed), configuration (parameters that the model refuses). Blocks for the time of
    /// the decode: an abort is noticed after the encoder's run and after each token.
    virtual Result<Decoded> decode(
        std::span<const float> audio, const DecodeParameters& parameters, const Abort& abort
    ) noexcept = 0;
};

/// A loaded model: weights that all decoders share. Outlives its decoders. Any thread. Fake:
/// tests/support/fake_whisper_engine.hpp.
class WhisperEngine {
public:
    virtual ~WhisperEngine() = default;

    /// Throws std::runtime_error when there is not enough memory for one.
    virtual std::unique_ptr<Decoder> make_decoder() const = 0;

    /// "tr", "en", … An unknown code would not fail at decoding: it would give wrong text.
    virtual bool knows_language(std::string_view code) const noexcept = 0;
    virtual bool multilingual() const noexcept = 0;
};

/// Loads the model that `config` names through whisper.cpp. Throws std::runtime_error with a
/// sentence for the operator: no such file, no model, no CUDA, built without whisper.cpp.
std::shared_ptr<const WhisperEngine> load_whisper_cpp(const FasterWhisperConfig& config);

}  // namespace oavc::services::whisper
