#pragma once

#include "base/result.hpp"
#include "net/http.hpp"
#include "pipeline/call_command.hpp"

#include <string>
#include <string_view>

namespace oavc::api {

/// What POST /api/v1/calls/{id}/{verb} asks for. `verb`: hangup, transfer, hold, resume, digits,
/// say, recording/pause, recording/resume; `body`: a JSON object, or nothing where nothing has to
/// be said. Error: a sentence about the body, in which no digits are repeated; empty when there is
/// no such verb.
Result<pipeline::CallCommand, std::string> parse_call_command(
    std::string_view verb, std::string_view body
) noexcept;

/// The answer to a command that was carried out, accepted or refused.
net::HttpResponse command_answer(const pipeline::CallCommand& command, const Result<void>& outcome);

}  // namespace oavc::api
