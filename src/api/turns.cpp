#include "api/turns.hpp"

#include <algorithm>

namespace oavc::api {

using Kind = pipeline::CallEvent::Kind;

namespace {

void append(std::string& text, const std::string& more) {
    if (more.empty()) return;
    if (!text.empty()) text += ' ';
    text += more;
}

/// Turns come nearly in order: what is looked for is at the end.
TurnRecord& turn_numbered(std::vector<TurnRecord>& turns, std::uint32_t number) {
    const auto found = std::find_if(turns.rbegin(), turns.rend(), [number](const TurnRecord& turn) {
        return turn.number <= number;
    });
    if (found != turns.rend() && found->number == number) return *found;
    TurnRecord fresh;
    fresh.number = number;
    return *turns.insert(found.base(), std::move(fresh));
}

}  // namespace

std::vector<TurnRecord> turns_of(std::span<const LoggedEvent> events) {
    std::vector<TurnRecord> turns;
    for (const LoggedEvent& logged : events) {
        const auto& event = logged.event;
        switch (event.kind) {
            case Kind::caller_said: {
                TurnRecord& turn = turn_numbered(turns, event.turn);
                append(turn.caller_said, event.text);
                turn.caller_said_at = event.since_start;
                break;
            }
            case Kind::sentence:
                append(turn_numbered(turns, event.turn).connector_said, event.text);
                break;
            case Kind::reply_started: {
                TurnRecord& turn = turn_numbered(turns, event.turn);
                turn.reply_started_at = event.since_start;
                turn.latency = event.latency;
                break;
            }
            case Kind::barge_in: {
                TurnRecord& turn = turn_numbered(turns, event.turn);
                turn.interrupted = true;
                turn.reaction = event.reaction;
                break;
            }
            case Kind::heard: {
                TurnRecord& turn = turn_numbered(turns, event.turn);
                append(turn.heard, event.text);
                turn.interrupted = turn.interrupted || event.interrupted;
                break;
            }
            case Kind::started:
            case Kind::answered:
            case Kind::speech_started:
            case Kind::partial:
            case Kind::digit:
            case Kind::control:
            case Kind::held:
            case Kind::ended:
                break;
        }
    }
    return turns;
}

}  // namespace oavc::api
