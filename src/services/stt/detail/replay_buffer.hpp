#pragma once

#include "media/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace oavc::services {

/// The audio of one utterance that a recogniser may have to hear again, because its connection was
/// lost before it said what it heard. Positions count samples from the utterance's beginning. At
/// most `capacity` samples are kept; beyond it the oldest go.
class ReplayBuffer {
public:
    explicit ReplayBuffer(std::size_t capacity) : capacity_{capacity} {
        samples_.reserve(std::min(capacity, usual));
    }

    void append(media::Samples audio) {
        samples_.insert(samples_.end(), audio.begin(), audio.end());
        // In large steps: each moves everything that stays.
        if (samples_.size() > capacity_ + capacity_ / 16) drop(samples_.size() - capacity_);
    }

    std::size_t begin() const noexcept { return begin_; }
    std::size_t sent() const noexcept { return sent_; }
    std::size_t end() const noexcept { return begin_ + samples_.size(); }

    media::Samples unsent() const noexcept {
        return media::Samples{samples_}.subspan(sent_ - begin_);
    }
    void mark_sent(std::size_t count) noexcept { sent_ = std::min(sent_ + count, end()); }

    /// What lies before `position` was recognised for good.
    void settle(std::size_t position) {
        settled_ = std::max(settled_, std::min(position, sent_));
        if (settled_ > begin_) erase(settled_ - begin_);
    }

    /// The connection is lost: all that is not settled is to be sent again.
    void rewind() noexcept {
        lost_ += begin_ - std::max(settled_, counted_);
        counted_ = begin_;
        sent_ = begin_;
    }

    /// Samples that nobody heard, or that could not be said again.
    std::uint64_t lost() const noexcept { return lost_; }

private:
    static constexpr std::size_t usual = 64'000;  ///< 4 s of wideband: most utterances

    void drop(std::size_t count) {
        erase(count);
        if (sent_ >= begin_) return;
        lost_ += begin_ - std::max(sent_, counted_);
        counted_ = begin_;
        sent_ = begin_;
    }
    void erase(std::size_t count) {
        samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(count));
        begin_ += count;
    }

    std::size_t capacity_;
    std::vector<media::Sample> samples_;
    std::size_t begin_{0};    ///< position of the first sample kept
    std::size_t sent_{0};     ///< position of the first sample not sent
    std::size_t settled_{0};  ///< position up to which results are final
    std::size_t counted_{0};  ///< position up to which losses are counted
    std::uint64_t lost_{0};
};

}  // namespace oavc::services
