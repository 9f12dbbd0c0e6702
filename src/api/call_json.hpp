#pragma once

#include "api/call_log.hpp"
#include "api/turns.hpp"
#include "pipeline/events.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace oavc::api {

// Calls as the API shows them. Times are milliseconds.

/// Boost.JSON serialises any bytes; a transcript is UTF-8 already, a carrier's header may not be.
std::string printable(std::string_view text);

boost::json::object summary_json(const CallSummary& call);
/// Without its place in the call.
boost::json::object event_json(const pipeline::CallEvent& event);
boost::json::array transcript_json(const std::vector<TurnRecord>& turns);
boost::json::array turns_json(const std::vector<TurnRecord>& turns);

}  // namespace oavc::api
