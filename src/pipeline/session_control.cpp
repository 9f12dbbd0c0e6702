// What is done with a call besides talking: transfer, hold, keys in and out, wishes of the API.
#include "pipeline/session.hpp"
#include "pipeline/transfer_target.hpp"
#include "transports/errors.hpp"

#include <fmt/format.h>

#include <utility>

namespace oavc::pipeline {

namespace {

/// So often a model is told that what it wanted has failed, before the caller is.
constexpr std::size_t most_reports = 3;

/// What waits to be said for somebody at the API.
constexpr std::size_t most_announcements = 16;

turns::KeyUse key_use(const AgentConfig& agent) {
    if (agent.digits == "collect") return turns::KeyUse::collect;
    return agent.digits == "ignore" ? turns::KeyUse::ignore : turns::KeyUse::interrupt;
}

}  // namespace

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
        case CallCommand::Kind::pause_recording:
        case CallCommand::Kind::resume_recording:
            co_return pause_recording(command.kind == CallCommand::Kind::pause_recording);
    }
    co_return CallControlErrc::not_supported;
}

Result<void> Session::pause_recording(bool paused) {
    if (!recorder_) return transports::CallControlErrc::not_supported;
    recorder_->mute(MuteReason::operator_, paused);
    control(paused ? "pause recording" : "resume recording", {});
    return {};
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

// --- Keys and hold -------------------------------------------------------------------------------

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
    if (request) collect(*request, now);
    if (const auto entry = collector_.on_digit(digit, now)) keyed(*entry, now);
}

void Session::collect(const services::KeypadRequest& request, TimePoint now) {
    DigitRules rules;
    rules.count = request.count;
    rules.first = request.first;
    rules.terminator = request.terminator;
    collector_.ask(rules, now);
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

}  // namespace oavc::pipeline
