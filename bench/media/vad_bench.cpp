// What voice detection costs: µs of CPU per second of one call's audio, and bytes per call.
//
// Each iteration gives every stream one 20 ms frame, as a shard's tick does: with many streams the
// state is not in the first cache when its turn comes.

#include "benchmark/benchmark.h"
#include "media/detail/silero_model.hpp"
#include "media/detail/silero_net.hpp"
#include "media/vad.hpp"
#include "media/vad_silero.hpp"
#include "media/vad_webrtc.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"
#include "support/silero_file.hpp"

#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

namespace {

using namespace oavc;
using media::Samples;

std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

/// Speech-like sound with pauses and some noise: neither engine finds a short cut.
test::Pcm sound(SampleRate rate) {
    auto pcm = test::buzz(2 * rate.hz, rate);
    test::append(pcm, test::noise(rate.hz, 100));
    return pcm;
}

void run(benchmark::State& state, const media::VadFactory& factory, SampleRate rate) {
    const auto streams = static_cast<std::size_t>(state.range(0));
    const std::size_t before = heap_bytes();
    std::vector<std::unique_ptr<media::VadEngine>> engines;
    engines.reserve(streams);
    for (std::size_t i = 0; i < streams; ++i)
        engines.push_back(factory.make(rate));
    const std::size_t used = heap_bytes() - before - streams * sizeof(engines[0]);

    const auto pcm = sound(rate);
    const std::size_t frame = samples_in(frame_time, rate);
    const std::size_t frames = pcm.size() / frame;
    std::size_t at = 0;
    const auto allocations = test::allocations();
    for (auto _ : state) {
        for (std::size_t i = 0; i < streams; ++i) {
            const auto samples = Samples{pcm}.subspan((at + 7 * i) % frames * frame, frame);
            benchmark::DoNotOptimize(engines[i]->process({samples, rate}));
        }
        ++at;
    }
    const auto allocated = test::allocations() - allocations;
    const auto processed = static_cast<double>(state.iterations()) * static_cast<double>(streams);
    const double audio_seconds = processed / 50;
    using benchmark::Counter;
    // CPU seconds per second of audio, shown with its SI prefix (…u: microseconds).
    state.counters["cpu_s_per_audio_s"] =
        Counter(audio_seconds, Counter::kIsRate | Counter::kInvert);
    state.counters["streams_per_core"] = Counter(audio_seconds, Counter::kIsRate);
    state.counters["bytes_per_stream"] = static_cast<double>(used) / static_cast<double>(streams);
    state.counters["allocs_per_frame"] = static_cast<double>(allocated) / processed;
}

/// The real weights where the shared folder has them, else others of the same shape (and cost).
std::vector<std::byte> silero_bytes() {
    const auto real = test::shared_file("models/ggml-silero-v6.2.0.bin");
    return real.empty() ? test::silero_file() : test::read_bytes(real);
}

void webrtc(benchmark::State& state) { run(state, *media::make_webrtc_vad(2), narrowband); }

void with_silero(benchmark::State& state, media::SileroDuty duty, SampleRate rate) {
    const auto path =
        std::filesystem::temp_directory_path() / ("oavc-vad-bench-" + std::to_string(::getpid()));
    const auto bytes = silero_bytes();
    std::ofstream{path, std::ios::binary}.write(
        reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())
    );
    const auto factory = media::make_silero_vad(path, 0.5, duty);
    std::filesystem::remove(path);
    if (!factory) return state.SkipWithError(factory.error().c_str());
    run(state, **factory, rate);
}
void silero(benchmark::State& state) { with_silero(state, media::SileroDuty::always, narrowband); }
void silero_wideband(benchmark::State& state) {
    with_silero(state, media::SileroDuty::always, wideband);
}
void gated(benchmark::State& state) { with_silero(state, media::SileroDuty::gated, narrowband); }

/// One window through the network alone.
void silero_window(benchmark::State& state, media::detail::SileroNet net) {
    const auto model = media::detail::parse_silero(silero_bytes());
    media::detail::SileroState memory;
    const auto pcm = sound(wideband);
    std::array<float, media::detail::SileroModel::window> window;
    std::size_t at = 0;
    for (auto _ : state) {
        for (auto& sample : window)
            sample = static_cast<float>(pcm[at++ % pcm.size()]) / 32'768.0F;
        benchmark::DoNotOptimize(net(**model, memory, window));
    }
}
void silero_window_best(benchmark::State& state) {
    silero_window(state, media::detail::silero_net());
}
void silero_window_baseline(benchmark::State& state) {
    silero_window(state, media::detail::silero_net_baseline);
}

BENCHMARK(webrtc)->Arg(1)->Arg(100)->Arg(1'000);
BENCHMARK(silero)->Arg(1)->Arg(100)->Arg(1'000);
BENCHMARK(silero_wideband)->Arg(1)->Arg(1'000);
BENCHMARK(gated)->Arg(1)->Arg(1'000);
BENCHMARK(silero_window_best);
BENCHMARK(silero_window_baseline);

}  // namespace
