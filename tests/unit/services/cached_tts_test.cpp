#include "services/tts/cached_tts.hpp"

#include "services/errors.hpp"
#include "services/failover/failover_tts.hpp"
#include "support/await.hpp"
#include "support/two_providers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace oavc::services {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TtsChunk audio_of(std::size_t samples, media::Sample level, SampleRate rate = wideband) {
    return {std::vector<media::Sample>(samples, level), rate};
}

TEST(SentenceCache, KeepsWhatWasAskedForLastWithinItsBytes) {
    SentenceCache cache{3 * 2'000 + 600};
    for (const auto* key : {"a", "b", "c"})
        cache.put(key, audio_of(1'000, 1));
    EXPECT_EQ(cache.size(), 3u);
    EXPECT_NE(cache.find("a", std::nullopt), nullptr);
    const auto playing = cache.find("b", std::nullopt);
    EXPECT_NE(cache.find("a", std::nullopt), nullptr);
    cache.put("d", audio_of(1'000, 1));
    cache.put("e", audio_of(1'000, 1));
    EXPECT_EQ(cache.find("c", std::nullopt), nullptr);
    EXPECT_EQ(cache.find("b", std::nullopt), nullptr);
    EXPECT_NE(cache.find("a", std::nullopt), nullptr);
    EXPECT_EQ(playing->samples.size(), 1'000u) << "who plays it keeps it";
    EXPECT_LE(cache.bytes(), 3u * 2'000 + 600);

    cache.put("book", audio_of(100'000, 1));
    EXPECT_EQ(cache.find("book", std::nullopt), nullptr);
    EXPECT_LE(cache.bytes(), 3u * 2'000 + 600);
    EXPECT_EQ(cache.size(), 3u) << "what does not fit drives nobody out";
    cache.put("a", audio_of(100'000, 1));
    EXPECT_EQ(cache.find("a", std::nullopt), nullptr) << "the old one is not what it sounds like";
    EXPECT_EQ(cache.size(), 2u);
    cache.put("rising", audio_of(2'000, 1, narrowband));
    EXPECT_EQ(cache.find("rising", wideband)->samples.size(), 4'000u);
    EXPECT_EQ(cache.find("rising", std::nullopt)->samples.size(), 2'000u) << "nor its other rates";
}

TEST(SentenceCache, MakesEachRateOnceAndCountsIt) {
    metrics::Registry registry;
    SentenceCache cache{1 << 20, &registry};
    cache.put("a", audio_of(16'000, 1'000));
    const auto before = cache.bytes();
    const auto narrow = cache.find("a", narrowband);
    ASSERT_EQ(narrow->rate, narrowband);
    EXPECT_EQ(narrow->samples.size(), 8'000u);
    EXPECT_NEAR(narrow->samples.at(4'000), 1'000, 20);
    EXPECT_EQ(cache.find("a", narrowband), narrow) << "the same audio, no copy";
    EXPECT_EQ(cache.find("a", wideband), cache.find("a", std::nullopt));
    EXPECT_GE(cache.bytes(), before + 2 * 8'000);
    EXPECT_LT(cache.bytes(), before + 2 * 8'000 + 200);
    EXPECT_EQ(cache.find("b", narrowband), nullptr);

    const auto text = registry.text();
    EXPECT_THAT(text, HasSubstr(R"(oavc_tts_cache_sentences_total{outcome="hit"} 4)"));
    EXPECT_THAT(text, HasSubstr(R"(oavc_tts_cache_sentences_total{outcome="miss"} 1)"));
    EXPECT_THAT(text, HasSubstr("oavc_tts_cache_bytes " + std::to_string(cache.bytes())));
    cache.put("a", audio_of(10, 1));
    EXPECT_EQ(cache.find("a", std::nullopt)->samples.size(), 10u) << "replaced";
    EXPECT_EQ(cache.size(), 1u);
    EXPECT_LT(cache.bytes(), 400u);
}

class CachedTtsTest : public testing::Test {
protected:
    std::unique_ptr<TtsSession> call(TtsOptions options = {"en", ""}) {
        return test::value_of(shard_, cached_.open(shard_, std::move(options)));
    }
    /// Reads it to its end; how it ended.
    error_code say(TtsSession& session, std::string text) {
        const auto reply = session.speak(std::move(text));
        for (;;) {
            auto chunk = test::result_of(shard_, reply->next());
            if (!chunk) return chunk.error();
        }
    }

    async::Shard shard_{0};
    FakeTts voice_;
    CachedTts cached_{std::make_unique<LentTts>(voice_), 1 << 20};
};

TEST_F(CachedTtsTest, OneCallsSentenceIsAnothersInTheSameVoiceAndLanguageOnly) {
    const auto first = call();
    EXPECT_EQ(first->kept("One two.", wideband), nullptr);
    EXPECT_EQ(say(*first, "One two."), ServiceErrc::end_of_stream);
    const auto second = call();
    const auto kept = second->kept("One two.", wideband);
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(kept->samples, std::vector<media::Sample>(2 * 960, voice_.level_of(0)));
    EXPECT_EQ(second->kept("One two", wideband), nullptr);
    EXPECT_EQ(call({"tr", ""})->kept("One two.", wideband), nullptr);
    EXPECT_EQ(call({"en", "other"})->kept("One two.", wideband), nullptr);
}

TEST_F(CachedTtsTest, WhatWasNotSaidToItsEndIsNotKept) {
    const auto session = call();
    voice_.hold = true;
    auto cut = session->speak("One two three.");
    voice_.release(1);
    EXPECT_TRUE(test::result_of(shard_, cut->next()));
    cut.reset();
    EXPECT_TRUE(voice_.spoken.back().cancelled);
    voice_.hold = false;
    voice_.fail_speak = ServiceErrc::unavailable;
    voice_.fail_after_chunks = 1;
    EXPECT_EQ(say(*session, "Four five."), ServiceErrc::unavailable);
    voice_.fail_speak.reset();
    EXPECT_EQ(say(*session, ""), ServiceErrc::end_of_stream);
    voice_.word_time = CachedTts::longest + 1s;
    EXPECT_EQ(say(*session, "Long."), ServiceErrc::end_of_stream);
    EXPECT_EQ(cached_.cache().size(), 0u);
}

TEST_F(CachedTtsTest, SentencesWithPersonalDataAreSaidButNotKept) {
    const auto session = call();
    for (const auto* text :
         {"Your card 4111 1111 1111 1111 is blocked.",
          "I call you back at 0532 123 45 67.",
          "Your code is four two four two.",
          "I write to ali at example dot com."}) {
        EXPECT_EQ(say(*session, text), ServiceErrc::end_of_stream);
        EXPECT_EQ(voice_.spoken.back().text, text);
    }
    EXPECT_EQ(cached_.cache().size(), 0u);
    say(*session, "We are open from nine to five.");
    EXPECT_EQ(cached_.cache().size(), 1u);
}

using CachedFailover =
    TwoProviders<ServiceKind::tts, FailoverTts, TtsService, FakeTts, TtsSession, TtsOptions>;

TEST_F(CachedFailover, WhatAFallbackSaidIsNotKept) {
    open_both(patient());
    CachedTts cached{std::move(both), 1 << 20};
    const auto session = test::value_of(shard, cached.open(shard, {"en", ""}));
    const auto say = [&](std::string text) {
        auto reply = session->speak(std::move(text));
        while (test::result_of(shard, reply->next())) {
        }
        return reply->served().failed_over;
    };
    EXPECT_FALSE(say("One two."));
    EXPECT_EQ(cached.cache().size(), 1u);
    one.fail_speak = ServiceErrc::unavailable;
    EXPECT_TRUE(say("Three four."));
    EXPECT_EQ(two.spoken.size(), 1u);
    EXPECT_EQ(cached.cache().size(), 1u);
    EXPECT_NE(session->kept("One two.", wideband), nullptr) << "although its voice is down";
}

}  // namespace
}  // namespace oavc::services
