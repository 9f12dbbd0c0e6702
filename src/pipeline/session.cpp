#include "pipeline/session.hpp"

#include "async/deadline.hpp"
#include "base/random.hpp"
#include "media/level.hpp"
#include "pipeline/sentence_aggregator.hpp"
#include "transports/errors.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace oavc::pipeline {

namespace {

/// Services are local or warm: one that needs longer than this to open is down.
constexpr auto open_limit = 3s;

DigitRules digit_rules(const AgentConfig& agent) {
    DigitRules rules;
    rules.count = agent.digit_count;
    rules.next = agent.digit_timeout;
    const auto& terminator = agent.digit_terminator;
    rules.terminator = terminator.size() == 1 ? terminator.front() : '\0';
    return rules;
}

/// "openai", or "ollama (failed over)"; empty: nobody. `service`: who it is unless it says so.
std::string served_by(const std::optional<services::Served>& served, std::string_view service) {
    if (!served) return {};
    std::string text{served->provider.empty() ? service : served->provider};
    if (served->failed_over) text += " (failed over)";
    if (served->hedged) text += " (hedged)";
    return text;
}

privacy::Kinds hidden_by(const AgentConfig& agent) {
    auto kinds = privacy::Kinds::named(agent.mask_personal_data);
    if (agent.reveal_digits) kinds.remove(privacy::Kind::keys);
    return kinds;
}

/// The person at the other end is nobody's business; the number that he called is ours.
transports::CallInfo shown_info(const transports::CallInfo& call, privacy::Kinds hidden) {
    auto shown = call;
    auto& person = call.outgoing ? shown.to : shown.from;
    person = privacy::mask(person, hidden).text;
    return shown;
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
      id_{transport_->info().id.empty() ? random_hex(8) : transport_->info().id},
      telemetry_{context_.telemetry, transport_->info(), context_.now},
      log_{telemetry_.name_trace(
          context_.log.with({log::kv("call", id_.value), log::kv("via", transport_->info().via)})
      )},
      hidden_{hidden_by(context_.agent)},
      shown_{shown_info(transport_->info(), hidden_)},
      asked_{hidden_},
      spoken_{hidden_},
      heard_{hidden_},
      conversation_{context_.agent.system_prompt, context_.agent.memory_turns},
      playout_{transport_->format()},
      tasks_{
          shard.executor(),
          [this](std::exception_ptr error) {
              log_.error("a task of the call failed; the call ends", log::kv("error", what(error)));
              leaving_ = true;
          }},
      collector_{digit_rules(context_.agent)} {}

Session::~Session() = default;

// --- The call ---------------------------------------------------------------------------------

asio::awaitable<void> Session::run() {
    began_ = context_.now();
    telemetry_.on_started(id_, context_.agent.name, began_);
    const auto& info = transport_->info();
    log_.info(
        info.outgoing ? "call goes out" : "call came in",
        log::kv("native_id", info.native_id),
        log::kv("from", log::pii(shown_.from)),
        log::kv("to", log::pii(shown_.to)),
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
    auto log = log_;
    // What nobody measured is left out.
    if (stats.round_trip_ms > 0) log = log.with({log::kv("round_trip_ms", stats.round_trip_ms)});
    if (stats.mos > 0) log = log.with({log::kv("mos", stats.mos)});
    log.info(
        "call ended",
        log::kv("reason", transports::to_string(end.reason)),
        log::kv("detail", end.detail),
        log::kv("duration_ms", context_.now() - began_),
        log::kv("turns", turn_),
        log::kv("received", stats.received),
        log::kv("lost", stats.lost),
        log::kv("rejected", stats.rejected),
        log::kv("sent", stats.sent),
        log::kv("jitter_ms", stats.jitter_ms)
    );
    telemetry_.on_ended(end.reason, stats, context_.now());
    emit(CallEvent::Kind::ended, std::string{transports::to_string(end.reason)});
}

/// The caller can be told that nothing works although no voice does.
bool Session::can_apologise() const {
    const auto& agent = context_.agent;
    const auto sentences = sentences_of(agent.failure_sentence);
    return !sentences.empty() && context_.phrases.has(agent, sentences.front());
}

/// Opens the services, answers, and carries media until it ends.
asio::awaitable<transports::MediaEnd> Session::carry() {
    // A telephone may ring for long. Services that hear nothing meanwhile would hang up on us.
    const bool outgoing = transport_->info().outgoing;
    Result<void> connected;
    if (outgoing) connected = co_await transport_->connect();
    bool opened = false;
    if (connected) opened = co_await open_services();
    if (connected && !opened && !can_apologise()) {
        std::string reason{"Service Unavailable"};
        if (!outgoing) co_await transport_->reject(503, std::move(reason));
        co_return transports::MediaEnd{
            transports::EndReason::we_hung_up, "a service could not be opened"};
    }
    if (!outgoing) connected = co_await transport_->connect();
    if (!connected) {
        co_return transports::MediaEnd{
            transports::end_reason_of(connected.error(), outgoing), connected.error().message()};
    }
    playout_ = PlayoutQueue{transport_->format()};
    AudioProcessor::Output to_stt = [this](media::FrameView frame) {
        if (stt_) stt_->push(frame);
    };
    const auto rate = transport_->format().rate;
    const auto& recogniser = context_.services.stt.capabilities();
    audio_.emplace(
        transport_->format(),
        context_.services.vad.make(rate),
        context_.config.vad,
        recogniser.any_rate ? rate : recogniser.input_rate,
        std::move(to_stt)
    );
    const auto now = context_.now();
    if (context_.agent.record && context_.services.recordings != nullptr) {
        recorder_ = context_.services.recordings->begin(id_, rate, now);
    }
    machine_.emplace(context_.config.turns, context_.config.interruption, now);
    log_.info("call answered", log::kv("setup_ms", now - began_));
    telemetry_.on_answered(now);
    emit(CallEvent::Kind::answered);
    if (!opened) {
        machine_->on_recogniser_lost(now);  // says so, then transfers or hangs up
    } else if (outgoing) {
        speak_first_at_ = now + context_.agent.speak_first_after;
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
    options.traceparent = telemetry_.traceparent();
    options.log = log_;
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
    options.traceparent = telemetry_.traceparent();
    options.log = log_;
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
    options.traceparent = telemetry_.traceparent();
    options.log = log_;
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
    if (apologised_ && !context_.agent.fallback_number.empty()) {
        const auto done = co_await transfer(context_.agent.fallback_number, false, {});
        if (done) co_return;  // the carrier ends our leg
    }
    co_await transport_->hang_up();
}

// --- From the wire ----------------------------------------------------------------------------

void Session::on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept {
    // What sounds in a held call is no caller: music, or another conversation.
    if (held_by_carrier_ || held_by_us_) return;
    if (recorder_) recorder_->heard(frame.samples, arrived);
    if (speak_first_at_ && !concealed) speak_first(arrived);
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

/// What is said before the way to the callee's ear is open is not heard by anybody.
void Session::speak_first(TimePoint now) {
    speak_first_at_.reset();
    if (context_.agent.greeting.empty()) return;
    machine_->greet(now);
    run_actions(now);
}

void Session::on_tick(TimePoint now) noexcept {
    if (speak_first_at_ && now >= *speak_first_at_) speak_first(now);
    if (leaving_) {
        leaving_ = false;
        machine_->stop();
        tasks_.spawn(leave());
    }
    if (now - began_ >= context_.config.limits.max_call_duration) machine_->say_goodbye(now);
    if (now >= tell_media_at_) {
        tell_media_at_ = now + CallTelemetry::media_period;
        telemetry_.on_media(transport_->stats());
    }
    if (const auto entry = collector_.poll(now)) keyed(*entry, now);
    // Whoever looks for his card's number is not asked whether he is there.
    if (collector_.waiting()) machine_->on_activity(now);
    const bool idle = machine_->state() == turns::TurnState::listening && !collector_.waiting();
    if (idle && !announcements_.empty() && !machine_->held()) machine_->announce(now);
    machine_->tick(now);
    run_actions(now);
    if (reply_) reply_->fill_in(now);
    play(now);
    if (!recorder_) return;
    recorder_->mute(MuteReason::keys, collector_.waiting() || collector_.collecting());
    recorder_->tick(now);
}

void Session::play(TimePoint now) {
    if (!reply_ || machine_->paused()) return;
    const auto& format = transport_->format();
    std::array<media::Sample, media::max_frame_samples> buffer;
    const auto frame = std::span{buffer}.first(format.samples_per_frame());
    while (transport_->send_room() > 0 && playout_.take_frame(frame)) {
        const auto ahead = transport_->unheard();
        playout_.keep(ahead);
        if (!transport_->send_audio({frame, format.rate})) break;
        if (recorder_) recorder_->said(frame, now + ahead);
        machine_->on_reply_progress(reply_->generation(), now);
        if (!std::exchange(reply_out_, true)) machine_->on_reply_out(reply_->generation(), now);
        if (!reply_voiced_ && media::is_voiced(frame)) {
            reply_voiced_ = true;
            auto& started = event(CallEvent::Kind::reply_started);
            if (probe_.running()) {
                // `now` is when this tick was due: that it ran late is heard, too.
                started.latency = probe_.on_voiced_out(std::max(now, context_.now()) + ahead);
                telemetry_.on_answer_heard(started.latency, now);
            }
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
    if (!playout_.drained()) return;
    const auto unheard = transport_->unheard();
    if (!all_sent_) {
        all_sent_ = now;
        sent_ahead_ = std::max(unheard, milliseconds{0});
    }
    // A carrier that never confirms the last word does not keep the caller in the line for ever.
    const auto patience = sent_ahead_ + context_.config.turns.last_word_timeout;
    if (unheard > milliseconds{0} && now - *all_sent_ < patience) return;
    const auto generation = reply_->generation();
    const auto keypad = std::exchange(keypad_, {});
    end_reply(false);
    machine_->on_reply_done(generation, now);
    if (keypad) collect(*keypad, now);
    run_actions(now);
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

/// Observers see what people say without their secrets.
std::string Session::shown(CallEvent::Kind kind, std::string_view text) {
    switch (kind) {
        case CallEvent::Kind::partial: {
            auto line = asked_.partial(text);
            if (line.card_like) unrecord(kind);
            return std::move(line.text);
        }
        case CallEvent::Kind::caller_said: {
            auto line = asked_.line(text);
            if (line.card_like) unrecord(kind);
            if (!asked_.pending()) number_since_.reset();
            return std::move(line.text);
        }
        case CallEvent::Kind::sentence: {
            auto line = spoken_.line(text);
            if (line.card_like) unrecord(kind);
            return std::move(line.text);
        }
        case CallEvent::Kind::heard:
            return heard_.line(text).text;
        default:
            return std::string{text};
    }
}

/// A card's number was recognised: what was recorded of it goes.
void Session::unrecord(CallEvent::Kind kind) {
    if (!recorder_) return;
    if (kind == CallEvent::Kind::sentence) {  // we say it, until the reply ends
        recorder_->mute(MuteReason::number, true);
    } else if (number_since_) {
        recorder_->erase(*number_since_, context_.now());
    }
}

void Session::emit(const CallEvent& what) {
    CallEvent copy = what;
    copy.text = shown(what.kind, what.text);
    copy.at = std::chrono::system_clock::now();
    copy.since_start = std::chrono::duration_cast<milliseconds>(context_.now() - began_);
    copy.turn = turn_;
    for (CallObserver* observer : context_.observers) {
        observer->on_call_event(id_, shown_, copy);
    }
}

}  // namespace oavc::pipeline
