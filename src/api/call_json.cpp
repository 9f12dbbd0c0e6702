#include "api/call_json.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::api {

namespace json = boost::json;
using Kind = pipeline::CallEvent::Kind;

namespace {

/// Milliseconds with one decimal: 0.1 ms is finer than anything that is measured here.
double rounded_ms(microseconds d) { return std::round(to_ms(d) * 10.0) / 10.0; }

std::int64_t unix_ms(std::chrono::system_clock::time_point at) {
    return std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count();
}

json::object latency_json(const pipeline::TurnLatency& latency) {
    return {
        {"endpointing_ms", rounded_ms(latency.endpointing)},
        {"stt_ms", rounded_ms(latency.stt)},
        {"llm_ms", rounded_ms(latency.llm)},
        {"tts_ms", rounded_ms(latency.tts)},
        {"playout_ms", rounded_ms(latency.playout)},
        {"heard_ms", rounded_ms(latency.heard)},
    };
}

std::string_view state_of(const CallSummary& call) {
    if (call.over) return "over";
    return call.answered ? "answered" : "ringing";
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80                    ? 1
                                   : lead >= 0xC2 && lead <= 0xDF ? 2
                                   : lead >= 0xE0 && lead <= 0xEF ? 3
                                   : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                                  : 0;
        bool valid = length > 0 && i + length <= text.size();
        for (std::size_t k = 1; valid && k < length; ++k) {
            valid = (static_cast<unsigned char>(text[i + k]) & 0xC0U) == 0x80U;
        }
        if (valid && length > 2) {  // overlong forms and surrogates (RFC 3629 §4)
            const auto second = static_cast<unsigned char>(text[i + 1]);
            valid = !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second > 0x9F) &&
                    !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second > 0x8F);
        }
        if (!valid) {
            out += "\xEF\xBF\xBD";
            ++i;
            continue;
        }
        out += text.substr(i, length);
        i += length;
    }
    return out;
}

json::object summary_json(const CallSummary& call) {
    json::object out{
        {"session", printable(call.session.value)},
        {"via", printable(call.via)},
        {"native_id", printable(call.native_id)},
        {"from", printable(call.from)},
        {"to", printable(call.to)},
        {"direction", call.outgoing ? "outgoing" : "incoming"},
        {"state", state_of(call)},
        {"started_ms", unix_ms(call.started)},
        {"duration_ms", call.duration.count()},
        {"events", call.events},
    };
    if (call.over) out["end_reason"] = printable(call.end_reason);
    if (call.forgotten > 0) out["forgotten_events"] = call.forgotten;
    return out;
}

json::object event_json(const pipeline::CallEvent& event) {
    json::object out{
        {"kind", pipeline::to_string(event.kind)},
        {"at_ms", unix_ms(event.at)},
        {"since_start_ms", event.since_start.count()},
        {"turn", event.turn},
    };
    if (!event.text.empty()) out["text"] = printable(event.text);
    if (event.kind == Kind::heard) out["interrupted"] = event.interrupted;
    if (event.kind == Kind::reply_started) out["latency"] = latency_json(event.latency);
    if (event.kind == Kind::barge_in) out["reaction_ms"] = rounded_ms(event.reaction);
    return out;
}

json::array transcript_json(const std::vector<TurnRecord>& turns) {
    json::array out;
    for (const TurnRecord& turn : turns) {
        if (!turn.caller_said.empty()) {
            out.push_back({{"who", "caller"}, {"text", printable(turn.caller_said)}});
        }
        const std::string& said = turn.heard.empty() ? turn.connector_said : turn.heard;
        if (said.empty()) continue;
        json::object line{{"who", "connector"}, {"text", printable(said)}};
        if (turn.interrupted) line["interrupted"] = true;
        out.push_back(std::move(line));
    }
    return out;
}

json::array turns_json(const std::vector<TurnRecord>& turns) {
    json::array out;
    for (const TurnRecord& turn : turns) {
        json::object item{
            {"turn", turn.number},
            {"caller_said", printable(turn.caller_said)},
            {"connector_said", printable(turn.connector_said)},
            {"heard", printable(turn.heard)},
            {"interrupted", turn.interrupted},
        };
        if (turn.latency) item["latency"] = latency_json(*turn.latency);
        if (turn.reaction) item["reaction_ms"] = rounded_ms(*turn.reaction);
        out.push_back(std::move(item));
    }
    return out;
}

}  // namespace oavc::api
