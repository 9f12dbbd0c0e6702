#pragma once

#include "caller/conversation.hpp"
#include "caller/report.hpp"
#include "caller/tape.hpp"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace oavc::caller {

/// Everything that is known of a call once it is over.
struct CallFacts {
    std::span<const Utterance> utterances;
    std::span<const SpokenUtterance> spoken;
    const Tape& tape;
    TimePoint answered;
    TimePoint ended;
    std::span<const ServerEvent> events;
};

/// The caller's own ear: words in a recording at 8 kHz.
using Recogniser = std::function<std::string(media::Samples)>;

/// The turns of a call: measured on the wire, with what both sides understood. The greeting is a
/// turn of its own only when it was interrupted.
std::vector<TurnReport> analyse(const CallFacts& call, const Recogniser& recognise);

}  // namespace oavc::caller
