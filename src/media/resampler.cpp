#include "media/resampler.hpp"

#include "base/assert.hpp"

#include <speex/speex_resampler.h>

#include <algorithm>
#include <array>
#include <new>

namespace oavc::media {
namespace {

constexpr int quality = 3;  // measured: flat to 3.2 kHz, 88 dB, 3 ms, 2.5 µs a frame

}  // namespace

void Resampler::Destroy::operator()(SpeexResamplerState_* state) const noexcept {
    speex_resampler_destroy(state);
}

Resampler::Resampler(SampleRate in, SampleRate out) : in_{in}, out_{out} {
    OAVC_ASSERT(in.hz > 0 && out.hz > 0);
    if (in == out) return;
    int error = RESAMPLER_ERR_SUCCESS;
    state_.reset(speex_resampler_init(1, in.hz, out.hz, quality, &error));
    if (!state_) throw std::bad_alloc{};
    reset();
}

Resampler::~Resampler() = default;
Resampler::Resampler(Resampler&&) noexcept = default;
Resampler& Resampler::operator=(Resampler&&) noexcept = default;

std::size_t Resampler::max_output(std::size_t samples) const noexcept {
    if (!state_) return samples;
    // What the filter still holds is at most its length; one more for rounding.
    const auto held = static_cast<std::size_t>(speex_resampler_get_input_latency(state_.get())) * 2;
    return static_cast<std::size_t>((samples + held + 1) * std::uint64_t{out_.hz} / in_.hz) + 2;
}

std::size_t Resampler::run(Samples in, std::span<Sample> out) noexcept {
    std::size_t written = 0;
    while (!in.empty()) {
        auto in_count = static_cast<spx_uint32_t>(std::min<std::size_t>(in.size(), 1u << 20));
        auto out_count =
            static_cast<spx_uint32_t>(std::min<std::size_t>(out.size() - written, 1u << 24));
        speex_resampler_process_int(
            state_.get(), 0, in.data(), &in_count, out.data() + written, &out_count
        );
        if (in_count == 0 && out_count == 0) break;  // no room left
        in = in.subspan(in_count);
        written += out_count;
    }
    OAVC_ASSERT(in.empty());
    return written;
}

std::size_t Resampler::process(Samples in, std::span<Sample> out) noexcept {
    OAVC_ASSERT(out.size() >= max_output(in.size()));
    if (!state_) {
        std::ranges::copy(in, out.begin());
        return in.size();
    }
    consumed_ += in.size();
    const auto written = run(in, out);
    produced_ += written;
    return written;
}

std::size_t Resampler::flush(std::span<Sample> out) noexcept {
    if (!state_) return 0;
    OAVC_ASSERT(out.size() >= max_output(0));
    const auto whole = (consumed_ * out_.hz + in_.hz - 1) / in_.hz;
    const auto owed = static_cast<std::size_t>(whole > produced_ ? whole - produced_ : 0);
    // Silence pushes the tail out; what is made of the silence itself is cut off.
    constexpr std::array<Sample, 64> silence{};
    std::size_t written = 0;
    while (written < owed) {
        std::array<Sample, 512> chunk;
        spx_uint32_t in_count = silence.size();
        spx_uint32_t out_count = chunk.size();
        speex_resampler_process_int(
            state_.get(), 0, silence.data(), &in_count, chunk.data(), &out_count
        );
        const auto part = std::min<std::size_t>(out_count, owed - written);
        std::ranges::copy_n(
            chunk.begin(),
            static_cast<std::ptrdiff_t>(part),
            out.begin() + static_cast<std::ptrdiff_t>(written)
        );
        written += part;
    }
    reset();
    return written;
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
    consumed_ = 0;
    produced_ = 0;
    if (!state_) return;
    speex_resampler_reset_mem(state_.get());
    speex_resampler_skip_zeros(state_.get());  // aligns output to input
}

}  // namespace oavc::media
