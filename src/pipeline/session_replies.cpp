// What the turn machine decided, and the reply that comes of it.
#include "pipeline/call_tools.hpp"
#include "pipeline/session.hpp"

#include <algorithm>
#include <utility>

namespace oavc::pipeline {

using turns::CannedLine;
using turns::TurnAction;

namespace {

/// A reply with more behind it than this is a model gone wild.
constexpr std::size_t most_steps = 8;

}  // namespace

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
            telemetry_.on_speech(onset_);
            if (!number_since_) number_since_ = onset_ - context_.config.vad.pre_roll;
            break;
        case TurnAction::Kind::end_utterance:
            audio_->close();
            if (stt_) stt_->end();
            probe_.begin(last_voiced_);
            probe_.on_turn_ended(now);
            telemetry_.on_speech_ended(last_voiced_);
            break;
        case TurnAction::Kind::cancel_utterance:
            audio_->drop();
            if (stt_) stt_->cancel();
            telemetry_.on_speech_dropped();
            if (!asked_.pending()) number_since_.reset();
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
                telemetry_.on_barge_in(barge_in.reaction);
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
    if (recorder_) recorder_->cut(now);
}

/// The caller's turn is the model's to answer.
void Session::ask(const TurnAction& action, TimePoint now) {
    ++turn_;
    reports_ = 0;
    collector_.cancel();
    probe_.on_final(now);
    const auto& text = machine_->asked_text();
    telemetry_.on_turn(
        turn_, recognised_by_.value_or(services::Served{}), context_.services.stt.name(), now
    );
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
    if (recorder_) {
        if (interrupted) recorder_->cut(context_.now());
        recorder_->mute(MuteReason::number, false);
    }
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
    telemetry_.on_reply_ended(interrupted, context_.now());
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
        .telemetry = telemetry_,
        .model = context_.services.llm.name(),
        .voice = context_.services.tts.name(),
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

}  // namespace oavc::pipeline
