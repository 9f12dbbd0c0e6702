#include "caller/analysis.hpp"

#include <utility>

namespace oavc::caller {

namespace {

/// The recogniser hears a little more than the voiced part: words begin and end softly.
constexpr milliseconds margin{200};

}  // namespace

std::vector<TurnReport> analyse(const CallFacts& call, const Recogniser& recognise) {
    const auto measured = measure_turns(
        call.spoken, call.tape.sent_activity(), call.tape.heard_activity(), call.ended
    );
    const auto told = match_server_events(call.events, call.answered, call.spoken);

    std::vector<TurnReport> turns;
    for (std::size_t i = 0; i < measured.size(); ++i) {
        const MeasuredTurn& wire = measured[i];
        const bool greeting = i == 0;
        if (greeting && !wire.interrupted) continue;
        TurnReport turn;
        if (!greeting) {
            turn.asked = call.utterances[i - 1].text;
            turn.label = call.utterances[i - 1].label;
        }
        turn.caller_said = told[i].caller_said;
        turn.server_said = told[i].said;
        turn.stages = greeting ? std::nullopt : told[i].stages;
        if (wire.heard_latency) turn.heard_latency_ms = to_ms(*wire.heard_latency);
        turn.interrupted = wire.interrupted;
        if (wire.barge_in) turn.barge_in_ms = to_ms(*wire.barge_in);
        turn.leaked_ms = to_ms(wire.leaked);
        if (wire.reply_begin && wire.reply_end && recognise) {
            const auto reply =
                call.tape.heard_between(*wire.reply_begin - margin, *wire.reply_end + margin);
            turn.connector_said = recognise(reply);
        }
        turns.push_back(std::move(turn));
    }
    return turns;
}

}  // namespace oavc::caller
