#include "pipeline/playout_queue.hpp"

#include <algorithm>

namespace oavc::pipeline {

void PlayoutQueue::begin() {
    buffer_.clear();
    sentences_.clear();
    base_ = 0;
    taken_ = 0;
    appended_ = 0;
    finished_ = false;
}

void PlayoutQueue::begin_sentence(std::string text) {
    sentences_.push_back({std::move(text), appended_, appended_});
}

void PlayoutQueue::append(media::Samples samples) {
    const auto kept = samples_in(history, format_.rate);
    const auto played = static_cast<std::size_t>(taken_ - base_);
    if (played > 2 * kept) {  // in large steps, so that the copy is rare
        const auto drop = played - kept;
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(drop));
        base_ += drop;
    }
    buffer_.insert(buffer_.end(), samples.begin(), samples.end());
    appended_ += samples.size();
    if (!sentences_.empty()) sentences_.back().end = appended_;
}

bool PlayoutQueue::take_frame(std::span<media::Sample> frame) noexcept {
    const auto available = static_cast<std::size_t>(appended_ - taken_);
    if (available == 0 || (available < frame.size() && !finished_)) return false;
    const auto count = std::min(available, frame.size());
    const auto first = buffer_.begin() + static_cast<std::ptrdiff_t>(taken_ - base_);
    std::copy_n(first, count, frame.begin());
    std::fill(frame.begin() + static_cast<std::ptrdiff_t>(count), frame.end(), media::Sample{0});
    taken_ += count;
    return true;
}

void PlayoutQueue::rewind(milliseconds unheard) noexcept {
    const std::uint64_t back = samples_in(unheard, format_.rate);
    taken_ = std::max(base_, taken_ - std::min(taken_, back));
}

milliseconds PlayoutQueue::queued() const noexcept {
    const auto samples = static_cast<std::size_t>(appended_ - taken_);
    return std::chrono::duration_cast<milliseconds>(duration_of(samples, format_.rate));
}

std::string PlayoutQueue::heard_text(milliseconds unheard) const {
    const std::uint64_t back = samples_in(unheard, format_.rate);
    const std::uint64_t heard = taken_ - std::min(taken_, back);
    std::string text;
    for (const Sentence& sentence : sentences_) {
        if (sentence.begin >= heard || sentence.begin == sentence.end) break;
        std::string_view part = sentence.text;
        // The sentence that is still being synthesised ends where its audio ends so far.
        if (heard < sentence.end) {
            const auto share = static_cast<double>(heard - sentence.begin) /
                               static_cast<double>(sentence.end - sentence.begin);
            part = spoken_part(part, share);
        }
        if (part.empty()) break;
        if (!text.empty()) text += ' ';
        text += part;
    }
    return text;
}

void PlayoutQueue::release() noexcept {
    begin();
    buffer_.shrink_to_fit();
}

std::string_view spoken_part(std::string_view text, double share) noexcept {
    const auto reached = static_cast<std::size_t>(share * static_cast<double>(text.size()));
    if (reached >= text.size()) return text;
    // A word counts once it has been spoken to its end.
    const auto end = text.find_last_of(' ', reached);
    return end == std::string_view::npos ? std::string_view{} : text.substr(0, end);
}

}  // namespace oavc::pipeline
