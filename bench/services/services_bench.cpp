// What the embedded engines cost and how well the recogniser hears: real-time factor, time from the
// end of speech to the final, memory per decoder, first audio of each voice, word accuracy.

#include "async/worker_pool.hpp"
#include "benchmark/benchmark.h"
#include "services/detail/words.hpp"
#include "services/llm/dialogue.hpp"
#include "services/stt/detail/sphinx_decoder.hpp"
#include "services/tts/espeak_tts.hpp"
#include "services/tts/flite_tts.hpp"
#include "services/tts/flite_voice.hpp"
#include "support/phone_speech.hpp"

#include <boost/asio/co_spawn.hpp>

#include <malloc.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace oavc;
using namespace oavc::services;

const std::string model_dir = PocketSphinxConfig{}.model_dir;
constexpr std::array<const char*, 4> voices{"slt", "rms", "awb", "kal"};

const Dialogue& demo() {
    static const Dialogue dialogue =
        load_dialogue(OAVC_SOURCE_DIR "/config/dialogues/demo.dialogue").value();
    return dialogue;
}

std::shared_ptr<const SphinxModel> model() {
    static const auto made = SphinxModel::from_phrases(demo().phrases("en"), model_dir).value();
    return made;
}

void hear(SphinxDecoder& decoder, const test::Pcm& audio) {
    for (std::size_t at = 0; at < audio.size(); at += 320) {
        const auto size = std::min<std::size_t>(320, audio.size() - at);
        decoder.process(media::Samples{audio}.subspan(at, size));
        benchmark::DoNotOptimize(decoder.partial());
    }
}

/// One caller's phrase, frame by frame with interim results. cpu_per_audio_s: CPU seconds for each
/// second of speech; its inverse is how many callers one core hears speaking at once.
void BM_Recognise(benchmark::State& state) {
    const auto decoder = SphinxDecoder::create(model()).value();
    const auto audio = test::phoned("what are your opening hours");
    for (auto _ : state) {
        ChannelState channel;
        decoder->start(channel);
        hear(*decoder, audio);
        benchmark::DoNotOptimize(decoder->finish(channel));
    }
    const double seconds = static_cast<double>(audio.size()) / wideband.hz;
    state.counters["cpu_per_audio_s"] = benchmark::Counter(
        seconds * static_cast<double>(state.iterations()),
        benchmark::Counter::kIsRate | benchmark::Counter::kInvert
    );
}
BENCHMARK(BM_Recognise)->Unit(benchmark::kMillisecond);

/// From the last frame of an utterance to its final, when decoding has kept up. Argument 1: the
/// first utterance of a call when it is shorter than the second that is listened to ahead.
void BM_FinalAfterEnd(benchmark::State& state) {
    const auto decoder = SphinxDecoder::create(model()).value();
    const auto audio = test::phoned(state.range(0) == 0 ? "what are your opening hours" : "hello");
    ChannelState channel;
    if (state.range(0) == 0) {
        decoder->start(channel);
        hear(*decoder, audio);
        decoder->finish(channel);
    }
    for (auto _ : state) {
        state.PauseTiming();
        auto call = channel;
        decoder->start(call);
        hear(*decoder, audio);
        state.ResumeTiming();
        benchmark::DoNotOptimize(decoder->finish(call));
    }
}
BENCHMARK(BM_FinalAfterEnd)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

/// Start of a decoder, and what it keeps after its first utterance.
void BM_MakeDecoder(benchmark::State& state) {
    model();
    std::vector<std::unique_ptr<SphinxDecoder>> decoders;
    const auto audio = test::phoned("where is my card");
    decoders.push_back(SphinxDecoder::create(model()).value());
    // Large arrays are mapped, not taken from the heap: count both.
    const auto used = [] {
        const auto info = ::mallinfo2();
        return info.uordblks + info.hblkhd;
    };
    const auto before = used();
    for (auto _ : state)
        decoders.push_back(SphinxDecoder::create(model()).value());
    for (auto& decoder : decoders) {
        ChannelState channel;
        decoder->start(channel);
        decoder->process(audio);
        decoder->finish(channel);
    }
    state.counters["bytes_per_decoder"] =
        static_cast<double>(used() - before) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_MakeDecoder)->Unit(benchmark::kMillisecond)->Iterations(10);

/// Words and whole phrases of the demonstration understood after 300–3400 Hz, 8 kHz µ-law. `rule`:
/// answered as meant. First argument: 0 every phrase begins a call, 1 they are one call.
void BM_Accuracy(benchmark::State& state) {
    const auto decoder = SphinxDecoder::create(model()).value();
    const auto phrases = demo().phrases("en");
    const auto* const voice = voices.at(static_cast<std::size_t>(state.range(1)));
    double words = 0;
    double wrong = 0;
    double exact = 0;
    double meant = 0;
    for (auto _ : state) {
        ChannelState call;
        for (const auto& phrase : phrases) {
            if (state.range(0) == 0) call = {};
            decoder->start(call);
            decoder->process(test::phoned(phrase, voice));
            const auto heard = decoder->finish(call);
            const auto spoken = words_of(phrase);
            words += static_cast<double>(spoken.size());
            wrong += test::word_errors(spoken, words_of(heard));
            exact += heard == phrase ? 1 : 0;
            meant += demo().match(heard, "en").rule == demo().match(phrase, "en").rule ? 1 : 0;
        }
    }
    const double all =
        static_cast<double>(phrases.size()) * static_cast<double>(state.iterations());
    state.SetLabel(voice);
    state.counters["words_%"] = 100 * (1 - wrong / words);
    state.counters["exact_%"] = 100 * exact / all;
    state.counters["meant_%"] = 100 * meant / all;
}
BENCHMARK(BM_Accuracy)
    ->ArgsProduct({{0, 1}, {0, 1, 2, 3}})
    ->ArgNames({"one_call", "voice"})
    ->Iterations(1)
    ->Unit(benchmark::kSecond);

/// Runs the shard on this thread until `work` is done.
template <class T>
T result_of(async::Shard& shard, asio::awaitable<T> work) {
    std::optional<T> result;
    asio::co_spawn(shard.context(), std::move(work), [&](std::exception_ptr, T value) {
        result.emplace(std::move(value));
    });
    while (!result) {
        shard.context().restart();
        shard.context().run_one_for(1s);
    }
    return std::move(*result);
}

/// From speak() to the first piece of audio, on the shard that plays it. The rest is not waited
/// for.
void first_audio(benchmark::State& state, TtsService& tts, const std::string& text) {
    async::Shard shard{0};
    auto session = result_of(shard, tts.open(shard, {})).value();
    for (auto _ : state) {
        auto reply = session->speak(text);
        benchmark::DoNotOptimize(result_of(shard, reply->next()).value().samples.data());
        state.PauseTiming();
        while (result_of(shard, reply->next())) {
        }
        state.ResumeTiming();
    }
}

const std::string short_reply = "Your balance is two hundred and forty dollars.";
const std::string long_reply =
    "We have three savings accounts. The first one pays two percent a year and you can take your "
    "money out at any time.";

void BM_FliteFirstAudio(benchmark::State& state) {
    async::WorkerPool workers{1, 64};
    const std::string voice = voices.at(static_cast<std::size_t>(state.range(0)));
    FliteTts tts{FliteConfig{.voice = voice}, workers};
    state.SetLabel(voice);
    first_audio(state, tts, state.range(1) == 0 ? short_reply : long_reply);
}
BENCHMARK(BM_FliteFirstAudio)
    ->ArgsProduct({{0, 3}, {0, 1}})
    ->ArgNames({"voice", "long"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_EspeakFirstAudio(benchmark::State& state) {
    EspeakTts tts{EspeakConfig{}};
    first_audio(state, tts, state.range(0) == 0 ? short_reply : long_reply);
}
BENCHMARK(BM_EspeakFirstAudio)
    ->Arg(0)
    ->Arg(1)
    ->ArgNames({"long"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// What an answer costs.
void BM_MatchDialogue(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(demo().match("uh could you tell me where is my card please", "en")
        );
    }
}
BENCHMARK(BM_MatchDialogue)->Unit(benchmark::kMicrosecond);

}  // namespace
