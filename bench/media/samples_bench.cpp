// What the arithmetic on samples costs, per frame of 20 ms, and what is allocated for it (nothing).

#include "benchmark/benchmark.h"
#include "media/detail/g711_loops.hpp"
#include "media/detail/polyphase.hpp"
#include "media/detail/resampler_engine.hpp"
#include "media/g711.hpp"
#include "media/level.hpp"
#include "media/resampler.hpp"
#include "support/alloc_guard.hpp"
#include "support/rtp_packets.hpp"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

namespace {

using namespace oavc;

std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

/// The arguments: from and to what rate. `make` makes an engine of it.
template <class Make>
void resample(benchmark::State& state, Make make) {
    const SampleRate in{static_cast<std::uint32_t>(state.range(0))};
    const SampleRate out{static_cast<std::uint32_t>(state.range(1))};
    const auto engine = make(in, out);  // and the filter that all share
    std::vector<decltype(make(in, out))> many(100);
    const auto before = heap_bytes();
    for (auto& one : many)
        one = make(in, out);
    state.counters["bytes"] =
        static_cast<double>(heap_bytes() - before) / static_cast<double>(many.size());

    const auto frame = test::tone(700, in.hz / 50, 8'000, 0, in.hz);
    std::vector<media::Sample> room(engine->max_output(frame.size()));
    const test::AllocGuard guard;
    for (auto _ : state) {
        benchmark::DoNotOptimize(engine->process(frame, std::span{room}));
        benchmark::ClobberMemory();
    }
    state.counters["allocations"] = static_cast<double>(guard.count());
}

void resample_frame(benchmark::State& state) {
    resample(state, [](SampleRate in, SampleRate out) {
        return std::make_unique<media::Resampler>(in, out);
    });
}
void resample_frame_baseline(benchmark::State& state) {
    resample(state, [](SampleRate in, SampleRate out) {
        const auto common = std::gcd(in.hz, out.hz);
        return media::detail::make_polyphase_resampler(
            media::detail::PolyphaseFilter::of(out.hz / common, in.hz / common),
            media::detail::polyphase_kernel_baseline
        );
    });
}
void resample_frame_speex(benchmark::State& state) {
    resample(state, media::detail::make_speex_resampler);
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
    ->Args({24'000, 8'000})
    ->Args({48'000, 8'000})
    ->Args({22'050, 8'000});
BENCHMARK(resample_frame_baseline)->Args({8'000, 16'000})->Args({16'000, 8'000});
BENCHMARK(resample_frame_speex)
    ->Args({8'000, 16'000})
    ->Args({16'000, 8'000})
    ->Args({24'000, 8'000})
    ->Args({48'000, 8'000})
    ->Args({22'050, 8'000});

}  // namespace
