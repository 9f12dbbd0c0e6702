#pragma once

#include "base/time.hpp"
#include "media/compact_pcm.hpp"
#include "media/frame.hpp"
#include "media/resampler.hpp"
#include "media/vad.hpp"
#include "media/vad_config.hpp"
#include "media/vad_gate.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace oavc::pipeline {

/// The caller's audio on its way in: transport rate → VAD rate → speech events, and transport rate
/// → recogniser rate with the pre-roll that holds the first syllable. Resamples for the recogniser
/// only while somebody speaks. No allocation per frame. Thread: the call's shard.
class AudioProcessor {
public:
    /// What a frame told us. Times are on the media clock: arrival times of the samples meant.
    struct Heard {
        double volume{0};                         ///< 0 … 1, see media/level.hpp
        TimePoint last_voiced{};                  ///< arrival of the latest voiced sample
        std::optional<TimePoint> speech_started;  ///< the first voiced sample's arrival
        std::optional<TimePoint> speech_stopped;  ///< the last voiced sample's arrival
    };
    using Output = std::function<void(media::FrameView)>;

    AudioProcessor(
        media::AudioFormat input,
        std::unique_ptr<media::VadEngine> vad,
        const media::VadConfig& config,
        SampleRate recogniser_rate,
        Output to_recogniser
    );

    /// One frame of the transport, in order, at `arrived`.
    Heard on_frame(media::FrameView frame, TimePoint arrived) noexcept;

    /// Sends the recogniser what was heard since `pre_roll` before `onset`, and every frame from
    /// now on, until `close`.
    void open(TimePoint onset) noexcept;
    /// Ends the utterance; its resampler's tail is flushed into it.
    void close() noexcept;
    /// Ends it without the tail.
    void drop() noexcept;

    bool speaking() const noexcept { return detector_.speaking(); }

private:
    void send(media::FrameView frame) noexcept;
    /// The history's `index`th place.
    std::span<std::byte> place(std::size_t index) noexcept;
    /// 20 ms at the engine's rate.
    void judge(media::Samples samples, TimePoint arrived, Heard& heard) noexcept;
    /// Arrival time of a position in the detector's sample time.
    TimePoint time_of(media::SamplePosition position, TimePoint arrived) const noexcept;

    /// Pre-roll: the last second, at the transport's rate.
    static constexpr std::size_t history_frames = 50;

    media::AudioFormat input_;
    std::unique_ptr<media::VadEngine> vad_;
    media::SpeechDetector detector_;
    media::Resampler to_vad_;
    media::Resampler to_stt_;
    SampleRate stt_rate_;
    milliseconds pre_roll_;
    Output output_;
    media::CompactPcm history_form_;
    std::vector<std::byte> history_;  ///< ring of history_frames frames
    std::size_t history_size_{0};
    std::size_t history_next_{0};
    std::vector<media::Sample> vad_buffer_;
    std::vector<media::Sample> stt_buffer_;
    bool open_{false};
    TimePoint last_arrived_{};
};

}  // namespace oavc::pipeline
