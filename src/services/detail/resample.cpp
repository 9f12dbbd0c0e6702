#include "services/detail/resample.hpp"

#include <speex/speex_resampler.h>

#include <algorithm>

namespace oavc::services {

std::vector<media::Sample> resample(media::Samples samples, SampleRate from, SampleRate to) {
    if (from == to || samples.empty()) return {samples.begin(), samples.end()};
    constexpr int quality = 5;
    int error = 0;
    auto* const state = speex_resampler_init(1, from.hz, to.hz, quality, &error);
    if (state == nullptr) return {};
    speex_resampler_skip_zeros(state);
    const auto wanted = samples.size() * to.hz / from.hz;
    std::vector<media::Sample> out(wanted + to.hz / 100);
    std::size_t written = 0;
    const auto feed = [&](media::Samples part) {
        while (!part.empty() && written < wanted) {
            auto in_size = static_cast<spx_uint32_t>(std::min<std::size_t>(part.size(), 1 << 20));
            auto out_size =
                static_cast<spx_uint32_t>(std::min<std::size_t>(out.size() - written, 1 << 20));
            speex_resampler_process_int(
                state, 0, part.data(), &in_size, out.data() + written, &out_size
            );
            part = part.subspan(in_size);
            written += out_size;
            if (in_size == 0 && out_size == 0) return;
        }
    };
    feed(samples);
    // The filter still holds the end of the recording.
    const std::vector<media::Sample> silence(from.hz / 50);
    feed(silence);
    speex_resampler_destroy(state);
    out.resize(std::min(written, wanted));
    return out;
}

}  // namespace oavc::services
