#pragma once

// Fakes of the three services for tests of whoever uses them. Everything happens on the thread that
// calls: drive the shard's context with poll() as usual. Nothing here waits for real time: what is
// held back comes when the test releases it. A fake must outlive the streams and sessions it
// opened.
//
//     FakeStt stt;                                  FakeLlm llm;                    FakeTts tts;
//     stt.interim("where is");                      llm.reply({"Hel", "lo."});      tts.hold =
//     true; stt.final("where is my card");                llm.hold = true; llm.release();
//     tts.release(2); stt.utterances.back().samples.size()          llm.asks.back().messages
//     tts.spoken

#include "async/mailbox.hpp"
#include "async/shard.hpp"
#include "base/units.hpp"
#include "services/errors.hpp"
#include "services/llm/llm.hpp"
#include "services/stt/stt.hpp"
#include "services/tts/tts.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::services {

namespace fake_detail {

inline constexpr std::size_t plenty = 1'000'000;

/// What a cancelled wait looks like at the services' interfaces.
inline error_code as_service_error(error_code error) {
    return error == asio::error::operation_aborted ? make_error_code(ServiceErrc::cancelled)
                                                   : error;
}

}  // namespace fake_detail

/// A recogniser whose results the test speaks.
class FakeStt final : public SttService {
public:
    /// One begin(): what came after it.
    struct Utterance {
        UtteranceId id;
        std::vector<media::Sample> samples;  ///< everything pushed
        std::size_t pushes{0};
        bool ended{false};
        bool cancelled{false};
    };

    // What the test sets.
    SttCapabilities caps{.input_rate = wideband, .interim_results = true, .endpointing = false};
    std::optional<ServiceErrc> fail_open;  ///< open() fails with it
    /// Finals given one by one, at end(), by themselves. While empty the test gives them by
    /// final().
    std::deque<std::string> answers;

    // What happened.
    std::vector<Utterance> utterances;        ///< of all streams, in order of begin()
    std::vector<SttOptions> opened;           ///< options of every open()
    std::size_t open_streams{0};              ///< opened and not destroyed
    std::size_t pushes_outside_utterance{0};  ///< audio that belonged to none: a bug of the caller

    /// Emits a result for the latest utterance of the latest stream, or for utterance `id`, however
    /// late. Nothing is emitted for a cancelled one, as in real adapters; false then.
    bool interim(std::string text, std::optional<UtteranceId> id = {}) {
        return emit(SttEvent::Kind::interim, std::move(text), id);
    }
    bool final(std::string text, std::optional<UtteranceId> id = {}) {
        return emit(SttEvent::Kind::final, std::move(text), id);
    }
    /// Ends the latest stream with an error (after what was emitted already).
    void fail(ServiceErrc code) {
        if (current_) current_->events.close(make_error_code(code));
    }

    std::string_view name() const noexcept override { return "fake-stt"; }
    const SttCapabilities& capabilities() const noexcept override { return caps; }
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override {
        opened.push_back(std::move(options));
        if (fail_open) co_return make_error_code(*fail_open);
        std::unique_ptr<SttStream> stream = std::make_unique<Stream>(*this, shard);
        co_return stream;
    }

private:
    struct Inbox {
        explicit Inbox(async::Shard& shard) : events{shard.executor(), fake_detail::plenty} {}
        async::Mailbox<SttEvent> events;
        std::vector<UtteranceId>
            cancelled;  ///< events of these that still lie in the box are dropped
    };

    class Stream final : public SttStream {
    public:
        Stream(FakeStt& owner, async::Shard& shard)
            : owner_{owner}, inbox_{std::make_shared<Inbox>(shard)} {
            ++owner_.open_streams;
            owner_.current_ = inbox_;
        }
        ~Stream() override {
            --owner_.open_streams;
            inbox_->events.close(make_error_code(ServiceErrc::cancelled));
            if (owner_.current_ == inbox_) owner_.current_.reset();
        }

        void begin(UtteranceId utterance) noexcept override {
            index_ = owner_.utterances.size();
            active_ = true;
            owner_.utterances.push_back({.id = utterance, .samples = {}});
        }
        void push(media::FrameView audio) noexcept override {
            if (!active_) {
                ++owner_.pushes_outside_utterance;
                return;
            }
            auto& utterance = owner_.utterances[index_];
            ++utterance.pushes;
            utterance.samples.insert(
                utterance.samples.end(), audio.samples.begin(), audio.samples.end()
            );
        }
        void end() noexcept override {
            if (!active_) return;
            active_ = false;
            owner_.utterances[index_].ended = true;
            if (owner_.answers.empty()) return;
            std::string text = std::move(owner_.answers.front());
            owner_.answers.pop_front();
            inbox_->events.try_push(
                {SttEvent::Kind::final, owner_.utterances[index_].id, std::move(text)}
            );
        }
        void cancel() noexcept override {
            active_ = false;
            if (index_ >= owner_.utterances.size()) return;
            auto& utterance = owner_.utterances[index_];
            utterance.cancelled = true;
            inbox_->cancelled.push_back(utterance.id);
        }
        asio::awaitable<Result<SttEvent>> next() override { return wait(inbox_); }

    private:
        static asio::awaitable<Result<SttEvent>> wait(std::shared_ptr<Inbox> inbox) {
            for (;;) {
                auto event = co_await inbox->events.pop();
                if (!event) co_return fake_detail::as_service_error(event.error());
                const auto& gone = inbox->cancelled;
                const bool stale =
                    std::find(gone.begin(), gone.end(), event->utterance) != gone.end();
                if (!stale) co_return event;
            }
        }

        FakeStt& owner_;
        std::shared_ptr<Inbox> inbox_;
        std::size_t index_{SIZE_MAX};
        bool active_{false};
    };

    bool emit(SttEvent::Kind kind, std::string text, std::optional<UtteranceId> id) {
        if (!current_ || utterances.empty()) return false;
        const auto utterance = id.value_or(utterances.back().id);
        const auto& gone = current_->cancelled;
        if (std::find(gone.begin(), gone.end(), utterance) != gone.end()) return false;
        return current_->events.try_push({kind, utterance, std::move(text)});
    }

    std::shared_ptr<Inbox> current_;  ///< of the latest stream
};

/// A model whose replies the test writes beforehand.
class FakeLlm final : public LlmService {
public:
    /// One prepared reply; consumed by one ask().
    struct Reply {
        std::vector<LlmEvent> events;
        std::optional<ServiceErrc> failure;  ///< after the events, instead of the normal end
    };
    /// One ask() and what became of it.
    struct Ask {
        std::vector<ChatMessage> messages;
        std::vector<Tool> tools{};
        std::string said_already{};
        std::string traceparent{};
        std::size_t events_taken{0};
        bool finished{false};   ///< the reply was read to its end
        bool cancelled{false};  ///< the reply was destroyed before its end
    };

    // What the test sets.
    std::optional<ServiceErrc> fail_open;
    bool hold{false};  ///< replies of later asks wait for release()
    /// What asks beyond the prepared replies get.
    Reply fallback{{{LlmEvent::Kind::text, "Fine."}}, {}};

    // What happened.
    std::vector<Ask> asks;
    std::vector<LlmOptions> opened;
    std::size_t open_sessions{0};
    std::size_t open_replies{0};

    /// Prepares the next reply: text pieces, then perhaps an action.
    void reply(std::vector<std::string> tokens, std::optional<LlmEvent> action = {}) {
        Reply prepared;
        for (auto& token : tokens) {
            prepared.events.push_back({LlmEvent::Kind::text, std::move(token)});
        }
        if (action) prepared.events.push_back(std::move(*action));
        prepared_.push_back(std::move(prepared));
    }
    /// Prepares a reply that breaks off after `tokens`.
    void reply_then_fail(std::vector<std::string> tokens, ServiceErrc code) {
        reply(std::move(tokens));
        prepared_.back().failure = code;
    }
    /// Lets `count` more events of the latest reply through (default: all and its end).
    void release(std::size_t count = SIZE_MAX) {
        if (const auto state = latest_.lock()) state->release(count);
    }

    LlmCapabilities caps{.tools = true, .cancel = true};
    std::string_view name() const noexcept override { return "fake-llm"; }
    const LlmCapabilities& capabilities() const noexcept override { return caps; }
    asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) override {
        opened.push_back(std::move(options));
        if (fail_open) co_return make_error_code(*fail_open);
        std::unique_ptr<LlmSession> session = std::make_unique<Session>(*this, shard);
        co_return session;
    }

private:
    struct State {
        State(async::Shard& shard, Reply script)
            : ready{shard.executor(), fake_detail::plenty},
              waiting{script.events.begin(), script.events.end()},
              end{make_error_code(script.failure.value_or(ServiceErrc::end_of_stream))} {}

        void release(std::size_t count) {
            while (count > 0 && !waiting.empty()) {
                ready.try_push(std::move(waiting.front()));
                waiting.pop_front();
                --count;
            }
            if (count > 0) ready.close(end);
        }

        async::Mailbox<LlmEvent> ready;
        std::deque<LlmEvent> waiting;
        error_code end;
    };

    class ReplyStream final : public LlmReply {
    public:
        ReplyStream(FakeLlm& owner, std::shared_ptr<State> state, std::size_t ask)
            : owner_{owner}, state_{std::move(state)}, ask_{ask} {
            ++owner_.open_replies;
        }
        ~ReplyStream() override {
            --owner_.open_replies;
            auto& ask = owner_.asks[ask_];
            ask.cancelled = !ask.finished;
            state_->ready.close(make_error_code(ServiceErrc::cancelled));
        }
        asio::awaitable<Result<LlmEvent>> next() override { return wait(state_, &owner_, ask_); }

    private:
        static asio::awaitable<Result<LlmEvent>> wait(
            std::shared_ptr<State> state, FakeLlm* owner, std::size_t ask
        ) {
            auto event = co_await state->ready.pop();
            if (event) {
                ++owner->asks[ask].events_taken;
                co_return event;
            }
            const auto error = fake_detail::as_service_error(event.error());
            if (error != ServiceErrc::cancelled) owner->asks[ask].finished = true;
            co_return error;
        }

        FakeLlm& owner_;
        std::shared_ptr<State> state_;
        std::size_t ask_;
    };

    class Session final : public LlmSession {
    public:
        Session(FakeLlm& owner, async::Shard& shard) : owner_{owner}, shard_{shard} {
            ++owner_.open_sessions;
        }
        ~Session() override { --owner_.open_sessions; }
        std::unique_ptr<LlmReply> ask(LlmRequest request) override {
            const auto index = owner_.asks.size();
            owner_.asks.push_back(
                {.messages = std::move(request.messages),
                 .tools = std::move(request.tools),
                 .said_already = std::move(request.said_already),
                 .traceparent = std::move(request.traceparent)}
            );
            auto script = owner_.fallback;
            if (!owner_.prepared_.empty()) {
                script = std::move(owner_.prepared_.front());
                owner_.prepared_.pop_front();
            }
            auto state = std::make_shared<State>(shard_, std::move(script));
            owner_.latest_ = state;
            if (!owner_.hold) state->release(SIZE_MAX);
            return std::make_unique<ReplyStream>(owner_, std::move(state), index);
        }

    private:
        FakeLlm& owner_;
        async::Shard& shard_;
    };

    std::deque<Reply> prepared_;
    std::weak_ptr<State> latest_;
};

/// A voice whose audio says which reply it belongs to: every sample of the n-th speak() (from 0) is
/// `first_level + n`, and every word lasts `word_time`.
class FakeTts final : public TtsService {
public:
    struct Speech {
        std::string text;
        std::size_t chunks_taken{0};
        bool finished{false};
        bool cancelled{false};  ///< destroyed before its end
    };

    // What the test sets.
    TtsCapabilities caps{.output_rate = wideband};
    milliseconds word_time{60};
    media::Sample first_level{1000};
    std::optional<ServiceErrc> fail_open;
    std::optional<ServiceErrc> fail_speak;  ///< later speak()s fail instead of giving audio
    std::size_t fail_after_chunks{0};       ///< … after so many words
    bool hold{false};                       ///< audio of later speak()s waits for release()

    // What happened.
    std::vector<Speech> spoken;  ///< every speak(), in order
    std::vector<TtsOptions> opened;
    std::size_t open_sessions{0};
    std::size_t open_replies{0};

    /// Sample value of the n-th speak().
    media::Sample level_of(std::size_t index) const noexcept {
        return static_cast<media::Sample>(first_level + static_cast<media::Sample>(index));
    }
    /// Texts of all speak()s.
    std::vector<std::string> texts() const {
        std::vector<std::string> all;
        for (const auto& speech : spoken)
            all.push_back(speech.text);
        return all;
    }
    /// Lets `chunks` more words through, of the oldest reply that holds some back, then the next
    /// (default: everything there is).
    void release(std::size_t chunks = SIZE_MAX) {
        for (const auto& weak : held_) {
            if (const auto state = weak.lock()) chunks -= state->release(chunks);
            if (chunks == 0) return;
        }
    }

    static std::size_t word_count(std::string_view text) {
        std::size_t words = 0;
        bool inside = false;
        for (const char c : text) {
            const bool space = c == ' ' || c == '\n' || c == '\t';
            if (!space && !inside) ++words;
            inside = !space;
        }
        return words;
    }

    std::string_view name() const noexcept override { return "fake-tts"; }
    const TtsCapabilities& capabilities() const noexcept override { return caps; }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override {
        opened.push_back(std::move(options));
        if (fail_open) co_return make_error_code(*fail_open);
        std::unique_ptr<TtsSession> session = std::make_unique<Session>(*this, shard);
        co_return session;
    }

private:
    struct State {
        State(async::Shard& shard, std::size_t words, TtsChunk word, error_code last)
            : ready{shard.executor(), fake_detail::plenty},
              words_left{words},
              word_audio{std::move(word)},
              end{last} {}

        /// Returns how many words it let through.
        std::size_t release(std::size_t count) {
            std::size_t released = 0;
            for (; released < count && words_left > 0; ++released, --words_left) {
                ready.try_push(word_audio);
            }
            if (words_left == 0) ready.close(end);
            return released;
        }

        async::Mailbox<TtsChunk> ready;
        std::size_t words_left;
        TtsChunk word_audio;
        error_code end;
    };

    class ReplyStream final : public TtsReply {
    public:
        ReplyStream(FakeTts& owner, std::shared_ptr<State> state, std::size_t index)
            : owner_{owner}, state_{std::move(state)}, index_{index} {
            ++owner_.open_replies;
        }
        ~ReplyStream() override {
            --owner_.open_replies;
            auto& speech = owner_.spoken[index_];
            speech.cancelled = !speech.finished;
            state_->ready.close(make_error_code(ServiceErrc::cancelled));
        }
        asio::awaitable<Result<TtsChunk>> next() override { return wait(state_, &owner_, index_); }

    private:
        static asio::awaitable<Result<TtsChunk>> wait(
            std::shared_ptr<State> state, FakeTts* owner, std::size_t index
        ) {
            auto chunk = co_await state->ready.pop();
            if (chunk) {
                ++owner->spoken[index].chunks_taken;
                co_return chunk;
            }
            const auto error = fake_detail::as_service_error(chunk.error());
            if (error != ServiceErrc::cancelled) owner->spoken[index].finished = true;
            co_return error;
        }

        FakeTts& owner_;
        std::shared_ptr<State> state_;
        std::size_t index_;
    };

    class Session final : public TtsSession {
    public:
        Session(FakeTts& owner, async::Shard& shard) : owner_{owner}, shard_{shard} {
            ++owner_.open_sessions;
        }
        ~Session() override { --owner_.open_sessions; }
        std::unique_ptr<TtsReply> speak(std::string text) override {
            const auto index = owner_.spoken.size();
            auto words = word_count(text);
            auto end = make_error_code(ServiceErrc::end_of_stream);
            if (owner_.fail_speak) {
                words = std::min(words, owner_.fail_after_chunks);
                end = make_error_code(*owner_.fail_speak);
            }
            owner_.spoken.push_back({.text = std::move(text)});
            std::vector<media::Sample> word(
                samples_in(owner_.word_time, owner_.caps.output_rate), owner_.level_of(index)
            );
            auto state = std::make_shared<State>(
                shard_, words, TtsChunk{std::move(word), owner_.caps.output_rate}, end
            );
            if (owner_.hold) {
                owner_.held_.push_back(state);
            } else {
                state->release(SIZE_MAX);
            }
            return std::make_unique<ReplyStream>(owner_, std::move(state), index);
        }

    private:
        FakeTts& owner_;
        async::Shard& shard_;
    };

    std::vector<std::weak_ptr<State>> held_;  ///< in order of speak()
};

}  // namespace oavc::services
