#pragma once

// Reads a synthesis to its end.

#include "services/tts/tts.hpp"
#include "support/await.hpp"

#include <vector>

namespace oavc::test {

struct Spoken {
    std::vector<media::Sample> samples;
    SampleRate rate{0};  ///< of the last chunk
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

/// Lets the shard work until `done`; a minute is taken for a hang.
template <class Condition>
bool run_until(async::Shard& shard, Condition done) {
    const auto give_up = Clock::now() + std::chrono::minutes{1};
    while (!done() && Clock::now() < give_up) {
        shard.context().restart();
        shard.context().run_one_for(milliseconds{10});
    }
    return done();
}

/// Destroyed sessions leave coroutines that end by themselves: let them.
inline void run_dry(async::Shard& shard) {
    shard.context().restart();
    shard.context().run_for(std::chrono::seconds{10});
}

}  // namespace oavc::test
