// What the arithmetic on samples costs, per frame of 20 ms, and what is allocated for it (nothing).

#include "benchmark/benchmark.h"
#include "media/detail/g711_loops.hpp"
#include "media/g711.hpp"
#include "media/level.hpp"
#include "media/resampler.hpp"
#include "support/alloc_guard.hpp"
#include "support/rtp_packets.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace {

using namespace oavc;

void resample_frame(benchmark::State& state) {
    const SampleRate in{static_cast<std::uint32_t>(state.range(0))};
    const SampleRate out{static_cast<std::uint32_t>(state.range(1))};
    media::Resampler resampler{in, out};
    const auto frame = test::tone(700, in.hz / 50, 8'000, 0, in.hz);
    std::vector<media::Sample> room(resampler.max_output(frame.size()));
    const test::AllocGuard guard;
    for (auto _ : state) {
        benchmark::DoNotOptimize(resampler.process(frame, std::span{room}));
        benchmark::ClobberMemory();
    }
    state.counters["allocations"] = static_cast<double>(guard.count());
}

/// A frame of 20 ms by one of the loops.
void g711_encode_frame(benchmark::State& state, media::detail::G711Loops::Encode encode) {
    const auto speech = test::tone(300, 160);
    std::array<std::byte, 160> coded{};
    const test::AllocGuard guard;
    for (auto _ : state) {
        encode(speech.data(), coded.data(), coded.size());
        benchmark::ClobberMemory();
    }
    state.counters["allocations"] = static_cast<double>(guard.count());
}

void g711_decode_frame(benchmark::State& state, media::detail::G711Loops::Decode decode) {
    std::array<std::byte, 160> coded{};
    media::g711::ulaw_encode(test::tone(300, 160), coded);
    std::array<media::Sample, 160> speech{};
    const test::AllocGuard guard;
    for (auto _ : state) {
        decode(coded.data(), speech.data(), speech.size());
        benchmark::ClobberMemory();
    }
    state.counters["allocations"] = static_cast<double>(guard.count());
}

void ulaw_encode_frame(benchmark::State& state) {
    g711_encode_frame(state, media::detail::g711_loops().ulaw_encode);
}
void ulaw_encode_frame_baseline(benchmark::State& state) {
    g711_encode_frame(state, media::detail::g711_loops_baseline.ulaw_encode);
}
void alaw_encode_frame(benchmark::State& state) {
    g711_encode_frame(state, media::detail::g711_loops().alaw_encode);
}
void ulaw_decode_frame(benchmark::State& state) {
    g711_decode_frame(state, media::detail::g711_loops().ulaw_decode);
}
void ulaw_decode_frame_baseline(benchmark::State& state) {
    g711_decode_frame(state, media::detail::g711_loops_baseline.ulaw_decode);
}
void alaw_decode_frame(benchmark::State& state) {
    g711_decode_frame(state, media::detail::g711_loops().alaw_decode);
}

/// Speech, and silence as it is between utterances (the argument: its peak).
void volume_of_frame(benchmark::State& state) {
    const auto frame = test::tone(300, 160, static_cast<double>(state.range(0)));
    for (auto _ : state) {
        benchmark::DoNotOptimize(media::volume(frame));
        benchmark::ClobberMemory();
    }
}

void is_frame_voiced(benchmark::State& state) {
    const auto frame = test::tone(300, 160);
    for (auto _ : state) {
        benchmark::DoNotOptimize(media::is_voiced(frame));
        benchmark::ClobberMemory();
    }
}

BENCHMARK(volume_of_frame)->Arg(8'000)->Arg(8);
BENCHMARK(is_frame_voiced);
BENCHMARK(ulaw_encode_frame);
BENCHMARK(ulaw_encode_frame_baseline);
BENCHMARK(alaw_encode_frame);
BENCHMARK(ulaw_decode_frame);
BENCHMARK(ulaw_decode_frame_baseline);
BENCHMARK(alaw_decode_frame);
BENCHMARK(resample_frame)
    ->Args({8'000, 16'000})
    ->Args({16'000, 8'000})
    ->Args({22'050, 8'000})
    ->Args({24'000, 8'000});

}  // namespace
