#pragma once

#include "caller/line.hpp"
#include "caller/measure.hpp"
#include "caller/server_watch.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace oavc::caller {

/// One exchange: what we said, what was made of it, what came back. Times are the caller's own,
/// from the wire; only `stages` and the words the server claims come from the server.
struct TurnReport {
    std::string asked;           ///< what we said, as text; empty: a recording
    std::string label;           ///< for people
    std::string caller_said;     ///< what the server recognised
    std::string connector_said;  ///< what our own recogniser heard in the reply
    std::string server_said;     ///< what the server says it said
    std::optional<double> heard_latency_ms;
    std::optional<Stages> stages;
    bool interrupted{false};
    std::optional<double> barge_in_ms;
    double leaked_ms{0};  ///< of the interrupted reply, heard after it had fallen silent
};

struct CallReport {
    std::string call_id;
    std::string via;
    bool answered{false};
    double setup_ms{0};
    double heard_ms{0};  ///< of the connector's voice, in the whole call
    std::vector<TurnReport> turns;
    LineStats rtp;
    std::string result;    ///< "ok", or what is wrong
    std::string recorded;  ///< the WAV's path; empty: none
    std::string deaf;      ///< why our own recogniser heard no reply; empty: it listened
};

/// What the server told, put beside our utterances: element 0 is the greeting, element i the i-th
/// utterance. `answered`: the answer on our clock. A transcript belongs to the utterance that had
/// begun by then, a reply to that of its transcript, or to a later one that had ended by then and
/// was not understood.
struct ServerTurn {
    std::string caller_said;
    std::string said;  ///< of the last reply to the utterance
    std::optional<Stages> stages;
};
std::vector<ServerTurn> match_server_events(
    std::span<const ServerEvent> events, TimePoint answered, std::span<const SpokenUtterance> spoken
);

/// What keeps a call from being proof of a working system; empty: nothing. Checked are: every
/// question that has a text was recognised (word accuracy ≥ 70 %), every reply came, those that
/// nobody interrupted are what the server says it said (≥ 60 %), and nothing of an interrupted one
/// was heard afterwards.
std::string verdict(const CallReport& call);

/// Only what every call must have: replies, and silence after an interruption.
std::string basic_verdict(const CallReport& call);

inline constexpr double min_question_accuracy = 0.70;
inline constexpr double min_reply_accuracy = 0.60;

/// One line of JSON, without a line feed.
std::string to_json(const CallReport& call);

/// Escape sequences of a terminal, or nothing.
struct Style {
    bool colour{false};
    std::string dim(std::string_view text) const;
    std::string bold(std::string_view text) const;
    std::string good(std::string_view text) const;
    std::string bad(std::string_view text) const;
    std::string tint(int colour_number, std::string_view text) const;
};

/// The waterfall of each turn of a call, several lines.
std::string waterfall(const CallReport& call, const Style& style);

/// Percentiles over all turns of all calls, and each call's result.
std::string summary(std::span<const CallReport> calls, const Style& style);

}  // namespace oavc::caller
