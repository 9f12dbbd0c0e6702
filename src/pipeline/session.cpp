#include "pipeline/session.hpp"

#include "async/deadline.hpp"
#include "base/random.hpp"
#include "media/level.hpp"
#include "pipeline/call_tools.hpp"
#include "pipeline/sentence_aggregator.hpp"
#include "services/errors.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>

namespace oavc::pipeline {

using services::ServiceErrc;
using turns::CannedLine;
using turns::TurnAction;

namespace {

/// Services are local or warm: one that needs longer than this to open is down.
constexpr auto open_limit = 3s;

/// A reply of more sentences than this is not a telephone reply.
constexpr std::size_t most_sentences = 256;

/// Of the silence before a reply's first sound, this much is kept.
constexpr milliseconds kept_lead{20};

/// "openai", or "ollama (failed over)".
std::string served_by(const services::Served& served, std::string_view service) {
    std::string text{served.provider.empty() ? service : served.provider};
    if (served.failed_over) text += " (failed over)";
    if (served.hedged) text += " (hedged)";
    return text;
}

std::string what(std::exception_ptr error) {
    try {
        std::rethrow_exception(std::move(error));
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "unknown exception";
    }
}

}  // namespace

struct Session::Reply {
    Reply(
        asio::any_io_executor executor,
        Generation g,
        async::TaskGroup::ExceptionHandler on_exception
    )
        : generation{g},
          sentences{executor, most_sentences},
          room{executor},
          tasks{executor, std::move(on_exception)} {}

    const Generation generation;
    async::Mailbox<std::string> sentences;
    async::Signal room;  ///< the playout queue fell below its high-water mark
    std::optional<media::Resampler> resampler;  ///< made for the rate that the voice has
    std::vector<media::Sample> resampled;
    std::vector<std::string> sent;  ///< sentences given to the voice
    TimePoint asked{};              ///< when the model was; never for a fixed sentence
    bool restarted{false};          ///< another model took over
    std::string model;              ///< who answered, for the log
    std::string voice;
    bool lead_trimmed{false};  ///< the silence before the first sound is gone
    bool out{false};           ///< some of it was sent
    bool voiced_out{false};
    bool dead{false};  ///< interrupted: nothing of it may be used any more
    async::TaskGroup tasks;
};

Session::Session(
    async::Shard& shard, std::unique_ptr<transports::Transport> transport, SessionContext context
)
    : shard_{shard},
      context_{std::move(context)},
      transport_{std::move(transport)},
      id_{random_hex(8)},
      log_{context_.log.with({log::kv("call", id_.value), log::kv("via", transport_->info().via)})},
      conversation_{context_.agent.system_prompt, context_.agent.memory_turns},
      playout_{transport_->format()},
      tasks_{
          shard.executor(), [this](std::exception_ptr error) {
              log_.error("a task of the call failed; the call ends", log::kv("error", what(error)));
              leaving_ = true;
          }} {}

Session::~Session() = default;

// --- The call ---------------------------------------------------------------------------------

asio::awaitable<void> Session::run() {
    began_ = context_.now();
    const auto& info = transport_->info();
    log_.info(
        "call came in",
        log::kv("native_id", info.native_id),
        log::kv("from", log::pii(info.from)),
        log::kv("to", log::pii(info.to)),
        log::kv("agent", context_.agent.name)
    );
    emit(CallEvent::Kind::started);

    transports::MediaEnd end{transports::EndReason::we_hung_up, "cancelled"};
    try {
        end = co_await carry();
    } catch (const boost::system::system_error& error) {
        // Cancellation between two waits arrives as an exception too; anything else is our bug.
        if (error.code() != asio::error::operation_aborted) end.detail = error.what();
    } catch (const std::exception& error) {
        end.detail = error.what();
        log_.error("the call failed and ends", log::kv("error", end.detail));
    }

    // From here on everything is ours to finish, cancelled or not.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (machine_) machine_->stop();
    if (reply_) end_reply(true);
    tasks_.cancel();
    co_await tasks_.join();
    for (auto& grave : graves_)
        co_await grave->tasks.join();
    graves_.clear();
    co_await transport_->hang_up();

    const auto stats = transport_->stats();
    log_.info(
        "call ended",
        log::kv("reason", transports::to_string(end.reason)),
        log::kv("detail", end.detail),
        log::kv("duration_ms", context_.now() - began_),
        log::kv("turns", turn_),
        log::kv("received", stats.received),
        log::kv("lost", stats.lost),
        log::kv("rejected", stats.rejected),
        log::kv("sent", stats.sent)
    );
    emit(CallEvent::Kind::ended, std::string{transports::to_string(end.reason)});
}

/// The caller can be told that nothing works although no voice does.
bool Session::can_apologise() const {
    const auto& agent = context_.agent;
    SentenceAggregator sentences;
    sentences.push(agent.failure_sentence);
    sentences.finish();
    const auto first = sentences.next();
    return first && context_.phrases.find(agent, *first) != nullptr;
}

/// Opens the services, answers, and carries media until it ends.
asio::awaitable<transports::MediaEnd> Session::carry() {
    const bool opened = co_await open_services();
    if (!opened && !can_apologise()) {
        std::string reason{"Service Unavailable"};
        co_await transport_->reject(503, std::move(reason));
        co_return transports::MediaEnd{
            transports::EndReason::we_hung_up, "a service could not be opened"};
    }
    const auto connected = co_await transport_->connect();
    if (!connected) {
        co_return transports::MediaEnd{
            transports::EndReason::carrier_lost, connected.error().message()};
    }
    playout_ = PlayoutQueue{transport_->format()};
    AudioProcessor::Output to_stt = [this](media::FrameView frame) {
        if (stt_) stt_->push(frame);
    };
    audio_ = std::make_unique<AudioProcessor>(
        transport_->format(),
        context_.services.vad.make(),
        context_.config.vad,
        context_.services.stt.capabilities().input_rate,
        std::move(to_stt)
    );
    const auto now = context_.now();
    machine_.emplace(context_.config.turns, context_.config.interruption, now);
    log_.info("call answered", log::kv("setup_ms", now - began_));
    emit(CallEvent::Kind::answered);
    if (!opened) {
        machine_->on_recogniser_lost(now);  // says so, then transfers or hangs up
    } else if (!context_.agent.greeting.empty()) {
        machine_->greet(now);
    }
    run_actions(now);
    if (opened) tasks_.spawn(read_transcripts());
    co_return co_await transport_->receive_audio(*this);
}

asio::awaitable<void> Session::open_stt(error_code& error) {
    services::SttOptions options;
    options.language = context_.agent.language;
    auto opening = context_.services.stt.open(shard_, std::move(options));
    auto stream = co_await async::with_deadline(std::move(opening), open_limit);
    if (stream) {
        stt_ = std::move(*stream);
    } else {
        error = stream.error();
    }
}

asio::awaitable<void> Session::open_llm(error_code& error) {
    services::LlmOptions options;
    options.language = context_.agent.language;
    auto opening = context_.services.llm.open(shard_, std::move(options));
    auto session = co_await async::with_deadline(std::move(opening), open_limit);
    if (session) {
        llm_ = std::move(*session);
    } else {
        error = session.error();
    }
}

asio::awaitable<void> Session::open_tts(error_code& error) {
    services::TtsOptions options;
    options.language = context_.agent.language;
    options.voice = context_.agent.voice;
    auto opening = context_.services.tts.open(shard_, std::move(options));
    auto session = co_await async::with_deadline(std::move(opening), open_limit);
    if (session) {
        tts_ = std::move(*session);
    } else {
        error = session.error();
    }
}

asio::awaitable<bool> Session::open_services() {
    using namespace asio::experimental::awaitable_operators;
    error_code stt;
    error_code llm;
    error_code tts;
    co_await (open_stt(stt) && open_llm(llm) && open_tts(tts));
    const auto report = [this](std::string_view kind, std::string_view name, const error_code& e) {
        if (!e) return;
        log_.error(
            "a service could not be opened: the caller is told, or refused",
            log::kv("kind", kind),
            log::kv("provider", name),
            log::kv("error", e)
        );
    };
    report("stt", context_.services.stt.name(), stt);
    report("llm", context_.services.llm.name(), llm);
    report("tts", context_.services.tts.name(), tts);
    co_return stt_&& llm_&& tts_;
}

asio::awaitable<void> Session::read_transcripts() {
    for (;;) {
        auto next = co_await stt_->next();
        const auto now = context_.now();
        if (!next) {
            if (tasks_.cancelled()) co_return;
            log_.warn("the recogniser failed", log::kv("error", next.error()));
            machine_->on_recogniser_lost(now);
            run_actions(now);
            co_return;
        }
        if (next->kind == services::SttEvent::Kind::interim) {
            if (next->utterance == machine_->utterance()) {
                emit(CallEvent::Kind::partial, next->text);
            }
            machine_->on_interim(next->utterance, next->text, now);
        } else {
            recognised_by_ = served_by(next->served, context_.services.stt.name());
            machine_->on_final(next->utterance, next->text, now);
        }
        run_actions(now);
    }
}

void Session::say_goodbye() {
    if (!machine_) return;
    const auto now = context_.now();
    machine_->say_goodbye(now);
    run_actions(now);
}

asio::awaitable<void> Session::leave() {
    if (!transfer_target_.empty()) {
        const auto done = co_await transport_->transfer(transfer_target_);
        if (done) co_return;  // the carrier ends our leg
        log_.warn("transfer failed", log::kv("error", done.error()));
    }
    co_await transport_->hang_up();
}

// --- From the wire ----------------------------------------------------------------------------

void Session::on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept {
    static_cast<void>(concealed);
    const auto heard = audio_->on_frame(frame, arrived);
    if (heard.speech_started) {
        onset_ = *heard.speech_started;
        machine_->on_speech_start(onset_, arrived);
    }
    machine_->on_audio(heard.volume, heard.last_voiced, arrived);
    if (heard.speech_stopped) {
        last_voiced_ = *heard.speech_stopped;
        machine_->on_speech_end(last_voiced_, arrived);
    }
    run_actions(arrived);
}

void Session::on_digit(char digit, transports::DigitSource source) noexcept {
    static_cast<void>(digit);
    static_cast<void>(source);
    machine_->on_activity(context_.now());
    emit(CallEvent::Kind::digit);
}

void Session::on_hold(bool held) noexcept {
    const auto now = context_.now();
    emit(CallEvent::Kind::held, held ? "on" : "off");
    machine_->on_hold(held, now);
    run_actions(now);
}

void Session::on_tick(TimePoint now) noexcept {
    if (leaving_) {
        leaving_ = false;
        machine_->stop();
        tasks_.spawn(leave());
    }
    if (now - began_ >= context_.config.limits.max_call_duration) machine_->say_goodbye(now);
    machine_->tick(now);
    run_actions(now);
    fill_in(now);
    play(now);
}

void Session::play(TimePoint now) {
    if (!reply_ || machine_->paused()) return;
    const auto& format = transport_->format();
    const std::span frame{frame_.data(), format.samples_per_frame()};
    while (transport_->send_room() > 0 && playout_.take_frame(frame)) {
        const auto ahead = transport_->unheard();
        if (!transport_->send_audio({frame, format.rate})) break;
        machine_->on_reply_progress(reply_->generation, now);
        if (!reply_->out) {
            reply_->out = true;
            machine_->on_reply_out(reply_->generation, now);
        }
        if (!reply_->voiced_out && media::is_voiced(frame)) {
            reply_->voiced_out = true;
            auto& started = event(CallEvent::Kind::reply_started);
            if (probe_.running()) started.latency = probe_.on_voiced_out(now + ahead);
            const auto& split = started.latency;
            log_.info(
                "reply begins",
                log::kv("turn", turn_),
                log::kv("heard_latency_ms", split.heard),
                log::kv("endpointing_ms", split.endpointing),
                log::kv("stt_ms", split.stt),
                log::kv("llm_ms", split.llm),
                log::kv("tts_ms", split.tts),
                log::kv("playout_ms", split.playout),
                log::kv("stt", recognised_by_),
                log::kv("llm", reply_->model),
                log::kv("tts", reply_->voice)
            );
            emit(started);
        }
    }
    if (playout_.queued() < PlayoutQueue::high_water) reply_->room.notify();
    if (playout_.drained() && transport_->unheard() <= milliseconds{0}) {
        const auto generation = reply_->generation;
        end_reply(false);
        machine_->on_reply_done(generation, now);
        run_actions(now);
    }
}

// --- What the turn machine decided --------------------------------------------------------------

void Session::run_actions(TimePoint now) {
    TurnAction action;
    while (machine_->next_action(action))
        perform(action, now);
}

void Session::perform(const TurnAction& action, TimePoint now) {
    switch (action.kind) {
        case TurnAction::Kind::begin_utterance:
            emit(CallEvent::Kind::speech_started);
            if (stt_) stt_->begin(action.utterance);
            audio_->open(onset_);
            break;
        case TurnAction::Kind::end_utterance:
            audio_->close();
            if (stt_) stt_->end();
            probe_.begin(last_voiced_);
            probe_.on_turn_ended(now);
            break;
        case TurnAction::Kind::cancel_utterance:
            audio_->drop();
            if (stt_) stt_->cancel();
            break;
        case TurnAction::Kind::reply: {
            ++turn_;
            probe_.on_final(now);
            const auto& text = machine_->asked_text();
            conversation_.user_said(text);
            log_.info("caller said", log::kv("turn", turn_), log::kv("text", log::pii(text)));
            emit(CallEvent::Kind::caller_said, text);
            start_reply(action);
            break;
        }
        case TurnAction::Kind::say:
            start_reply(action);
            break;
        case TurnAction::Kind::pause:
            pause(now);
            break;
        case TurnAction::Kind::resume:
            break;  // play() goes on at the same sample
        case TurnAction::Kind::interrupt:
            if (action.by_caller) {
                auto& barge_in = event(
                    CallEvent::Kind::barge_in,
                    std::string{to_string(machine_->interruption_strategy())}
                );
                const auto silent = std::max(paused_at_, machine_->barge_in_onset());
                barge_in.reaction =
                    std::chrono::duration_cast<microseconds>(silent - machine_->barge_in_onset());
                log_.info(
                    "interrupted",
                    log::kv("turn", turn_),
                    log::kv("strategy", barge_in.text),
                    log::kv("reaction_ms", barge_in.reaction)
                );
                emit(barge_in);
            }
            transfer_target_.clear();
            end_reply(true);
            break;
        case TurnAction::Kind::hang_up:
            tasks_.spawn(leave());
            break;
    }
}

/// Falls silent at once. What lies unheard at the carrier is taken back, so that a false alarm
/// resumes at the very sample where the caller stopped hearing us.
void Session::pause(TimePoint now) {
    paused_at_ = now;
    if (reply_) playout_.rewind(transport_->clear_audio());
}

void Session::end_reply(bool interrupted) {
    if (!reply_) return;
    // After a pause nothing lies unheard any more: the queue was rewound then.
    const auto unheard = interrupted ? transport_->clear_audio() : milliseconds{0};
    const auto heard = playout_.heard_text(unheard);
    conversation_.assistant_heard(heard, interrupted);
    if (!heard.empty()) {
        log_.info(
            "said",
            log::kv("turn", turn_),
            log::kv("interrupted", interrupted),
            log::kv("text", log::pii(heard))
        );
    }
    auto& event_heard = event(CallEvent::Kind::heard, heard);
    event_heard.interrupted = interrupted;
    emit(event_heard);
    playout_.release();
    if (probe_.running() && interrupted) probe_.cancel();
    reply_->dead = true;
    reply_->tasks.cancel();
    reply_->sentences.close();
    graves_.push_back(std::move(reply_));
    if (!tasks_.cancelled()) tasks_.spawn(bury(*graves_.back()));
}

asio::awaitable<void> Session::bury(Reply& reply) {
    co_await reply.tasks.join();
    graves_.remove_if([&](const auto& grave) { return grave.get() == &reply; });
}

// --- Our reply --------------------------------------------------------------------------------

std::string Session::line(CannedLine which) const {
    switch (which) {
        case CannedLine::greeting:
            return context_.agent.greeting;
        case CannedLine::idle:
            return context_.agent.idle_sentence;
        case CannedLine::not_understood:
            return context_.agent.not_understood;
        case CannedLine::failure:
            return context_.agent.failure_sentence;
        case CannedLine::goodbye:
            return context_.agent.goodbye;
        case CannedLine::none:
            break;
    }
    return {};
}

void Session::start_reply(const TurnAction& action) {
    if (reply_) end_reply(true);
    playout_.begin();
    reply_ = std::make_unique<Reply>(
        shard_.executor(),
        action.generation,
        [this](std::exception_ptr error) {
            log_.error("a reply failed; the call ends", log::kv("error", what(error)));
            leaving_ = true;
        }
    );
    if (action.line == CannedLine::none) {
        reply_->asked = context_.now();
        reply_->tasks.spawn(speak(*reply_));
        // Last: when a model fails at once, reply_ is the apology by the time that spawn returns.
        reply_->tasks.spawn(think(*reply_));
    } else {
        if (action.line == CannedLine::failure) transfer_target_ = context_.agent.fallback_number;
        SentenceAggregator sentences;
        sentences.push(line(action.line));
        sentences.finish();
        while (auto sentence = sentences.next())
            send_sentence(*reply_, std::move(*sentence));
        reply_->sentences.close();
        reply_->tasks.spawn(speak(*reply_));
    }
}

void Session::send_sentence(Reply& reply, std::string text) {
    // A model that took over from a failed one may begin with what the caller has heard already.
    if (std::ranges::find(reply.sent, text) != reply.sent.end() && reply.restarted) return;
    reply.sent.push_back(text);
    if (!reply.sentences.try_push(std::move(text))) {
        log_.warn("the reply is too long; the rest is left out");
    }
    probe_.on_sentence(context_.now());
}

/// The model's half: tokens in, sentences out.
asio::awaitable<void> Session::think(Reply& reply) {
    services::LlmRequest request;
    request.messages = conversation_.messages();
    if (context_.services.llm.capabilities().tools) request.tools = call_tools(context_.agent);
    if (!llm_) co_return;  // we are apologising
    const auto answer = llm_->ask(std::move(request));
    SentenceAggregator sentences;
    for (;;) {
        auto next = co_await answer->next();
        if (reply.dead) co_return;
        const auto now = context_.now();
        if (!next) {
            if (next.error() == ServiceErrc::end_of_stream) break;
            log_.warn("the model failed", log::kv("error", next.error()));
            machine_->on_reply_failed(reply.generation, now);
            run_actions(now);
            co_return;
        }
        machine_->on_reply_progress(reply.generation, now);
        reply.model = served_by(answer->served(), context_.services.llm.name());
        if (next->kind == services::LlmEvent::Kind::tool_call) {
            *next = as_action(next->tool, context_.agent);
        }
        switch (next->kind) {
            case services::LlmEvent::Kind::text:
                sentences.push(next->text);
                break;
            case services::LlmEvent::Kind::transfer:
                transfer_target_ = next->text;
                machine_->hang_up_after_reply();
                break;
            case services::LlmEvent::Kind::hang_up:
                machine_->hang_up_after_reply();
                break;
            case services::LlmEvent::Kind::restart:
                sentences.reset();
                reply.restarted = true;
                break;
            case services::LlmEvent::Kind::tool_call:
                log_.warn(
                    "the model called a function that does not exist",
                    log::kv("name", next->tool.name)
                );
                break;
        }
        while (auto sentence = sentences.next())
            send_sentence(reply, std::move(*sentence));
    }
    sentences.finish();
    while (auto sentence = sentences.next())
        send_sentence(reply, std::move(*sentence));
    reply.sentences.close();
}

/// A slow model's silence is covered by a sentence of ours.
void Session::fill_in(TimePoint now) {
    const auto& filler = context_.agent.filler_sentence;
    if (filler.empty() || !reply_ || reply_->asked == TimePoint{}) return;
    if (!reply_->sent.empty() || reply_->sentences.closed()) return;
    if (now - reply_->asked >= context_.agent.filler_after) send_sentence(*reply_, filler);
}

/// The voice's half: sentences in, audio into the playout queue.
asio::awaitable<void> Session::speak(Reply& reply) {
    for (;;) {
        auto sentence = co_await reply.sentences.pop();
        if (reply.dead) co_return;
        if (!sentence) break;
        std::string text = std::move(*sentence);
        const bool spoken = co_await speak_sentence(reply, std::move(text));
        if (!spoken) co_return;
    }
    if (playout_.empty() && !machine_->hanging_up()) {  // a reply without a word is no reply
        const auto now = context_.now();
        machine_->on_reply_failed(reply.generation, now);
        run_actions(now);
        co_return;
    }
    playout_.finish();
}

asio::awaitable<bool> Session::speak_sentence(Reply& reply, std::string text) {
    emit(CallEvent::Kind::sentence, text);
    playout_.begin_sentence(text);
    if (auto phrase = context_.phrases.find(context_.agent, text)) {
        const bool played = co_await play_phrase(reply, std::move(phrase));
        co_return played;
    }
    if (!tts_) {
        machine_->on_reply_failed(reply.generation, context_.now());
        run_actions(context_.now());
        co_return false;
    }
    const auto voice = tts_->speak(std::move(text));
    for (;;) {
        auto chunk = co_await voice->next();
        if (reply.dead) co_return false;
        if (!chunk) {
            if (chunk.error() == ServiceErrc::end_of_stream) break;
            log_.warn("the voice failed", log::kv("error", chunk.error()));
            machine_->on_reply_failed(reply.generation, context_.now());
            run_actions(context_.now());
            co_return false;
        }
        reply.voice = served_by(voice->served(), context_.services.tts.name());
        const bool wanted = co_await add_audio(reply, chunk->samples, chunk->rate);
        if (!wanted) co_return false;
    }
    end_sentence(reply);
    co_return true;
}

/// What was synthesised beforehand, in pieces like a voice's.
asio::awaitable<bool> Session::play_phrase(Reply& reply, std::shared_ptr<const Phrase> phrase) {
    constexpr milliseconds piece{200};
    const auto step = samples_in(piece, phrase->rate);
    reply.voice = "cached";
    for (media::Samples rest{phrase->samples}; !rest.empty();) {
        const auto part = rest.first(std::min(step, rest.size()));
        rest = rest.subspan(part.size());
        const bool wanted = co_await add_audio(reply, part, phrase->rate);
        if (!wanted) co_return false;
    }
    end_sentence(reply);
    co_return true;
}

/// Into the playout queue, as soon as there is room. False: the reply is dead.
asio::awaitable<bool> Session::add_audio(Reply& reply, media::Samples samples, SampleRate rate) {
    const auto now = context_.now();
    machine_->on_reply_progress(reply.generation, now);
    probe_.on_audio(now);
    reply.resampled.clear();
    if (!reply.resampler || reply.resampler->input_rate() != rate) {
        if (reply.resampler) reply.resampler->flush(reply.resampled);
        reply.resampler.emplace(rate, transport_->format().rate);
    }
    reply.resampler->process(samples, reply.resampled);
    append_audio(reply, reply.resampled);
    while (playout_.queued() > PlayoutQueue::high_water) {
        co_await reply.room.wait();
        if (reply.dead) co_return false;
    }
    co_return true;
}

void Session::end_sentence(Reply& reply) {
    reply.resampled.clear();
    if (reply.resampler) reply.resampler->flush(reply.resampled);
    append_audio(reply, reply.resampled);
}

/// A voice's silence before its first sound is latency that the caller hears: it is cut.
void Session::append_audio(Reply& reply, media::Samples samples) {
    if (!reply.lead_trimmed) {
        const auto rate = transport_->format().rate;
        const auto step = samples_in(kept_lead, rate);
        std::size_t silent = 0;
        while (silent + step <= samples.size() && !media::is_voiced(samples.subspan(silent, step))
        ) {
            silent += step;
        }
        reply.lead_trimmed = silent + step <= samples.size();
        samples = samples.subspan(silent > step ? silent - step : 0);
        if (!reply.lead_trimmed) return;
    }
    playout_.append(samples);
}

// --- Telling others -----------------------------------------------------------------------------

CallEvent& Session::event(CallEvent::Kind kind, std::string text) {
    event_ = CallEvent{};
    event_.kind = kind;
    event_.text = std::move(text);
    return event_;
}

void Session::emit(const CallEvent& what) {
    CallEvent copy = what;
    copy.at = std::chrono::system_clock::now();
    copy.since_start = std::chrono::duration_cast<milliseconds>(context_.now() - began_);
    copy.turn = turn_;
    for (CallObserver* observer : context_.observers) {
        observer->on_call_event(id_, transport_->info(), copy);
    }
}

const char* to_string(CallEvent::Kind kind) noexcept {
    switch (kind) {
        case CallEvent::Kind::started:
            return "started";
        case CallEvent::Kind::answered:
            return "answered";
        case CallEvent::Kind::speech_started:
            return "speech_started";
        case CallEvent::Kind::partial:
            return "partial";
        case CallEvent::Kind::caller_said:
            return "caller_said";
        case CallEvent::Kind::sentence:
            return "sentence";
        case CallEvent::Kind::reply_started:
            return "reply_started";
        case CallEvent::Kind::barge_in:
            return "barge_in";
        case CallEvent::Kind::heard:
            return "heard";
        case CallEvent::Kind::digit:
            return "digit";
        case CallEvent::Kind::held:
            return "held";
        case CallEvent::Kind::ended:
            return "ended";
    }
    return "unknown";
}

}  // namespace oavc::pipeline
