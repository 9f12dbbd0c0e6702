#include "caller/speech.hpp"

#include "caller/words.hpp"
#include "media/level.hpp"
#include "services/stt/phrase_recognizer.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace oavc::caller {
namespace {

using Kind = Options::Speech::Kind;

TEST(Speech, BeginsAndEndsWithVoiceAndIsUnderstood) {
    const std::vector<Options::Speech> wanted{{Kind::text, "where is the nearest branch", true}};
    const auto said = prepare_speech(wanted, "rms");
    ASSERT_EQ(said.size(), 1U);
    EXPECT_TRUE(said[0].interrupts);
    EXPECT_EQ(said[0].text, "where is the nearest branch");
    const media::Samples samples{said[0].samples};
    EXPECT_GT(samples.size(), 8'000U) << "more than a second";
    EXPECT_TRUE(media::is_voiced(samples.subspan(800, 40))) << "after 100 ms";
    EXPECT_TRUE(media::is_voiced(samples.subspan(samples.size() - 840, 40)));
    services::PhraseRecognizer ear{{"where is the nearest branch", "what are your opening hours"}};
    EXPECT_GE(word_accuracy(said[0].text, ear.recognize(samples, narrowband)), 0.8);
}

TEST(Speech, SaysWhatItCannotPlay) {
    const std::vector<Options::Speech> text{{Kind::text, "hello", false}};
    EXPECT_THROW(prepare_speech(text, "nobody"), std::runtime_error);
    const std::vector<Options::Speech> missing{{Kind::wav, "/nonexistent.wav", false}};
    EXPECT_THROW(prepare_speech(missing, "rms"), std::runtime_error);
    const std::vector<Options::Speech> silent{{Kind::text, "...", false}};
    EXPECT_THROW(prepare_speech(silent, "rms"), std::runtime_error);
}

TEST(Trimmed, TakesTheSilenceOffBothEnds) {
    std::vector<media::Sample> samples(8'000, 0);
    for (std::size_t i = 2'000; i < 6'000; ++i)
        samples[i] = i % 2 == 0 ? 3'000 : -3'000;
    const auto kept = trimmed(samples);
    EXPECT_NEAR(static_cast<double>(kept.size()), 4'000 + 2 * 800, 80);
    EXPECT_TRUE(trimmed(std::vector<media::Sample>(500, 3)).empty());
}

}  // namespace
}  // namespace oavc::caller
