#include "media/resampler.hpp"

#include "base/assert.hpp"
#include "media/detail/polyphase.hpp"
#include "media/detail/resampler_engine.hpp"

#include <algorithm>
#include <numeric>

namespace oavc::media {
namespace {

std::unique_ptr<detail::ResamplerEngine> make_engine(SampleRate in, SampleRate out) {
    OAVC_ASSERT(in.hz > 0 && out.hz > 0);
    if (in == out) return nullptr;
    const auto common = std::gcd(in.hz, out.hz);
    const std::size_t up = out.hz / common;
    const std::size_t down = in.hz / common;
    if (!detail::PolyphaseFilter::is_possible(up, down))
        return detail::make_speex_resampler(in, out);
    return detail::make_polyphase_resampler(detail::PolyphaseFilter::of(up, down));
}

}  // namespace

Resampler::Resampler(SampleRate in, SampleRate out)
    : in_{in}, out_{out}, engine_{make_engine(in, out)} {}

Resampler::~Resampler() = default;
Resampler::Resampler(Resampler&&) noexcept = default;
Resampler& Resampler::operator=(Resampler&&) noexcept = default;

std::size_t Resampler::max_output(std::size_t samples) const noexcept {
    return engine_ ? engine_->max_output(samples) : samples;
}

std::size_t Resampler::process(Samples in, std::span<Sample> out) noexcept {
    OAVC_ASSERT(out.size() >= max_output(in.size()));
    if (engine_) return engine_->process(in, out);
    std::ranges::copy(in, out.begin());
    return in.size();
}

std::size_t Resampler::flush(std::span<Sample> out) noexcept {
    if (!engine_) return 0;
    OAVC_ASSERT(out.size() >= max_output(0));
    return engine_->flush(out);
}

void Resampler::process(Samples in, std::vector<Sample>& out) {
    const auto before = out.size();
    out.resize(before + max_output(in.size()));
    out.resize(before + process(in, std::span{out}.subspan(before)));
}

void Resampler::flush(std::vector<Sample>& out) {
    const auto before = out.size();
    out.resize(before + max_output(0));
    out.resize(before + flush(std::span{out}.subspan(before)));
}

void Resampler::reset() noexcept {
    if (engine_) engine_->reset();
}

}  // namespace oavc::media
