#pragma once

#include "base/assert.hpp"
#include "media/compact_pcm.hpp"
#include "media/frame.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace oavc::services {

/// An utterance so far, for whoever has to hear it anew: 8 KB per second of telephone speech, in
/// blocks, so that a thousand callers who talk do not hold twice what they said. One sample rate.
class KeptSpeech {
public:
    explicit KeptSpeech(SampleRate rate) noexcept : form_{rate} {}

    SampleRate rate() const noexcept { return form_.rate(); }
    std::size_t size() const noexcept { return size_; }  ///< samples

    /// Throws std::bad_alloc.
    void append(media::Samples samples) {
        while (!samples.empty()) {
            const auto used = size_ % block_samples;
            if (used == 0) {
                blocks_.push_back(
                    std::make_unique_for_overwrite<std::byte[]>(form_.bytes(block_samples))
                );
            }
            const auto part = samples.first(std::min(samples.size(), block_samples - used));
            form_.pack(part, {blocks_.back().get() + form_.bytes(used), form_.bytes(part.size())});
            size_ += part.size();
            samples = samples.subspan(part.size());
        }
    }

    /// Samples from `begin` on, as many as `out` holds. They must be there (OAVC_ASSERT).
    void read(std::size_t begin, std::span<media::Sample> out) const noexcept {
        OAVC_ASSERT(begin + out.size() <= size_);
        while (!out.empty()) {
            const auto within = begin % block_samples;
            const auto count = std::min(out.size(), block_samples - within);
            const auto* block = blocks_[begin / block_samples].get();
            form_.unpack({block + form_.bytes(within), form_.bytes(count)}, out.first(count));
            begin += count;
            out = out.subspan(count);
        }
    }

private:
    static constexpr std::size_t block_samples = 1'600;  ///< 200 ms of telephone speech

    media::CompactPcm form_;
    std::vector<std::unique_ptr<std::byte[]>> blocks_;
    std::size_t size_{0};
};

}  // namespace oavc::services
