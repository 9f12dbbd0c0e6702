#include "pipeline/reply.hpp"

#include "base/assert.hpp"
#include "media/level.hpp"
#include "pipeline/sentence_aggregator.hpp"
#include "services/errors.hpp"

#include <algorithm>
#include <utility>

namespace oavc::pipeline {

using services::LlmEvent;
using services::ServiceErrc;

namespace {

/// A reply of more sentences than this is not a telephone reply.
constexpr std::size_t most_sentences = 256;

/// Of the silence before a reply's first sound, this much is kept: a soft beginning is not cut, and
/// the first packet of a reply has sound in it.
constexpr milliseconds kept_lead{5};

}  // namespace

Reply::Reply(asio::any_io_executor executor, Generation generation, ReplyContext context)
    : generation_{generation},
      context_{context},
      sentences_{executor, most_sentences},
      room_{executor},
      tasks_{executor, [this](std::exception_ptr error) {
                 context_.owner.on_exception(std::move(error));
             }} {}

void Reply::answer(services::LlmRequest request, TimePoint now) {
    asked_ = now;
    tasks_.spawn(speak());
    // Last: when a model fails at once, the call has gone on to its apology when spawn returns.
    tasks_.spawn(think(std::move(request)));
}

void Reply::say(std::string_view text) {
    for (auto& sentence : sentences_of(text))
        send_sentence(std::move(sentence));
    sentences_.close();
    tasks_.spawn(speak());
}

void Reply::fill_in(TimePoint now) {
    const auto& filler = context_.agent.filler_sentence;
    if (filler.empty() || asked_ == TimePoint{}) return;
    if (!sent_.empty() || sentences_.closed()) return;
    if (now - asked_ >= context_.agent.filler_after) send_sentence(filler);
}

void Reply::stop() {
    dead_ = true;
    tasks_.cancel();
    sentences_.close();
}

// --- Tokens in, sentences out -------------------------------------------------------------------

asio::awaitable<void> Reply::think(services::LlmRequest request) {
    if (context_.llm == nullptr) co_return;
    auto asked = context_.telemetry.ask_model();
    request.traceparent = asked.traceparent();
    const auto answer = context_.llm->ask(std::move(request));
    SentenceAggregator sentences;
    for (;;) {
        auto next = co_await answer->next();
        if (dead_) co_return;
        if (!next) {
            if (next.error() == ServiceErrc::end_of_stream) break;
            asked.on_failed(next.error());
            context_.log.warn("the model failed", log::kv("error", next.error()));
            context_.owner.on_failed(*this);
            co_return;
        }
        context_.owner.on_token(*this);
        model_ = answer->served();
        asked.on_first("first_token", *model_, context_.model);
        switch (next->kind) {
            case LlmEvent::Kind::text:
                sentences.push(next->text);
                break;
            case LlmEvent::Kind::restart:
                sentences.reset();
                restarted_ = true;
                break;
            case LlmEvent::Kind::transfer:
            case LlmEvent::Kind::hang_up:
            case LlmEvent::Kind::send_digits:
            case LlmEvent::Kind::collect:
            case LlmEvent::Kind::tool_call:
                context_.owner.on_sequel(*this, std::move(*next));
                break;
        }
        while (auto sentence = sentences.next())
            send_sentence(std::move(*sentence));
    }
    sentences.finish();
    while (auto sentence = sentences.next())
        send_sentence(std::move(*sentence));
    sentences_.close();
}

void Reply::send_sentence(std::string text) {
    // A model that took over from a failed one may begin with what the caller has heard already.
    if (restarted_ && std::ranges::find(sent_, text) != sent_.end()) return;
    sent_.push_back(text);
    if (!sentences_.try_push(std::move(text))) {
        context_.log.warn("the reply is too long; the rest is left out");
    }
    context_.owner.on_sentence(*this);
}

// --- Sentences in, audio into the playout queue -------------------------------------------------

asio::awaitable<void> Reply::speak() {
    for (;;) {
        auto sentence = co_await sentences_.pop();
        if (dead_) co_return;
        if (!sentence) break;
        std::string text = std::move(*sentence);
        const bool spoken = co_await speak_sentence(std::move(text));
        if (!spoken) co_return;
    }
    context_.owner.on_complete(*this);
}

/// False: the reply is over.
asio::awaitable<bool> Reply::speak_sentence(std::string text) {
    context_.owner.on_speaking(*this, text);
    context_.playout.begin_sentence(text);
    if (auto audio = kept(text)) {
        play_kept(std::move(audio));
        const bool wanted = co_await room();
        co_return wanted;
    }
    if (context_.tts == nullptr) {
        context_.owner.on_failed(*this);
        co_return false;
    }
    auto asked = context_.telemetry.ask_voice();
    const auto voice = context_.tts->speak(std::move(text));
    for (;;) {
        auto chunk = co_await voice->next();
        if (dead_) co_return false;
        if (!chunk) {
            if (chunk.error() == ServiceErrc::end_of_stream) break;
            asked.on_failed(chunk.error());
            context_.log.warn("the voice failed", log::kv("error", chunk.error()));
            context_.owner.on_failed(*this);
            co_return false;
        }
        voice_ = voice->served();
        asked.on_first("first_audio", *voice_, context_.voice);
        add_audio(chunk->samples, chunk->rate);
        const bool wanted = co_await room();
        if (!wanted) co_return false;
    }
    end_sentence();
    co_return true;
}

/// What needs no synthesis: our fixed sentences, and what the voice has said before.
std::shared_ptr<const services::TtsChunk> Reply::kept(std::string_view text) {
    auto phrase = context_.phrases.find(context_.agent, text, context_.rate);
    if (phrase || context_.tts == nullptr) return phrase;
    return context_.tts->kept(text, context_.rate);
}

/// It is at the queue's rate, and shared with every other call that says it.
void Reply::play_kept(std::shared_ptr<const services::TtsChunk> audio) {
    OAVC_ASSERT(audio->rate == context_.rate);
    voice_ = services::Served{.provider = "cached"};
    auto asked = context_.telemetry.ask_voice();
    asked.on_first("first_audio", *voice_, context_.voice);
    context_.owner.on_audio(*this);
    const media::Samples samples{audio->samples};
    play(samples, std::move(audio));
}

void Reply::add_audio(media::Samples samples, SampleRate rate) {
    context_.owner.on_audio(*this);
    resampled_.clear();
    if (!resampler_ || resampler_->input_rate() != rate) {
        if (resampler_) resampler_->flush(resampled_);
        resampler_.emplace(rate, context_.rate);
    }
    resampler_->process(samples, resampled_);
    play(resampled_, nullptr);
}

/// Waits until the voice may go on. False: the reply is over.
asio::awaitable<bool> Reply::room() {
    while (context_.playout.queued() > PlayoutQueue::high_water) {
        co_await room_.wait();
        if (dead_) co_return false;
    }
    co_return true;
}

void Reply::end_sentence() {
    resampled_.clear();
    if (resampler_) resampler_->flush(resampled_);
    play(resampled_, nullptr);
}

/// Into the queue. A voice's silence before its first sound is latency that the caller hears: it
/// is cut, however the voice cuts its chunks. `owner`: of samples that are shared; null: copied.
void Reply::play(media::Samples samples, std::shared_ptr<const void> owner) {
    if (!sounded_) {
        if (!lead_.empty()) {
            lead_.insert(lead_.end(), samples.begin(), samples.end());
            samples = lead_;
            owner.reset();
        }
        const auto step = samples_in(kept_lead, context_.rate);
        std::size_t silent = 0;
        while (silent + step <= samples.size() && !media::is_voiced(samples.subspan(silent, step)))
            silent += step;
        sounded_ = silent + step <= samples.size();
        samples = samples.subspan(silent > step ? silent - step : 0);
        if (!sounded_) {  // the sound may begin right behind it
            lead_ = std::vector<media::Sample>(samples.begin(), samples.end());
            return;
        }
    }
    if (owner) {
        context_.playout.append(samples, std::move(owner));
    } else {
        context_.playout.append(samples);
    }
    lead_ = {};
}

}  // namespace oavc::pipeline
