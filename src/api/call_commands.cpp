#include "api/call_commands.hpp"

#include "api/json_reply.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::api {

namespace json = boost::json;
using pipeline::CallCommand;
using transports::CallControlErrc;

namespace {

constexpr std::size_t longest_target = 512;
constexpr std::size_t longest_text = 2000;
constexpr std::size_t most_digits = 64;
constexpr std::int64_t longest_patience_s = 60;

/// Reads members of a body; the first problem stays.
class Body {
public:
    explicit Body(std::string_view text) {
        if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return;
        error_code error;
        auto value = json::parse(text, error);
        if (error || !value.is_object()) {
            problem = "The body is not a JSON object.";
        } else {
            object_ = std::move(value.get_object());
        }
    }

    std::string text(std::string_view name, std::size_t longest) {
        const auto* value = take(name);
        if (value == nullptr || !value->is_string() || value->get_string().empty()) {
            note(fmt::format("'{}' is missing: a text is wanted.", name));
            return {};
        }
        if (value->get_string().size() > longest) {
            note(fmt::format("'{}' is longer than {} bytes.", name, longest));
        }
        return std::string{value->get_string()};
    }

    bool flag(std::string_view name) {
        const auto* value = take(name);
        if (value != nullptr && !value->is_bool()) {
            note(fmt::format("'{}' is true or false.", name));
        }
        return value != nullptr && value->is_bool() && value->get_bool();
    }

    std::optional<std::int64_t> number(
        std::string_view name, std::int64_t least, std::int64_t most
    ) {
        const auto* value = take(name);
        if (value == nullptr) return std::nullopt;
        if (!value->is_int64() || value->get_int64() < least || value->get_int64() > most) {
            note(fmt::format("'{}' is a whole number from {} to {}.", name, least, most));
            return std::nullopt;
        }
        return value->get_int64();
    }

    /// What is left over was misspelt, or means something that we do not do.
    void finish() {
        for (const auto& [name, value] : object_) {
            if (std::find(taken_.begin(), taken_.end(), name) == taken_.end()) {
                note("The body has a member that means nothing here: see docs/api.md.");
            }
        }
    }

    void note(std::string what) {
        if (problem.empty()) problem = std::move(what);
    }

    std::string problem;

private:
    const json::value* take(std::string_view name) {
        taken_.emplace_back(name);
        return object_.if_contains(name);
    }

    json::object object_;
    std::vector<std::string> taken_;
};

int status_of(const error_code& error) {
    if (error == CallControlErrc::bad_target) return 400;
    if (error == CallControlErrc::no_capacity) return 429;
    if (error == CallControlErrc::not_supported) return 501;
    if (error == CallControlErrc::unavailable) return 502;
    return 409;
}

std::string_view code_of(const error_code& error) {
    if (error == CallControlErrc::not_supported) return "not_supported";
    if (error == CallControlErrc::wrong_state) return "wrong_state";
    if (error == CallControlErrc::bad_target) return "bad_target";
    if (error == CallControlErrc::busy) return "busy";
    if (error == CallControlErrc::no_answer) return "no_answer";
    if (error == CallControlErrc::not_found) return "not_found";
    if (error == CallControlErrc::unavailable) return "unavailable";
    if (error == CallControlErrc::gone) return "gone";
    if (error == CallControlErrc::no_capacity) return "no_capacity";
    return "refused";
}

}  // namespace

Result<CallCommand, std::string> parse_call_command(
    std::string_view verb, std::string_view text
) noexcept {
    Body body{text};
    CallCommand command;
    using Kind = CallCommand::Kind;
    if (verb == "hangup") {
        command.kind = Kind::hang_up;
        command.goodbye = body.flag("goodbye");
    } else if (verb == "transfer") {
        command.kind = Kind::transfer;
        command.text = body.text("to", longest_target);
        command.attended = body.flag("attended");
        if (const auto patience = body.number("patience_s", 1, longest_patience_s)) {
            command.patience = std::chrono::seconds{*patience};
        }
    } else if (verb == "hold") {
        command.kind = Kind::hold;
    } else if (verb == "resume") {
        command.kind = Kind::resume;
    } else if (verb == "digits") {
        command.kind = Kind::send_digits;
        command.text = body.text("digits", most_digits);
        if (command.text.find_first_not_of("0123456789*#ABCDw") != std::string::npos) {
            body.note("'digits' are 0-9, *, #, A-D, and w for half a second of waiting.");
        }
    } else if (verb == "recording/pause") {
        command.kind = Kind::pause_recording;
    } else if (verb == "recording/resume") {
        command.kind = Kind::resume_recording;
    } else if (verb == "say") {
        command.kind = Kind::say;
        command.text = body.text("text", longest_text);
        command.interrupt = body.flag("interrupt");
    } else {
        return std::string{};
    }
    body.finish();
    if (!body.problem.empty()) return std::move(body.problem);
    return command;
}

net::HttpResponse command_answer(const CallCommand& command, const Result<void>& outcome) {
    if (outcome) {
        const bool later = command.kind == CallCommand::Kind::say || command.goodbye;
        return later ? json_reply(202, {{"status", "accepted"}})
                     : json_reply(200, {{"status", "done"}});
    }
    const auto& error = outcome.error();
    auto what = error.message();
    if (!what.empty() && what[0] >= 'a' && what[0] <= 'z') {
        what[0] = static_cast<char>(what[0] - 'a' + 'A');
    }
    return json_problem(status_of(error), what + '.', code_of(error));
}

}  // namespace oavc::api
