// Our Silero against whisper.cpp's on the same audio: no decision may differ.

#include "gtest/gtest.h"

#ifndef OAVC_HAS_WHISPER

TEST(SileroOracle, DecidesAsWhisperCppDoes) {
    GTEST_SKIP() << "built without whisper.cpp (scripts/fetch-whisper, -DOAVC_WHISPER=ON)";
}

#else

#include "media/detail/silero_model.hpp"
#include "media/detail/silero_net.hpp"
#include "support/clips.hpp"
#include "whisper.h"

#include <flite/flite.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

extern "C" cst_voice* register_cmu_us_slt(const char* voice_directory);

namespace oavc::media {
namespace {

using detail::SileroModel;
using test::Pcm;

constexpr std::size_t second = wideband.hz;

struct Clip {
    std::string name;
    Pcm pcm;
};

Pcm say(const char* text) {
    static cst_voice* const voice = [] {
        flite_init();
        return register_cmu_us_slt(nullptr);
    }();
    cst_wave* const wave = flite_text_to_wave(text, voice);
    Pcm pcm(wave->samples, wave->samples + wave->num_samples);
    const SampleRate rate{static_cast<std::uint32_t>(wave->sample_rate)};
    delete_wave(wave);
    return rate == wideband ? pcm : test::resample(pcm, rate, wideband);
}

Pcm mix(const Pcm& one, const Pcm& two, double gain) {
    Pcm sum(one.size());
    for (std::size_t i = 0; i < sum.size(); ++i) {
        const double value = one[i] + gain * two[i % two.size()];
        sum[i] = static_cast<Sample>(std::clamp(value, -32'768.0, 32'767.0));
    }
    return sum;
}

std::vector<Clip> clips() {
    const Pcm jfk = *test::read_wav(test::shared_file("audio/jfk.wav"));
    Pcm talk = test::silence(second / 3);
    test::append(talk, say("Good morning. I would like to book a table for two, please."));
    test::append(talk, test::noise(second, 40));
    test::append(talk, say("Yes."));
    test::append(talk, test::silence(second / 2));
    test::append(talk, say("My number is five five five, one two three four."));
    test::append(talk, test::noise(second, 200));

    std::vector<Clip> all{{"jfk", jfk}, {"talk", talk}};
    for (const auto& [name, pcm] : std::vector<Clip>{all}) {
        all.push_back({name + " by telephone", test::through_telephone(pcm)});
        all.push_back({name + " in noise", mix(pcm, test::noise(pcm.size(), 800), 1)});
        all.push_back({name + " in loud noise", mix(pcm, test::noise(pcm.size(), 3'000), 1)});
        all.push_back({name + " quiet", mix(Pcm(pcm.size(), 0), pcm, 0.02)});
        all.push_back({name + " clipped", mix(pcm, pcm, 8)});
    }
    all.push_back({"silence", test::silence(5 * second)});
    all.push_back({"faint noise", test::noise(5 * second, 20)});
    all.push_back({"loud noise", test::noise(5 * second, 6'000)});
    all.push_back({"a buzz", test::buzz(5 * second, wideband)});
    return all;
}

TEST(SileroOracle, DecidesAsWhisperCppDoes) {
    const auto path = test::shared_file("models/ggml-silero-v6.2.0.bin");
    if (path.empty() || test::shared_file("audio/jfk.wav").empty()) {
        GTEST_SKIP() << "no shared/models and shared/audio (OAVC_SHARED)";
    }
    const auto model = detail::parse_silero(test::read_bytes(path));
    ASSERT_TRUE(model.has_value()) << model.error().what;

    whisper_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    auto parameters = whisper_vad_default_context_params();
    parameters.n_threads = 1;
    const std::unique_ptr<whisper_vad_context, decltype(&whisper_vad_free)> oracle{
        whisper_vad_init_from_file_with_params(path.c_str(), parameters), whisper_vad_free};
    ASSERT_NE(oracle, nullptr);

    std::size_t windows = 0;
    std::size_t voiced = 0;
    float farthest = 0;
    for (const auto& [name, pcm] : clips()) {
        std::vector<float> samples(pcm.size() / SileroModel::window * SileroModel::window);
        for (std::size_t i = 0; i < samples.size(); ++i) {
            samples[i] = static_cast<float>(pcm[i]) / 32'768.0F;
        }
        whisper_vad_reset_state(oracle.get());
        ASSERT_TRUE(whisper_vad_detect_speech(
            oracle.get(), samples.data(), static_cast<int>(samples.size())
        ));
        const float* const expected = whisper_vad_probs(oracle.get());

        for (const auto net : {detail::silero_net(), &detail::silero_net_baseline}) {
            detail::SileroState state;
            for (std::size_t i = 0; i * SileroModel::window < samples.size(); ++i) {
                const std::span<const float> window{samples};
                const float ours =
                    net(**model,
                        state,
                        window.subspan(i * SileroModel::window).first<SileroModel::window>());
                EXPECT_EQ(ours >= 0.5F, expected[i] >= 0.5F)
                    << name << ", window " << i << ": " << ours << " against " << expected[i];
                farthest = std::max(farthest, std::abs(ours - expected[i]));
                windows += 1;
                voiced += expected[i] >= 0.5F ? 1 : 0;
            }
        }
    }
    RecordProperty("windows", static_cast<int>(windows));
    RecordProperty("farthest", std::to_string(farthest));
    std::printf("%zu windows, %zu voiced, farthest apart %.6f\n", windows, voiced, farthest);
    EXPECT_GT(voiced, windows / 5);  // the clips hold enough of both
    EXPECT_LT(voiced, windows * 4 / 5);
    EXPECT_LT(farthest, 0.005F);
}

}  // namespace
}  // namespace oavc::media

#endif
