#pragma once

#include "async/mailbox.hpp"
#include "async/signal.hpp"
#include "async/task_group.hpp"
#include "base/ids.hpp"
#include "media/resampler.hpp"
#include "observability/log.hpp"
#include "pipeline/call_telemetry.hpp"
#include "pipeline/config.hpp"
#include "pipeline/phrase_cache.hpp"
#include "pipeline/playout_queue.hpp"
#include "services/llm/llm.hpp"
#include "services/tts/tts.hpp"

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

class Reply;

/// What a reply tells the call that gives it. The call may stop() the reply from within any of
/// these, and begin another, but not destroy it.
class ReplyOwner {
public:
    virtual void on_token(const Reply& reply) = 0;     ///< the model goes on
    virtual void on_sentence(const Reply& reply) = 0;  ///< one more is ready for the voice
    virtual void on_speaking(const Reply& reply, std::string_view sentence) = 0;
    virtual void on_audio(const Reply& reply) = 0;     ///< the voice goes on
    virtual void on_complete(const Reply& reply) = 0;  ///< all its audio is in the playout queue
    virtual void on_failed(const Reply& reply) = 0;    ///< model or voice did; nothing follows
    /// The model wants something to be done once this reply was heard: every kind of event but
    /// text and restart.
    virtual void on_sequel(const Reply& reply, services::LlmEvent event) = 0;
    virtual void on_exception(std::exception_ptr error) = 0;  ///< a bug, or no memory

protected:
    ~ReplyOwner() = default;
};

/// What a reply borrows for its life.
struct ReplyContext {
    const AgentConfig& agent;
    PhraseCache& phrases;
    services::LlmSession* llm;  ///< null: not open, nothing can be asked
    services::TtsSession* tts;  ///< null: not open, only phrases can be said
    SampleRate rate;            ///< of the playout queue
    PlayoutQueue& playout;
    const log::Logger& log;
    CallTelemetry& telemetry;
    std::string_view model;  ///< what the services are called unless Served says it
    std::string_view voice;
    ReplyOwner& owner;
};

/// One reply, from the model's first token to the last sample in the playout queue. Two coroutines
/// under one task group: `think` makes sentences of tokens, `speak` audio of sentences, at most
/// PlayoutQueue::high_water ahead. Everything in it belongs to one generation. Owner: the Session,
/// which joins it before it goes. Thread: the call's shard.
class Reply {
public:
    Reply(asio::any_io_executor executor, Generation generation, ReplyContext context);
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;

    /// Says what the model answers.
    void answer(services::LlmRequest request, TimePoint now);
    /// Says a fixed text.
    void say(std::string_view text);
    /// A slow model's silence is covered by a sentence of ours.
    void fill_in(TimePoint now);
    /// The playout queue fell below its high-water mark.
    void on_room() { room_.notify(); }

    /// Nothing of it may be used any more; it winds down.
    void stop();
    asio::awaitable<void> join() { return tasks_.join(); }

    Generation generation() const noexcept { return generation_; }
    // Who served it last, for the log; nothing as long as nobody did.
    const std::optional<services::Served>& model() const noexcept { return model_; }
    const std::optional<services::Served>& voice() const noexcept { return voice_; }

private:
    asio::awaitable<void> think(services::LlmRequest request);
    asio::awaitable<void> speak();
    asio::awaitable<bool> speak_sentence(std::string text);
    std::shared_ptr<const services::TtsChunk> kept(std::string_view text);
    void play_kept(std::shared_ptr<const services::TtsChunk> audio);
    void add_audio(media::Samples samples, SampleRate rate);
    asio::awaitable<bool> room();
    void send_sentence(std::string text);
    void end_sentence();
    void play(media::Samples samples, std::shared_ptr<const void> owner);

    const Generation generation_;
    const ReplyContext context_;
    async::Mailbox<std::string> sentences_;
    async::Signal room_;
    std::vector<std::string> sent_;  ///< sentences given to the voice
    TimePoint asked_{};              ///< when the model was; never for a fixed text
    bool restarted_{false};          ///< another model took over
    std::optional<services::Served> model_;
    std::optional<services::Served> voice_;
    std::optional<media::Resampler> resampler_;  ///< made for the rate that the voice has
    std::vector<media::Sample> resampled_;
    std::vector<media::Sample> lead_;  ///< the end of the silence before the first sound …
    bool sounded_{false};              ///< … which has come
    bool dead_{false};
    async::TaskGroup tasks_;
};

}  // namespace oavc::pipeline
