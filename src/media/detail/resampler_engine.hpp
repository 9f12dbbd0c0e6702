#pragma once

#include "media/frame.hpp"

#include <cstddef>
#include <memory>
#include <span>

namespace oavc::media::detail {

/// What a Resampler turns one rate into another with; its contract is Resampler's.
class ResamplerEngine {
public:
    virtual ~ResamplerEngine() = default;

    virtual std::size_t max_output(std::size_t samples) const noexcept = 0;
    virtual std::size_t process(Samples in, std::span<Sample> out) noexcept = 0;
    virtual std::size_t flush(std::span<Sample> out) noexcept = 0;
    virtual void reset() noexcept = 0;
};

/// libspeexdsp: any rates. 1.5 KB or more each, most of it the filter. Throws std::bad_alloc.
std::unique_ptr<ResamplerEngine> make_speex_resampler(SampleRate in, SampleRate out);

}  // namespace oavc::media::detail
