#pragma once

// Reads a synthesis to its end.

#include "services/errors.hpp"
#include "services/tts/tts.hpp"
#include "support/await.hpp"
#include "support/run_shard.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

struct Spoken {
    std::vector<media::Sample> samples;
    SampleRate rate{0};
    std::size_t longest_chunk{0};
    error_code end;
};

inline asio::awaitable<Spoken> read_all(services::TtsReply& reply) {
    Spoken spoken;
    for (;;) {
        const auto chunk = co_await reply.next();
        if (!chunk) {
            spoken.end = chunk.error();
            co_return spoken;
        }
        EXPECT_FALSE(chunk->samples.empty());
        EXPECT_TRUE(spoken.samples.empty() || spoken.rate == chunk->rate) << "the rate has changed";
        spoken.rate = chunk->rate;
        spoken.longest_chunk = std::max(spoken.longest_chunk, chunk->samples.size());
        spoken.samples.insert(spoken.samples.end(), chunk->samples.begin(), chunk->samples.end());
    }
}

inline Spoken all_of(async::Shard& shard, services::TtsReply& reply) {
    return result_of(shard, read_all(reply));
}

inline Spoken say(async::Shard& shard, services::TtsSession& session, std::string text) {
    const auto reply = session.speak(std::move(text));
    return all_of(shard, *reply);
}

/// Sentences are told apart by their level: so many samples of the first letter's code.
inline auto levels(std::size_t samples) {
    return [samples](const std::string& text) {
        return std::vector<media::Sample>(samples, static_cast<media::Sample>(text.at(0)));
    };
}

/// With a server that speaks in `levels(samples)`: leaves a sentence after its first piece. Then
/// the next one has to come whole, and nothing else.
inline void expect_that_a_cancelled_sentence_is_over(
    async::Shard& shard, services::TtsSession& voice, std::size_t samples
) {
    auto old = voice.speak("A");
    EXPECT_THAT(value_of(shard, old->next()).samples, testing::Each('A'));
    old.reset();
    const auto spoken = say(shard, voice, "B");
    EXPECT_EQ(spoken.end, services::ServiceErrc::end_of_stream);
    EXPECT_THAT(spoken.samples, testing::SizeIs(samples));
    EXPECT_THAT(spoken.samples, testing::Each('B'));
}

}  // namespace oavc::test
