#pragma once

// A call's side of a recogniser, for tests of adapters: speaks audio whose words can be counted
// (marked_audio.hpp), and reads what was heard.

#include "services/errors.hpp"
#include "services/stt/stt.hpp"
#include "support/await.hpp"
#include "support/connection_count.hpp"
#include "support/marked_audio.hpp"
#include "support/run_shard.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

class SttCallTest : public ::testing::Test {
protected:
    /// A mark is spoken for so many frames of 20 ms.
    explicit SttCallTest(int frames_per_mark) : frames_per_mark_{frames_per_mark} {}

    void TearDown() override {
        stream_.reset();
        run_dry(shard_);
    }

    void push_marks(media::Sample from, media::Sample to) {
        for (auto mark = from; mark <= to; ++mark)
            for (int i = 0; i < frames_per_mark_; ++i)
                stream_->push({marked_audio(mark, samples_in(20ms, rate_)), rate_});
    }
    Result<services::SttEvent> next() { return result_of(shard_, stream_->next()); }
    /// Reads up to the final of `id`; the error's message when there is none.
    std::string final_of(std::uint32_t id) {
        interims_.clear();
        for (;;) {
            const auto event = next();
            if (!event) return event.error().message();
            EXPECT_EQ(event->utterance.value, id);
            words_ = event->words;
            if (event->kind == services::SttEvent::Kind::final) return event->text;
            interims_.push_back(event->text);
        }
    }
    /// Reads interims until one is `text`.
    void wait_for_interim(const std::string& text) {
        for (;;) {
            const auto event = next();
            ASSERT_TRUE(event) << event.error().message();
            if (event->text == text) return;
        }
    }
    std::string recognise(std::uint32_t id, media::Sample from, media::Sample to) {
        stream_->begin({id});
        push_marks(from, to);
        stream_->end();
        return final_of(id);
    }
    template <class Condition>
    void expect_soon(Condition done) {
        EXPECT_TRUE(run_until(shard_, std::move(done)));
    }
    void expect_all_closed(const ConnectionCount& connections) {
        expect_soon([&] { return connections.open() == 0; });
    }
    /// The stream goes while its next event is awaited, `moment` after it was spoken to.
    void leave_after(milliseconds moment, const ConnectionCount& connections) {
        stream_->begin({1});
        push_marks(1, 3);
        const auto outcome = start(shard_, stream_->next());
        run_for(shard_, moment);
        stream_.reset();
        expect_soon([&] { return outcome->has_value() && connections.open() == 0; });
        const Result<services::SttEvent>& event = outcome->value();
        EXPECT_TRUE(event.has_value() || event.error() == services::ServiceErrc::cancelled);
    }

    async::Shard shard_{9};
    SampleRate rate_{wideband};
    std::unique_ptr<services::SttStream> stream_;
    std::vector<std::string> interims_;     ///< before the latest final
    std::vector<services::SttWord> words_;  ///< of the latest event

private:
    const int frames_per_mark_;
};

}  // namespace oavc::test
