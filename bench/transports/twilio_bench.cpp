// What one message of a Twilio call costs, without the socket: in = parse, decode, cut into frames,
// µ-law to PCM; out = PCM to µ-law, base64, JSON.
#define OAVC_ALLOC_GUARD_IMPLEMENTATION
#include "base/base64.hpp"
#include "media/g711.hpp"
#include "support/alloc_guard.hpp"
#include "transports/twilio/form.hpp"
#include "transports/twilio/media_protocol.hpp"
#include "transports/twilio/playout.hpp"
#include "transports/twilio/signature.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <string>
#include <vector>

namespace {

using namespace oavc;
using namespace oavc::transports::twilio;

constexpr std::string_view stream_sid = "MZ00000000000000000000000000000001";

std::vector<std::byte> noise(std::size_t size) {
    std::vector<std::byte> bytes(size);
    unsigned state = 1;
    for (auto& b : bytes)
        b = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
    return bytes;
}

std::string media_message() {
    CarrierWriter writer{
        {"AC00000000000000000000000000000001", "CA1", std::string{stream_sid}, {}}};
    return writer.media(noise(ulaw_frame_bytes), 20);
}

void report(benchmark::State& state, const test::AllocGuard& guard) {
    state.counters["allocations"] =
        benchmark::Counter(static_cast<double>(guard.count()), benchmark::Counter::kAvgIterations);
}

void message_in(benchmark::State& state) {
    const auto message = media_message();
    StreamParser parser;
    FrameAssembler assembler;
    std::array<media::Sample, ulaw_frame_bytes> pcm{};
    const auto decode = [&](FrameAssembler::Frame frame) { media::g711::ulaw_decode(frame, pcm); };
    benchmark::DoNotOptimize(parser.parse(message));
    const test::AllocGuard guard;
    for (auto _ : state) {
        const auto parsed = parser.parse(message);
        benchmark::DoNotOptimize(assembler.push_base64(parsed->payload, decode));
        benchmark::DoNotOptimize(pcm.data());
    }
    report(state, guard);
}
BENCHMARK(message_in);

void parse_only(benchmark::State& state) {
    const auto message = media_message();
    StreamParser parser;
    benchmark::DoNotOptimize(parser.parse(message));
    const test::AllocGuard guard;
    for (auto _ : state)
        benchmark::DoNotOptimize(parser.parse(message));
    report(state, guard);
}
BENCHMARK(parse_only);

void message_out(benchmark::State& state) {
    std::array<media::Sample, ulaw_frame_bytes> pcm{};
    for (std::size_t i = 0; i < pcm.size(); ++i)
        pcm[i] = static_cast<media::Sample>(i * 200);
    std::array<std::byte, ulaw_frame_bytes> ulaw{};
    StreamWriter writer{stream_sid};
    writer.media(ulaw);
    const test::AllocGuard guard;
    for (auto _ : state) {
        media::g711::ulaw_encode(pcm, ulaw);
        benchmark::DoNotOptimize(writer.media(ulaw).data());
    }
    report(state, guard);
}
BENCHMARK(message_out);

void base64_encode_frame(benchmark::State& state) {
    const auto bytes = noise(ulaw_frame_bytes);
    std::array<char, base64::encoded_size(ulaw_frame_bytes)> text{};
    for (auto _ : state) {
        base64::encode(bytes, text.data());
        benchmark::DoNotOptimize(text.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(base64_encode_frame);

void base64_decode_frame(benchmark::State& state) {
    const auto text = base64::encode(noise(ulaw_frame_bytes));
    std::array<std::byte, base64::decoded_limit(216)> bytes{};
    for (auto _ : state) {
        benchmark::DoNotOptimize(base64::decode(text, bytes));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(base64_decode_frame);

void playout_frame(benchmark::State& state) {
    Playout playout{200ms};
    TimePoint now = TimePoint{} + 1h;
    const test::AllocGuard guard;
    for (auto _ : state) {
        if (playout.room(now) >= 20ms) playout.on_sent(20ms, now);
        if (playout.mark_due(false)) {
            const std::string name{playout.mark_name()};  // short: no allocation
            playout.on_marked(now);
            playout.on_echo(name, now);
        }
        benchmark::DoNotOptimize(playout.unheard(now));
        now += 20ms;
    }
    report(state, guard);
}
BENCHMARK(playout_frame);

void webhook_signature(benchmark::State& state) {
    const std::vector<std::string> tokens{"0123456789abcdef0123456789abcdef"};
    const std::string url = "https://voice.example.test/";
    Form form;
    for (int i = 0; i < 20; ++i)
        form.push_back({"Parameter" + std::to_string(i), "some value"});
    const auto signature = sign(tokens[0], url, form);
    for (auto _ : state) {
        benchmark::DoNotOptimize(signature_valid(tokens, {url, form, signature}));
    }
}
BENCHMARK(webhook_signature);

}  // namespace
