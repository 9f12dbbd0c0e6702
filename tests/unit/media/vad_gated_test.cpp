// Silero behind its gates against Silero all the time: the same speech, no later, for less.

#include "gtest/gtest.h"
#include "media/detail/doubler.hpp"
#include "media/detail/level_gate.hpp"
#include "media/detail/webrtc_detector.hpp"
#include "media/resampler.hpp"
#include "media/vad_gate.hpp"
#include "media/vad_silero.hpp"
#include "support/alloc_guard.hpp"
#include "support/clips.hpp"
#include "support/silero_file.hpp"
#include "support/temporary_folder.hpp"

#include <flite/flite.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

extern "C" {
cst_voice* register_cmu_us_slt(const char* voice_directory);
cst_voice* register_cmu_us_rms(const char* voice_directory);
}

namespace oavc::media {
namespace {

using test::Pcm;

constexpr std::size_t frame = samples_in(frame_time, narrowband);
constexpr std::size_t second = narrowband.hz;

Pcm say(const char* text, cst_voice* voice) {
    cst_wave* const wave = flite_text_to_wave(text, voice);
    const Pcm pcm(wave->samples, wave->samples + wave->num_samples);
    const SampleRate rate{static_cast<std::uint32_t>(wave->sample_rate)};
    delete_wave(wave);
    return test::resample(pcm, rate, narrowband);
}

double rms(const Pcm& pcm) {
    double energy = 0;
    for (const double sample : pcm)
        energy += sample * sample;
    return std::sqrt(energy / static_cast<double>(pcm.size()));
}

/// `one` plus `two`, over and over, times `gain`; both as a telephone line carries them.
Pcm mix(const Pcm& one, double level, const Pcm& two, double gain) {
    Pcm sum(one.size());
    for (std::size_t i = 0; i < sum.size(); ++i) {
        const double value = level * one[i] + gain * two[i % two.size()];
        sum[i] = test::through_mulaw(static_cast<Sample>(std::clamp(value, -32'000.0, 32'000.0)));
    }
    return sum;
}

/// One side of a conversation: who talks two seconds of five.
Pcm talk(cst_voice* voice) {
    Pcm pcm = test::silence(second);
    for (const char* const text :
         {"Good morning. I would like to book a table for two, please.",
          "Yes.",
          "My number is five five five, one two three four.",
          "No, stop.",
          "The amount on the invoice is wrong."}) {
        test::append(pcm, say(text, voice));
        test::append(pcm, test::silence(5 * second / 2));
    }
    return pcm;
}

/// The rumble of a car: what is below 100 Hz, never even.
Pcm rumble(std::size_t samples) {
    Pcm pcm = test::noise(samples, 3'000, 5);
    double one = 0;
    double two = 0;
    for (auto& sample : pcm) {
        one += 0.06 * (sample - one);
        two += 0.08 * (one - two);
        sample = static_cast<Sample>(std::clamp(8 * two, -32'000.0, 32'000.0));
    }
    return pcm;
}

Pcm chords(std::size_t samples) {
    Pcm pcm(samples);
    for (std::size_t i = 0; i < samples; ++i) {
        const double t = static_cast<double>(i) / narrowband.hz;
        const int beat = static_cast<int>(t * 4);
        double sum = 0;
        for (const double note : {220.0, 277.2, 329.6})
            sum += std::sin(6.283185307 * note * (1 + beat % 3 * 0.25) * t);
        pcm[i] = static_cast<Sample>(2'500 * sum * std::exp(-2 * (t * 4 - beat)));
    }
    return pcm;
}

struct Speech {
    double first;  ///< all in milliseconds
    double last;
    double decided;  ///< when its beginning was known
};

struct Heard {
    std::vector<Speech> speeches;
    std::size_t windows{0};  ///< that Silero judged
};

Heard listen(const VadFactory& factory, const Pcm& pcm) {
    const auto engine = factory.make(narrowband);
    SpeechDetector detector{narrowband, 60ms, 400ms};
    Heard heard;
    const auto ms = [](SamplePosition at) { return static_cast<double>(at) / 8; };
    for (std::size_t at = 0; at + frame <= pcm.size(); at += frame) {
        const auto decisions = engine->process({Samples{pcm}.subspan(at, frame), narrowband});
        for (const auto& decision : decisions)
            heard.windows += decision.span > 0 ? 1 : 0;
        const auto event = detector.on_frame(decisions, frame);
        if (!event) continue;
        if (event->kind == SpeechEvent::Kind::started) {
            constexpr double not_yet = std::numeric_limits<double>::infinity();
            heard.speeches.push_back({ms(event->first_voiced), not_yet, ms(event->decided_at)});
        } else {
            heard.speeches.back().last = ms(event->last_voiced);
        }
    }
    return heard;
}

class GatedSilero : public testing::Test {
protected:
    void SetUp() override {
        const auto model = test::shared_file("models/ggml-silero-v6.2.0.bin");
        if (model.empty()) GTEST_SKIP() << "no shared/models (OAVC_SHARED)";
        always = *make_silero_vad(model, 0.5, SileroDuty::always);
        gated = *make_silero_vad(model, 0.5, SileroDuty::gated);
        flite_init();
    }
    std::shared_ptr<const VadFactory> always;
    std::shared_ptr<const VadFactory> gated;
};

TEST_F(GatedSilero, HearsEverySpeechWhenSileroDoesAndNoOther) {
    std::size_t onsets = 0;
    std::size_t late = 0;
    for (const bool his : {false, true}) {
        cst_voice* const voice = his ? register_cmu_us_rms(nullptr) : register_cmu_us_slt(nullptr);
        const Pcm clean = talk(voice);
        const std::size_t size = clean.size();
        const double loudness = 2'000 / rms(say("Good morning.", voice));
        struct Line {
            const char* name;
            double level;
            Pcm noise;
            double snr_db;
        };
        const std::vector<Line> hers{
            {"clean", 1, test::silence(1), 0},
            {"far away", 0.03, test::silence(1), 0},
            {"much noise", 1, test::noise(size, 1'000), 5},
            {"a car", 1, rumble(size), 10}};
        const std::vector<Line> his_lines{
            {"some noise", 1, test::noise(size, 1'000), 20},
            {"quiet and noise", 0.05, test::noise(size, 1'000), 15},
            {"music", 1, chords(size), 15}};
        for (const auto& [name, level, noise, snr_db] : his ? his_lines : hers) {
            const double power = std::max(rms(noise), 1.0);
            const double gain = 2'000 * level / power * std::pow(10, -snr_db / 20);
            const Pcm line = mix(clean, loudness * level, noise, gain);
            const auto expected = listen(*always, line);
            const auto heard = listen(*gated, line);
            EXPECT_GE(expected.speeches.size(), 4u) << name;
            for (const auto& speech : expected.speeches) {
                ++onsets;
                const auto same = std::ranges::find_if(heard.speeches, [&](const Speech& other) {
                    return other.first < speech.last && speech.first < other.last;
                });
                ASSERT_NE(same, heard.speeches.end()) << name << " at " << speech.first << " ms";
                if (same->decided > speech.decided + 20) ++late;
            }
            for (const auto& speech : heard.speeches) {
                const bool known = std::ranges::any_of(expected.speeches, [&](const Speech& other) {
                    return other.first < speech.last && speech.first < other.last;
                });
                EXPECT_TRUE(known) << name << " at " << speech.first << " ms";
            }
        }
    }
    EXPECT_GE(onsets, 30u);
    EXPECT_LE(late * 100, onsets);
}

TEST_F(GatedSilero, JudgesLittleMoreThanWhatIsSpoken) {
    const Pcm line = mix(talk(register_cmu_us_slt(nullptr)), 1, test::noise(second, 40), 1);
    const auto expected = listen(*always, line);
    const auto heard = listen(*gated, line);
    double spoken =
        0;  // with the pauses that are none, and the beginning that is judged afterwards
    for (const auto& speech : expected.speeches)
        spoken += (speech.last - speech.first + 320 + 160 + 64) / 32;
    EXPECT_LT(static_cast<double>(heard.windows), 1.2 * spoken);
    EXPECT_LT(heard.windows * 100, expected.windows * 65);
}

TEST_F(GatedSilero, SleepsThroughSteadyNoiseOfAnyLevel) {
    for (const double level : {0.0, 8.0, 100.0, 1'000.0, 5'000.0}) {
        const auto noise = test::noise(20 * second, 3'000);
        const auto heard = listen(*gated, mix(noise, level / 3'000, noise, 0));
        EXPECT_LT(heard.windows, 20u * 1'000 / 32 / 8) << level;
        EXPECT_TRUE(heard.speeches.empty()) << level;
    }
}

TEST_F(GatedSilero, NeverJudgesMoreThanThereIs) {
    const Pcm line = mix(chords(20 * second), 1, rumble(20 * second), 1);
    EXPECT_LE(listen(*gated, line).windows, listen(*always, line).windows);
}

TEST_F(GatedSilero, ResetMakesItAsNew) {
    const Pcm line = mix(talk(register_cmu_us_slt(nullptr)), 1, test::noise(second, 40), 1);
    const auto used = gated->make(narrowband);
    const auto fresh = gated->make(narrowband);
    const auto view = [&](std::size_t at) {
        return FrameView{Samples{line}.subspan(at, frame), narrowband};
    };
    for (std::size_t at = 0; at < 3 * second; at += frame)
        used->process(view(at));
    used->reset();
    for (std::size_t at = 0; at < 3 * second; at += frame) {
        const auto one = used->process(view(at));
        const auto other = fresh->process(view(at));
        ASSERT_EQ(one.size(), other.size());
        for (std::size_t i = 0; i < one.size(); ++i)
            ASSERT_EQ(one[i].speech_probability, other[i].speech_probability);
    }
}

TEST(GatedVad, ListensAtTheLinesRateWithoutAllocating) {
    const test::TemporaryFolder folder;
    const auto path = folder.path() / "model";
    const auto bytes = test::silero_file();
    std::ofstream{path, std::ios::binary}.write(
        reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())
    );
    const auto factory = make_silero_vad(path, 0.5, SileroDuty::gated);
    ASSERT_TRUE(factory.has_value()) << factory.error();
    for (const auto rate : {narrowband, wideband}) {
        const auto engine = (*factory)->make(rate);
        EXPECT_EQ(engine->input_rate(), rate);
        auto pcm = test::silence(rate.hz);
        test::append(pcm, test::buzz(rate.hz, rate));
        test::append(pcm, test::silence(rate.hz));
        const auto size = samples_in(frame_time, rate);
        std::size_t judged = 0;
        const test::AllocGuard guard;
        for (std::size_t at = 0; at < pcm.size(); at += size) {
            for (const auto& decision : engine->process({Samples{pcm}.subspan(at, size), rate}))
                judged += decision.span > 0 ? 1 : 0;
        }
        EXPECT_EQ(guard.count(), 0u);
        EXPECT_GT(judged, 25u);
    }
}

TEST(LevelGate, OpensForASoundInNoiseOfAnyColourAndNotForTheNoise) {
    const auto hum = [] {
        Pcm pcm(20 * second);
        for (std::size_t i = 0; i < pcm.size(); ++i)
            pcm[i] = static_cast<Sample>(3'000 * std::sin(0.0393 * static_cast<double>(i)));
        return pcm;
    }();
    for (const auto& noise :
         {test::silence(20 * second),
          test::noise(20 * second, 30),
          test::noise(20 * second, 3'000),
          hum}) {
        detail::LevelGate gate;
        std::size_t opened = 0;
        const std::size_t settled = 5 * second;
        for (std::size_t at = 0; at < noise.size(); at += frame) {
            if (gate.open(Samples{noise}.subspan(at, frame)) && at >= settled) ++opened;
        }
        EXPECT_LE(opened, 7u);  // of 750
        Pcm louder = test::noise(frame, std::max(2 * rms(noise), 20.0), 9);
        EXPECT_TRUE(gate.open(louder));
    }
}

TEST(WebRtcDetector, AgreesWithItselfAfterAReset) {
    detail::WebRtcDetector used{1};
    detail::WebRtcDetector fresh{1};
    const auto pcm = test::buzz(second, narrowband);
    const auto noise = test::noise(second, 4'000);
    for (std::size_t at = 0; at < pcm.size(); at += frame)
        used.has_voice(Samples{noise}.subspan(at, frame), narrowband);
    used.reset();
    std::size_t voiced = 0;
    for (std::size_t at = 0; at < pcm.size(); at += frame) {
        const auto samples = Samples{pcm}.subspan(at, frame);
        const bool heard = used.has_voice(samples, narrowband);
        EXPECT_EQ(heard, fresh.has_voice(samples, narrowband));
        voiced += heard ? 1 : 0;
    }
    EXPECT_GT(voiced, 35u);
}

TEST(Doubler, DoesWhatTheResamplerDoes) {
    using detail::Doubler;
    const auto line = test::buzz(second, narrowband);
    Resampler resampler{narrowband, wideband};
    std::vector<Sample> expected;
    resampler.process(line, expected);
    resampler.flush(expected);
    std::array<float, Doubler::input> samples;
    std::array<float, Doubler::output> window;
    for (std::size_t at = 512; at + 512 < line.size(); at += Doubler::output / 2) {
        for (std::size_t i = 0; i < samples.size(); ++i)
            samples[i] = line[at - Doubler::behind + i];
        detail::doubler().run(samples, window);
        for (std::size_t i = 0; i < window.size(); ++i)
            ASSERT_NEAR(window[i], expected[2 * at + i], 3) << at << " + " << i;
    }
}

}  // namespace
}  // namespace oavc::media
