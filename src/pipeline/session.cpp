#include "pipeline/session.hpp"

#include "async/deadline.hpp"
#include "base/random.hpp"
#include "media/level.hpp"
#include "pipeline/call_tools.hpp"
#include "pipeline/sentence_aggregator.hpp"
#include "transports/errors.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace oavc::pipeline {

using turns::CannedLine;
using turns::TurnAction;

namespace {

/// Services are local or warm: one that needs longer than this to open is down.
constexpr auto open_limit = 3s;

/// A reply with more behind it than this is a model gone wild.
constexpr std::size_t most_steps = 8;

/// So often a model is told that what it wanted has failed, before the caller is.
constexpr std::size_t most_reports = 3;

/// What waits to be said for somebody at the API.
constexpr std::size_t most_announcements = 16;

DigitRules rules_of(const services::KeypadRequest& request) {
    DigitRules rules;
    rules.count = request.count;
    rules.first = request.first;
    rules.terminator = request.terminator;
    return rules;
}

DigitRules digit_rules(const AgentConfig& agent) {
    DigitRules rules;
    rules.count = agent.digit_count;
    rules.next = agent.digit_timeout;
    const auto& terminator = agent.digit_terminator;
    rules.terminator = terminator.size() == 1 ? terminator.front() : '\0';
    return rules;
}

turns::KeyUse key_use(const AgentConfig& agent) {
    if (agent.digits == "collect") return turns::KeyUse::collect;
    return agent.digits == "ignore" ? turns::KeyUse::ignore : turns::KeyUse::interrupt;
}

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
      id_{transport_->info().id.empty() ? random_hex(8) : transport_->info().id},
      log_{context_.log.with({log::kv("call", id_.value), log::kv("via", transport_->info().via)})},
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
    const auto& info = transport_->info();
    log_.info(
        info.outgoing ? "call goes out" : "call came in",
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
    if (apologised_ && !context_.agent.fallback_number.empty()) {
        const auto done = co_await transfer(context_.agent.fallback_number, false, {});
        if (done) co_return;  // the carrier ends our leg
    }
    co_await transport_->hang_up();
}

// --- Call control -----------------------------------------------------------------------------

void Session::control(std::string_view what, const error_code& outcome) {
    if (outcome == asio::error::operation_aborted) return;  // the call ended first
    const auto how = outcome ? outcome.message() : std::string{"done"};
    if (outcome) {
        log_.warn("call control failed", log::kv("what", what), log::kv("error", outcome));
    } else {
        log_.info("call control", log::kv("what", what));
    }
    emit(CallEvent::Kind::control, fmt::format("{}: {}", what, how));
}

asio::awaitable<Result<void>> Session::transfer(
    std::string target, bool attended, milliseconds patience
) {
    const bool asks_first = attended && transport_->controls().attended_transfer;
    auto request = asks_first ? transport_->transfer_attended(std::move(target), patience)
                              : transport_->transfer(std::move(target));
    const auto done = co_await std::move(request);
    control("transfer", done ? error_code{} : done.error());
    co_return done;
}

/// Does what follows a reply, in order, until something fails.
asio::awaitable<void> Session::act(std::vector<Step> steps) {
    std::vector<services::ToolCall> calls;
    std::vector<std::string> results;
    bool failed = false;
    bool transferred = false;
    for (auto& step : steps) {
        std::string outcome = step.problem;
        if (failed) {
            outcome = "not done";
        } else if (outcome.empty()) {
            const auto kind = step.event.kind;
            const auto done = co_await carry_out(std::move(step.event));
            outcome = done ? "done" : "failed: " + done.error().message();
            failed = !done;
            transferred = done && kind == services::LlmEvent::Kind::transfer;
        } else {
            failed = true;
        }
        if (!step.call) continue;
        calls.push_back(std::move(*step.call));
        results.push_back(std::move(outcome));
    }
    if (transferred) co_return;  // the carrier ends our leg
    const bool tell_model = !calls.empty() && reports_ < most_reports;
    conversation_.called(std::move(calls), std::move(results));
    const auto now = context_.now();
    if (!failed) {
        machine_->on_action_done(now);
    } else if (tell_model) {
        ++reports_;
        machine_->report_action(now);
    } else {
        machine_->on_action_failed(now);
    }
    run_actions(now);
}

asio::awaitable<Result<void>> Session::carry_out(services::LlmEvent event) {
    const auto& agent = context_.agent;
    if (event.kind == services::LlmEvent::Kind::transfer) {
        const auto done = co_await transfer(
            std::move(event.text), agent.attended_transfer, agent.transfer_patience
        );
        co_return done;
    }
    if (event.kind == services::LlmEvent::Kind::send_digits) {
        const auto done = co_await transport_->send_digits(std::move(event.text));
        control("send digits", done ? error_code{} : done.error());
        co_return done;
    }
    const auto now = context_.now();
    machine_->hang_up(now);
    run_actions(now);
    co_return Result<void>{};
}

void Session::obey(CallCommand command, std::function<void(error_code)> done) {
    if (tasks_.cancelled()) return done(transports::CallControlErrc::gone);
    tasks_.spawn(answer(std::move(command), std::move(done)));
}

asio::awaitable<void> Session::answer(CallCommand command, std::function<void(error_code)> done) {
    const auto outcome = co_await carry_out(std::move(command));
    const bool cut_short = !outcome && outcome.error() == asio::error::operation_aborted;
    if (cut_short) {
        done(transports::CallControlErrc::gone);
    } else {
        done(outcome ? error_code{} : outcome.error());
    }
}

asio::awaitable<Result<void>> Session::carry_out(CallCommand command) {
    using transports::CallControlErrc;
    if (!machine_) {  // nobody has answered yet
        if (command.kind != CallCommand::Kind::hang_up) co_return CallControlErrc::wrong_state;
        control("hang up", {});
        co_await transport_->hang_up();
        co_return Result<void>{};
    }
    if (machine_->state() == turns::TurnState::ended) co_return CallControlErrc::gone;
    const auto now = context_.now();
    switch (command.kind) {
        case CallCommand::Kind::hang_up:
            control("hang up", {});
            command.goodbye ? machine_->say_goodbye(now) : machine_->hang_up(now);
            run_actions(now);
            co_return Result<void>{};
        case CallCommand::Kind::transfer: {
            if (!transport_->controls().transfer) co_return CallControlErrc::not_supported;
            if (command.attended && !transport_->controls().attended_transfer) {
                co_return CallControlErrc::not_supported;
            }
            if (!machine_->begin_action(now)) co_return CallControlErrc::wrong_state;
            run_actions(now);
            for (const auto& item : context_.agent.transfer_targets) {
                const auto target = parse_transfer_target(item);
                if (target && target->name == command.text) command.text = target->target;
            }
            const auto done =
                co_await transfer(std::move(command.text), command.attended, command.patience);
            if (done) co_return done;
            machine_->on_action_done(context_.now());
            run_actions(context_.now());
            co_return done;
        }
        case CallCommand::Kind::hold:
        case CallCommand::Kind::resume: {
            const auto done = co_await hold(command.kind == CallCommand::Kind::hold);
            co_return done;
        }
        case CallCommand::Kind::send_digits: {
            const auto done = co_await transport_->send_digits(std::move(command.text));
            control("send digits", done ? error_code{} : done.error());
            co_return done;
        }
        case CallCommand::Kind::say:
            if (announcements_.size() == most_announcements) co_return CallControlErrc::no_capacity;
            if (!command.interrupt) {
                announcements_.push_back(std::move(command.text));
                co_return Result<void>{};
            }
            announcements_.push_front(std::move(command.text));
            if (!machine_->announce(now)) {
                announcements_.pop_front();
                co_return CallControlErrc::wrong_state;
            }
            run_actions(now);
            co_return Result<void>{};
    }
    co_return CallControlErrc::not_supported;
}

/// We are silent from the wish on, and speak again when the carrier has taken the caller back.
asio::awaitable<Result<void>> Session::hold(bool held) {
    if (!transport_->controls().hold) co_return transports::CallControlErrc::not_supported;
    const bool before = std::exchange(held_by_us_, held_by_us_ || held);
    update_hold(context_.now());
    const auto done = co_await transport_->hold(held);
    held_by_us_ = done ? held : before;
    update_hold(context_.now());
    control(held ? "hold" : "resume", done ? error_code{} : done.error());
    co_return done;
}

void Session::update_hold(TimePoint now) {
    const bool held = held_by_carrier_ || held_by_us_;
    if (held) {
        collector_.cancel();
        if (probe_.running()) probe_.cancel();  // what a hold lasts is nobody's latency
    }
    all_sent_.reset();
    machine_->on_hold(held, now);
    run_actions(now);
}

// --- From the wire ----------------------------------------------------------------------------

void Session::on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept {
    // What sounds in a held call is no caller: music, or another conversation.
    if (held_by_carrier_ || held_by_us_) return;
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

void Session::on_digit(char digit, transports::DigitSource source) noexcept {
    static_cast<void>(source);
    const auto now = context_.now();
    emit(
        CallEvent::Kind::digit, context_.agent.reveal_digits ? std::string(1, digit) : std::string{}
    );
    const bool wanted = keypad_ || collector_.waiting() || collector_.collecting();
    const auto request = std::exchange(keypad_, {});  // who answers while we ask need not wait
    if (!machine_->on_key(wanted ? turns::KeyUse::collect : key_use(context_.agent), now)) {
        keypad_ = request;
        return run_actions(now);
    }
    run_actions(now);
    if (request) collector_.ask(rules_of(*request), now);
    if (const auto entry = collector_.on_digit(digit, now)) keyed(*entry, now);
}

/// An entry of the keypad is complete: it is the caller's turn.
void Session::keyed(const std::string& entry, TimePoint now) {
    entries_.push_back(entry);
    const bool shown = context_.agent.reveal_digits;
    machine_->on_keys(shown ? shown_entry(entry) : masked_entry(entry.size()), now);
    run_actions(now);
}

void Session::on_hold(bool held) noexcept {
    emit(CallEvent::Kind::held, held ? "on" : "off");
    held_by_carrier_ = held;
    update_hold(context_.now());
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
    if (const auto entry = collector_.poll(now)) keyed(*entry, now);
    // Whoever looks for his card's number is not asked whether he is there.
    if (collector_.waiting()) machine_->on_activity(now);
    const bool idle = machine_->state() == turns::TurnState::listening && !collector_.waiting();
    if (idle && !announcements_.empty() && !machine_->held()) machine_->announce(now);
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
    if (keypad) collector_.ask(rules_of(*keypad), now);
    run_actions(now);
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
        case TurnAction::Kind::reply:
            ask(action, now);
            break;
        case TurnAction::Kind::say:
        case TurnAction::Kind::report:
            start_reply(action);
            break;
        case TurnAction::Kind::act:
            tasks_.spawn(act(std::exchange(steps_, {})));
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

/// The caller's turn is the model's to answer.
void Session::ask(const TurnAction& action, TimePoint now) {
    ++turn_;
    reports_ = 0;
    collector_.cancel();
    probe_.on_final(now);
    const auto& text = machine_->asked_text();
    log_.info("caller said", log::kv("turn", turn_), log::kv("text", log::pii(text)));
    emit(CallEvent::Kind::caller_said, text);
    // Entries of a turn that was given up are not this one's.
    const auto entries = std::min(count_entries(text), entries_.size());
    entries_.erase(entries_.begin(), entries_.end() - static_cast<std::ptrdiff_t>(entries));
    std::optional<std::string> keys;
    if (entries > 0) keys = entries_.back();
    auto seen = entries_;
    if (!context_.agent.model_sees_digits) {
        for (auto& entry : seen)
            entry.assign(entry.size(), '*');
    }
    conversation_.user_said(reveal_entries(text, seen), std::move(keys));
    start_reply(action);
}

void Session::end_reply(bool interrupted) {
    if (!reply_) return;
    if (interrupted) {  // what was to follow it has lost its reason
        steps_.clear();
        keypad_.reset();
    }
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

std::string Session::line(CannedLine which) {
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
        case CannedLine::not_connected:
            return context_.agent.not_connected;
        case CannedLine::announcement: {
            auto text = std::move(announcements_.front());
            announcements_.pop_front();
            return text;
        }
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
    all_sent_.reset();
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
        apologised_ = action.line == CannedLine::failure;
        reply_->say(line(action.line));
        return;
    }
    services::LlmRequest request;
    request.messages = conversation_.messages();
    if (context_.services.llm.capabilities().tools) {
        request.tools = call_tools(context_.agent, transport_->controls());
    }
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
    if (playout_.empty() && !machine_->has_sequel() && !keypad_) return on_failed(reply);
    playout_.finish();
}

void Session::on_failed(const Reply& reply) {
    const auto now = context_.now();
    machine_->on_reply_failed(reply.generation(), now);
    run_actions(now);
}

void Session::on_sequel(const Reply& reply, services::LlmEvent event) {
    static_cast<void>(reply);
    using Kind = services::LlmEvent::Kind;
    Step step;
    if (event.kind == Kind::tool_call) {
        auto wish = as_event(event.tool, context_.agent, transport_->controls());
        if (!wish) {
            log_.warn(
                "the model called a function that it does not have",
                log::kv("name", event.tool.name)
            );
            step.problem = wish.error();
        }
        step.call = std::move(event.tool);
        event = wish ? std::move(*wish) : services::LlmEvent{Kind::tool_call};
    }
    if (event.kind == Kind::collect) {
        keypad_ = event.keypad;
        return;
    }
    if (steps_.size() == most_steps) return;
    if (event.kind == Kind::hang_up) {
        machine_->hang_up_after_reply();
    } else {
        machine_->act_after_reply();
    }
    step.event = std::move(event);
    steps_.push_back(std::move(step));
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
        case CallEvent::Kind::control:
            return "control";
        case CallEvent::Kind::held:
            return "held";
        case CallEvent::Kind::ended:
            return "ended";
    }
    return "unknown";
}

}  // namespace oavc::pipeline
