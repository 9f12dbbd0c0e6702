#include "base/assert.hpp"
#include "media/detail/resampler_engine.hpp"

#include <speex/speex_resampler.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>

namespace oavc::media::detail {
namespace {

constexpr int quality = 3;  // measured: flat to 3.2 kHz, 88 dB, 3 ms

class SpeexResampler final : public ResamplerEngine {
public:
    SpeexResampler(SampleRate in, SampleRate out) : in_{in}, out_{out} {
        int error = RESAMPLER_ERR_SUCCESS;
        state_.reset(speex_resampler_init(1, in.hz, out.hz, quality, &error));
        if (!state_) throw std::bad_alloc{};
        reset();
    }

    std::size_t max_output(std::size_t samples) const noexcept override {
        // What the filter still holds is at most its length; one more for rounding.
        const auto held =
            static_cast<std::size_t>(speex_resampler_get_input_latency(state_.get())) * 2;
        return static_cast<std::size_t>((samples + held + 1) * std::uint64_t{out_.hz} / in_.hz) + 2;
    }

    std::size_t process(Samples in, std::span<Sample> out) noexcept override {
        consumed_ += in.size();
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
        produced_ += written;
        return written;
    }

    std::size_t flush(std::span<Sample> out) noexcept override {
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
            std::ranges::copy(std::span{chunk}.first(part), out.subspan(written).begin());
            written += part;
        }
        reset();
        return written;
    }

    void reset() noexcept override {
        consumed_ = 0;
        produced_ = 0;
        speex_resampler_reset_mem(state_.get());
        speex_resampler_skip_zeros(state_.get());  // aligns output to input
    }

private:
    struct Destroy {
        void operator()(SpeexResamplerState* state) const noexcept {
            speex_resampler_destroy(state);
        }
    };

    SampleRate in_;
    SampleRate out_;
    std::unique_ptr<SpeexResamplerState, Destroy> state_;
    std::uint64_t consumed_{0};  ///< of this utterance
    std::uint64_t produced_{0};
};

}  // namespace

std::unique_ptr<ResamplerEngine> make_speex_resampler(SampleRate in, SampleRate out) {
    return std::make_unique<SpeexResampler>(in, out);
}

}  // namespace oavc::media::detail
