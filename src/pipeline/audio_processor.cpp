#include "pipeline/audio_processor.hpp"

#include "base/assert.hpp"
#include "media/level.hpp"

#include <algorithm>

namespace oavc::pipeline {

AudioProcessor::AudioProcessor(
    media::AudioFormat input,
    std::unique_ptr<media::VadEngine> vad,
    const media::VadConfig& config,
    SampleRate recogniser_rate,
    Output to_recogniser
)
    : input_{input},
      vad_{std::move(vad)},
      detector_{vad_->input_rate(), config.min_speech, config.min_silence, vad_->hang_over()},
      to_vad_{input.rate, vad_->input_rate()},
      to_stt_{input.rate, recogniser_rate},
      stt_rate_{recogniser_rate},
      pre_roll_{config.pre_roll},
      output_{std::move(to_recogniser)},
      history_form_{input.rate},
      history_(history_frames * history_form_.bytes(input.samples_per_frame())) {
    if (input.rate != recogniser_rate) {
        stt_buffer_.resize(to_stt_.max_output(input.samples_per_frame()));
    }
    // A resampler's frames vary by a sample; the engine wants exactly 20 ms, so one is kept over.
    if (input.rate != vad_->input_rate()) {
        vad_buffer_.reserve(
            samples_in(frame_time, vad_->input_rate()) +
            to_vad_.max_output(input.samples_per_frame())
        );
    }
}

std::span<std::byte> AudioProcessor::place(std::size_t index) noexcept {
    const auto size = history_form_.bytes(input_.samples_per_frame());
    return std::span{history_}.subspan(index * size, size);
}

TimePoint AudioProcessor::time_of(media::SamplePosition position, TimePoint arrived)
    const noexcept {
    const auto behind = static_cast<std::size_t>(detector_.position() - position);
    return arrived - duration_of(behind, vad_->input_rate());
}

AudioProcessor::Heard AudioProcessor::on_frame(media::FrameView frame, TimePoint arrived) noexcept {
    Heard heard;
    heard.volume = media::volume(frame.samples);

    OAVC_ASSERT(frame.samples.size() == input_.samples_per_frame());
    history_form_.pack(frame.samples, place(history_next_));
    history_next_ = (history_next_ + 1) % history_frames;
    history_size_ = std::min(history_size_ + 1, history_frames);
    last_arrived_ = arrived;

    const auto wanted = samples_in(frame_time, vad_->input_rate());
    if (frame.rate == vad_->input_rate() && frame.samples.size() == wanted) {
        judge(frame.samples, arrived, heard);
    } else {
        to_vad_.process(frame.samples, vad_buffer_);
        while (vad_buffer_.size() >= wanted) {
            judge(media::Samples{vad_buffer_}.first(wanted), arrived, heard);
            vad_buffer_.erase(
                vad_buffer_.begin(), vad_buffer_.begin() + static_cast<std::ptrdiff_t>(wanted)
            );
        }
    }
    heard.last_voiced = time_of(detector_.last_voiced(), arrived);
    if (open_) send(frame);
    return heard;
}

void AudioProcessor::judge(media::Samples samples, TimePoint arrived, Heard& heard) noexcept {
    const auto decisions = vad_->process({samples, vad_->input_rate()});
    const auto event = detector_.on_frame(decisions, samples.size());
    if (!event) return;
    if (event->kind == media::SpeechEvent::Kind::started) {
        heard.speech_started = time_of(event->first_voiced, arrived);
    } else {
        heard.speech_stopped = time_of(event->last_voiced, arrived);
    }
}

void AudioProcessor::open(TimePoint onset) noexcept {
    to_stt_.reset();
    // The frame that revealed the speech is in the history already, and send() was not called for
    // it: open() runs after on_frame().
    const auto since = std::max(last_arrived_ - onset, Clock::duration{0}) + pre_roll_;
    const auto wanted = static_cast<std::size_t>(since / input_.ptime) + 1;
    const auto count = std::min(wanted, history_size_);
    std::array<media::Sample, media::max_frame_samples> buffer;
    const auto frame = std::span{buffer}.first(input_.samples_per_frame());
    for (std::size_t back = count; back > 0; --back) {
        history_form_.unpack(
            place((history_next_ + history_frames - back) % history_frames), frame
        );
        send({frame, input_.rate});
    }
    open_ = true;
}

void AudioProcessor::close() noexcept {
    if (!open_) return;
    open_ = false;
    if (stt_rate_ == input_.rate) return;
    const auto size = to_stt_.flush(std::span{stt_buffer_});
    if (size > 0) output_({media::Samples{stt_buffer_}.first(size), stt_rate_});
}

void AudioProcessor::drop() noexcept {
    open_ = false;
    to_stt_.reset();
}

void AudioProcessor::send(media::FrameView frame) noexcept {
    if (stt_rate_ == input_.rate) {
        output_(frame);
        return;
    }
    const auto size = to_stt_.process(frame.samples, std::span{stt_buffer_});
    if (size > 0) output_({media::Samples{stt_buffer_}.first(size), stt_rate_});
}

}  // namespace oavc::pipeline
