// The caller's audio on its way in and ours on its way out, without turns and services: ns per
// 20 ms frame, allocations per frame.

#include "benchmark/benchmark.h"
#include "media/vad_config.hpp"
#include "media/vad_webrtc.hpp"
#include "pipeline/audio_processor.hpp"
#include "pipeline/playout_queue.hpp"
#include "support/alloc_guard.hpp"

#include <array>
#include <memory>
#include <random>
#include <vector>

namespace {

using namespace oavc;

/// Decides nothing: what is measured is what is around it.
class DeafVad final : public media::VadEngine {
    SampleRate input_rate() const noexcept override { return narrowband; }
    media::VadDecisions process(media::FrameView) noexcept override { return {&decision_, 1}; }
    void reset() noexcept override {}
    media::VadDecision decision_;
};

std::vector<media::Sample> noise(std::size_t samples) {
    std::mt19937 random{7};
    std::normal_distribution<double> level{0, 1'000};
    std::vector<media::Sample> made(samples);
    for (auto& sample : made)
        sample = static_cast<media::Sample>(level(random));
    return made;
}

/// Arguments: the recogniser's rate; 1: the caller talks (every frame goes to the recogniser).
void audio_processor(benchmark::State& state) {
    std::size_t given = 0;
    pipeline::AudioProcessor processor{
        {},
        std::make_unique<DeafVad>(),
        media::VadConfig{},
        SampleRate{static_cast<std::uint32_t>(state.range(0))},
        [&given](media::FrameView frame) { given += frame.samples.size(); }};
    const auto audio = noise(160 * 50);
    TimePoint now{};
    if (state.range(1) != 0) processor.open(now);
    std::size_t at = 0;
    const test::AllocGuard guard;
    for (auto _ : state) {
        now += frame_time;
        processor.on_frame({media::Samples{audio}.subspan(at, 160), narrowband}, now);
        at = (at + 160) % audio.size();
    }
    benchmark::DoNotOptimize(given);
    state.counters["allocations"] =
        benchmark::Counter(static_cast<double>(guard.count()), benchmark::Counter::kAvgIterations);
}
BENCHMARK(audio_processor)
    ->ArgNames({"recogniser_hz", "talks"})
    ->Args({8'000, 0})
    ->Args({8'000, 1})
    ->Args({16'000, 1});

/// A reply of 4 s, frame by frame. Argument: 1: its audio is shared with other calls.
void playout_queue(benchmark::State& state) {
    const auto audio = std::make_shared<const std::vector<media::Sample>>(noise(32'000));
    const media::Samples samples{*audio};
    pipeline::PlayoutQueue queue{{}};
    std::array<media::Sample, 160> frame{};
    std::size_t frames = 0;
    const test::AllocGuard guard;
    for (auto _ : state) {
        queue.begin();
        queue.begin_sentence({});
        if (state.range(0) != 0) {
            queue.append(samples, audio);
        } else {
            for (std::size_t at = 0; at < samples.size(); at += 1'600)
                queue.append(samples.subspan(at, 1'600));
        }
        queue.finish();
        while (queue.take_frame(frame))
            ++frames;
        queue.release();
    }
    benchmark::DoNotOptimize(frame);
    state.SetItemsProcessed(static_cast<std::int64_t>(frames));
    state.counters["allocations/frame"] =
        static_cast<double>(guard.count()) / static_cast<double>(frames);
}
BENCHMARK(playout_queue)->ArgName("shared")->Arg(0)->Arg(1);

}  // namespace
