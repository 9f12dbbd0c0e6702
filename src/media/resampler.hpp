#pragma once

#include "media/frame.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace oavc::media {

namespace detail {
class ResamplerEngine;
}

/// Streaming mono resampler from any rate to any rate: a filter of our own between all usual ones,
/// cheapest where one is 2 to 6 times the other; libspeexdsp elsewhere. Chunks of any length give
/// the same samples as one long chunk. Output is aligned to the input: sample n of the output is
/// input time n / out, and it appears once the filter has seen half its length ahead (3 ms at 8
/// kHz).
///
///     process … process, flush   one utterance: exactly ⌈n · out / in⌉ samples
///     process … reset            an utterance broken off: its tail is dropped
///
/// After flush or reset the next sample begins a new utterance; nothing of the old one leaks into
/// it. Equal rates copy. Allocates when constructed only (the vector forms grow their vector).
/// Owner and thread: one stream's.
class Resampler {
public:
    /// Rates above 0 (OAVC_ASSERT). Throws std::bad_alloc.
    Resampler(SampleRate in, SampleRate out);
    ~Resampler();
    Resampler(Resampler&&) noexcept;
    Resampler& operator=(Resampler&&) noexcept;

    SampleRate input_rate() const noexcept { return in_; }
    SampleRate output_rate() const noexcept { return out_; }

    /// Room that `process` of `samples` needs, and with 0 that `flush` needs.
    std::size_t max_output(std::size_t samples) const noexcept;

    /// Consumes all of `in`; returns how much of `out` was written. `out` has room for
    /// max_output(in.size()) (OAVC_ASSERT).
    std::size_t process(Samples in, std::span<Sample> out) noexcept;

    /// The utterance is over: writes its tail. `out` has room for max_output(0).
    std::size_t flush(std::span<Sample> out) noexcept;

    /// The same, appended.
    void process(Samples in, std::vector<Sample>& out);
    void flush(std::vector<Sample>& out);

    /// The utterance is broken off: forgets its tail.
    void reset() noexcept;

private:
    SampleRate in_;
    SampleRate out_;
    std::unique_ptr<detail::ResamplerEngine> engine_;  ///< null: equal rates
};

}  // namespace oavc::media
