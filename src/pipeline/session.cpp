#include "pipeline/session.hpp"

#include "async/deadline.hpp"
#include "base/random.hpp"
#include "media/level.hpp"
#include "pipeline/call_tools.hpp"
#include "pipeline/sentence_aggregator.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace oavc::pipeline {

using turns::CannedLine;
using turns::TurnAction;

namespace {

/// Services are local or warm: one that needs longer than this to open is down.
constexpr auto open_limit = 3s;

/// "openai", or "ollama (failed over)"; empty: nobody. `service`: who it is unless it says so.
std::string served_by(const std::optional<services::Served>& served, std::string_view service) {
    if (!served) return {};
    std::string text{served->provider.empty() ? service : served->provider};
    if (served->failed_over) text += " (failed over)";
    if (served->hedged) text += " (hedged)";
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
        co_await grave->join();
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
        log::kv("sent", stats.sent),
        log::kv("jitter_ms", stats.jitter_ms),
        log::kv("round_trip_ms", stats.round_trip_ms),
        log::kv("mos", stats.mos)
    );
    emit(CallEvent::Kind::ended, std::string{transports::to_string(end.reason)});
}

/// The caller can be told that nothing works although no voice does.
bool Session::can_apologise() const {
    const auto& agent = context_.agent;
    const auto sentences = sentences_of(agent.failure_sentence);
    return !sentences.empty() && context_.phrases.find(agent, sentences.front()) != nullptr;
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
            recognised_by_ = next->served;
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
    if (reply_) reply_->fill_in(now);
    play(now);
}

void Session::play(TimePoint now) {
    if (!reply_ || machine_->paused()) return;
    const auto& format = transport_->format();
    const std::span frame{frame_.data(), format.samples_per_frame()};
    while (transport_->send_room() > 0 && playout_.take_frame(frame)) {
        const auto ahead = transport_->unheard();
        if (!transport_->send_audio({frame, format.rate})) break;
        machine_->on_reply_progress(reply_->generation(), now);
        if (!std::exchange(reply_out_, true)) machine_->on_reply_out(reply_->generation(), now);
        if (!reply_voiced_ && media::is_voiced(frame)) {
            reply_voiced_ = true;
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
                log::kv("stt", served_by(recognised_by_, context_.services.stt.name())),
                log::kv("llm", served_by(reply_->model(), context_.services.llm.name())),
                log::kv("tts", served_by(reply_->voice(), context_.services.tts.name()))
            );
            emit(started);
        }
    }
    if (playout_.queued() < PlayoutQueue::high_water) reply_->on_room();
    if (playout_.drained() && transport_->unheard() <= milliseconds{0}) {
        const auto generation = reply_->generation();
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
    reply_->stop();
    graves_.push_back(std::move(reply_));
    if (!tasks_.cancelled()) tasks_.spawn(bury(*graves_.back()));
}

asio::awaitable<void> Session::bury(Reply& reply) {
    co_await reply.join();
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
    reply_out_ = false;
    reply_voiced_ = false;
    const ReplyContext borrowed{
        .agent = context_.agent,
        .phrases = context_.phrases,
        .llm = llm_.get(),
        .tts = tts_.get(),
        .rate = transport_->format().rate,
        .playout = playout_,
        .log = log_,
        .owner = *this,
    };
    reply_ = std::make_unique<Reply>(shard_.executor(), action.generation, borrowed);
    if (action.line != CannedLine::none) {
        if (action.line == CannedLine::failure) transfer_target_ = context_.agent.fallback_number;
        reply_->say(line(action.line));
        return;
    }
    services::LlmRequest request;
    request.messages = conversation_.messages();
    if (context_.services.llm.capabilities().tools) request.tools = call_tools(context_.agent);
    reply_->answer(std::move(request), context_.now());
}

void Session::on_token(const Reply& reply) {
    machine_->on_reply_progress(reply.generation(), context_.now());
}

void Session::on_sentence(const Reply& reply) {
    static_cast<void>(reply);
    probe_.on_sentence(context_.now());
}

void Session::on_speaking(const Reply& reply, std::string_view sentence) {
    static_cast<void>(reply);
    emit(CallEvent::Kind::sentence, std::string{sentence});
}

void Session::on_audio(const Reply& reply) {
    const auto now = context_.now();
    machine_->on_reply_progress(reply.generation(), now);
    probe_.on_audio(now);
}

void Session::on_complete(const Reply& reply) {
    // A reply without a word is no reply.
    if (playout_.empty() && !machine_->hanging_up()) return on_failed(reply);
    playout_.finish();
}

void Session::on_failed(const Reply& reply) {
    const auto now = context_.now();
    machine_->on_reply_failed(reply.generation(), now);
    run_actions(now);
}

void Session::on_end_of_call(const Reply& reply, std::string transfer_to) {
    static_cast<void>(reply);
    if (!transfer_to.empty()) transfer_target_ = std::move(transfer_to);
    machine_->hang_up_after_reply();
}

void Session::on_exception(std::exception_ptr error) {
    log_.error("a reply failed; the call ends", log::kv("error", what(std::move(error))));
    leaving_ = true;
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
