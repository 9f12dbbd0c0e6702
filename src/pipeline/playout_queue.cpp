#include "pipeline/playout_queue.hpp"

#include <algorithm>
#include <utility>

namespace oavc::pipeline {

namespace {

/// Chunks smaller than this are joined: some voices give 10 ms at a time.
constexpr milliseconds usual_piece{200};

}  // namespace

void PlayoutQueue::begin() {
    pieces_.clear();
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
    if (samples.empty()) return;
    forget_played();
    const auto usual = samples_in(usual_piece, format_.rate);
    const bool joins = !pieces_.empty() && !pieces_.back().owner &&
                       pieces_.back().own.size() + samples.size() <= usual;
    if (!joins) {
        pieces_.push_back({{}, nullptr, {}, appended_});
        pieces_.back().own.reserve(std::max(usual, samples.size()));
    }
    auto& piece = pieces_.back();
    piece.own.insert(piece.own.end(), samples.begin(), samples.end());
    piece.samples = piece.own;
    appended(samples.size());
}

void PlayoutQueue::append(media::Samples samples, std::shared_ptr<const void> owner) {
    if (samples.empty()) return;
    forget_played();
    pieces_.push_back({{}, std::move(owner), samples, appended_});
    appended(samples.size());
}

void PlayoutQueue::appended(std::size_t samples) {
    appended_ += samples;
    pieces_.back().end = appended_;
    if (!sentences_.empty()) sentences_.back().end = appended_;
}

/// What can be taken back stays.
void PlayoutQueue::forget_played() {
    const std::uint64_t kept = samples_in(kept_, format_.rate);
    const auto first = std::ranges::find_if(pieces_, [&](const Piece& piece) {
        return piece.end + kept > taken_;
    });
    if (first == pieces_.begin()) return;
    base_ = std::prev(first)->end;
    pieces_.erase(pieces_.begin(), first);
}

bool PlayoutQueue::take_frame(std::span<media::Sample> frame) noexcept {
    const auto available = static_cast<std::size_t>(appended_ - taken_);
    if (available == 0 || (available < frame.size() && !finished_)) return false;
    auto piece = std::ranges::upper_bound(pieces_, taken_, {}, &Piece::end);
    while (!frame.empty() && piece != pieces_.end()) {
        const auto rest = piece->samples.last(static_cast<std::size_t>(piece->end - taken_));
        const auto part = rest.first(std::min(rest.size(), frame.size()));
        std::ranges::copy(part, frame.begin());
        taken_ += part.size();
        frame = frame.subspan(part.size());
        ++piece;
    }
    std::ranges::fill(frame, media::Sample{0});
    return true;
}

void PlayoutQueue::keep(milliseconds unheard) noexcept {
    kept_ = std::max(kept_, std::min(unheard + history / 2, high_water));
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
        if (sentence.begin >= heard) break;
        if (sentence.begin == sentence.end) continue;  // nothing of it sounds
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
    pieces_.shrink_to_fit();
}

std::string_view spoken_part(std::string_view text, double share) noexcept {
    const auto reached = static_cast<std::size_t>(share * static_cast<double>(text.size()));
    if (reached >= text.size()) return text;
    // A word counts once it has been spoken to its end.
    const auto end = text.find_last_of(' ', reached);
    return end == std::string_view::npos ? std::string_view{} : text.substr(0, end);
}

}  // namespace oavc::pipeline
