// What a packet costs on its way in (parse, order, decode, frame) and out (encode, build), what is
// allocated for it (nothing), and what an idle leg occupies.
//
// Each iteration is one tick of all legs, as on a shard: with a thousand legs their state is not in
// the first cache when its turn comes.

#include "benchmark/benchmark.h"
#include "media/audio_codec.hpp"
#include "media/rtcp.hpp"
#include "media/rtp_receiver.hpp"
#include "media/rtp_sender.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"
#include "support/rtp_packets.hpp"
#include "support/rtp_stream.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace oavc;
using media::RtpReceiver;
using media::RtpSender;

struct CountingSink final : media::RtpSink {
    std::uint64_t frames{0};
    int sum{0};
    void on_frame(media::FrameView frame, TimePoint, bool) noexcept override {
        ++frames;
        sum += frame.samples[80];
    }
    void on_digit(char) noexcept override {}
};

media::RtpSenderConfig sender_config(std::uint64_t seed) {
    media::RtpSenderConfig config;
    config.start = media::RtpStart::from_seed(seed);
    return config;
}

void per_packet(
    benchmark::State& state, std::size_t packets_per_iteration, std::uint64_t allocations
) {
    const auto packets =
        static_cast<double>(state.iterations()) * static_cast<double>(packets_per_iteration);
    state.counters["per_packet"] =
        benchmark::Counter{packets, benchmark::Counter::kIsRate | benchmark::Counter::kInvert};
    state.counters["allocations_per_packet"] = static_cast<double>(allocations) / packets;
}

void packet_in(benchmark::State& state) {
    const auto legs = static_cast<std::size_t>(state.range(0));
    std::vector<std::unique_ptr<RtpReceiver>> receivers;
    for (std::size_t i = 0; i < legs; ++i) {
        receivers.push_back(std::make_unique<RtpReceiver>(media::RtpReceiverConfig{}));
    }
    CountingSink sink;
    RtpSender sender{sender_config(1)};
    std::array<std::byte, RtpSender::max_datagram> buffer{};
    const auto speech = test::tone(300, 160);
    TimePoint now{};
    const test::AllocGuard guard;
    for (auto _ : state) {
        now += 20ms;
        const auto datagram = sender.build({speech, narrowband}, now, buffer);
        for (auto& receiver : receivers) {
            receiver->on_packet(datagram, now, sink);
            receiver->on_tick(now, sink);
        }
    }
    per_packet(state, legs, guard.count());
    benchmark::DoNotOptimize(sink.sum);
    if (sink.frames != legs * static_cast<std::size_t>(state.iterations())) {
        state.SkipWithError("a frame is missing");
    }
    state.counters["bytes_per_leg"] = sizeof(RtpReceiver);
}

void packet_in_with_loss(benchmark::State& state) {
    RtpReceiver receiver{{}};
    CountingSink sink;
    RtpSender sender{sender_config(1)};
    std::array<std::byte, RtpSender::max_datagram> buffer{};
    const auto speech = test::tone(300, 160);
    TimePoint now{};
    std::uint64_t count = 0;
    const test::AllocGuard guard;
    for (auto _ : state) {
        now += 20ms;
        const auto datagram = sender.build({speech, narrowband}, now, buffer);
        if (++count % 20 != 0) receiver.on_packet(datagram, now, sink);
        receiver.on_tick(now, sink);
    }
    per_packet(state, 1, guard.count());
}

void packet_out(benchmark::State& state) {
    const auto legs = static_cast<std::size_t>(state.range(0));
    std::vector<std::unique_ptr<RtpSender>> senders;
    for (std::size_t i = 0; i < legs; ++i)
        senders.push_back(std::make_unique<RtpSender>(sender_config(i)));
    std::array<std::byte, RtpSender::max_datagram> buffer{};
    const auto speech = test::tone(300, 160);
    TimePoint now{};
    const test::AllocGuard guard;
    for (auto _ : state) {
        now += 20ms;
        for (auto& sender : senders) {
            benchmark::DoNotOptimize(sender->build({speech, narrowband}, now, buffer).data());
            benchmark::ClobberMemory();
        }
    }
    per_packet(state, legs, guard.count());
    state.counters["bytes_per_leg"] = sizeof(RtpSender);
}

void idle_call(benchmark::State& state) {
    RtpReceiver receiver{{}};
    RtpSender sender{sender_config(1)};
    receiver.start(TimePoint{});
    CountingSink sink;
    std::array<std::byte, RtpSender::max_datagram> buffer{};
    TimePoint now{};
    const test::AllocGuard guard;
    for (auto _ : state) {
        now += 20ms;
        receiver.on_tick(now, sink);
        benchmark::DoNotOptimize(sender.build_silence(now, buffer).data());
        benchmark::ClobberMemory();
    }
    per_packet(state, 1, guard.count());
    state.counters["bytes_per_call"] =
        sizeof(RtpReceiver) + sizeof(RtpSender) + sizeof(media::RtcpSession);
}

/// One frame of 20 ms; the argument is the codec's place in all_codecs.
void codec_encode(benchmark::State& state) {
    const auto codec = media::all_codecs.at(static_cast<std::size_t>(state.range(0)));
    media::AudioEncoder encoder{codec};
    const auto speech = test::buzz(encoder.rate().hz, encoder.rate());
    const auto frame = samples_in(frame_time, encoder.rate());
    std::array<std::byte, media::AudioEncoder::max_payload> payload{};
    std::size_t at = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(encoder.encode(media::Samples{speech}.subspan(at, frame), payload)
        );
        at = (at + frame) % (speech.size() - frame);
    }
    state.SetLabel(std::string{media::name(codec)});
}

void codec_decode(benchmark::State& state) {
    const auto codec = media::all_codecs.at(static_cast<std::size_t>(state.range(0)));
    media::AudioDecoder decoder{codec};
    test::LoopingCaller caller{codec, 0, 0};
    std::vector<std::vector<std::byte>> payloads;
    for (int i = 0; i < 100; ++i) {
        const auto packet = media::parse_rtp(caller.next());
        payloads.emplace_back(packet->payload.begin(), packet->payload.end());
    }
    std::array<media::Sample, 320> pcm{};
    std::size_t next = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(decoder.decode(payloads[next], pcm));
        next = (next + 1) % payloads.size();
    }
    state.SetLabel(std::string{media::name(codec)});
}

BENCHMARK(codec_encode)->DenseRange(0, media::all_codecs.size() - 1);
BENCHMARK(codec_decode)->DenseRange(0, media::all_codecs.size() - 1);
BENCHMARK(packet_in)->Arg(1)->Arg(1'000)->Arg(5'000);
BENCHMARK(packet_in_with_loss);
BENCHMARK(packet_out)->Arg(1)->Arg(1'000)->Arg(5'000);
BENCHMARK(idle_call);

}  // namespace
