#include "api/place_call.hpp"

#include "api/json_reply.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <fmt/format.h>

#include <utility>

namespace oavc::api {

namespace json = boost::json;
using pipeline::OutgoingErrc;
using transports::CallControlErrc;

namespace {

constexpr std::size_t most_parameters = 32;
constexpr std::size_t longest_value = 1024;

/// A short word for programs; the sentence is for people.
std::string_view reason_of(const error_code& error) noexcept {
    if (error == OutgoingErrc::off) return "off";
    if (error == OutgoingErrc::not_allowed) return "not_allowed";
    if (error == OutgoingErrc::no_such_agent) return "no_such_agent";
    if (error == OutgoingErrc::draining) return "draining";
    if (error == OutgoingErrc::no_carrier) return "no_carrier";
    if (error == OutgoingErrc::no_sign) return "no_sign";
    if (error == CallControlErrc::bad_target) return "bad_target";
    if (error == CallControlErrc::busy) return "busy";
    if (error == CallControlErrc::no_answer) return "no_answer";
    if (error == CallControlErrc::not_found) return "not_found";
    if (error == CallControlErrc::refused) return "refused";
    if (error == CallControlErrc::no_capacity) return "no_capacity";
    return "unavailable";
}

/// A short text that a header may carry.
bool is_line(std::string_view text) noexcept {
    return text.size() <= longest_value &&
           text.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos;
}

}  // namespace

Result<transports::DialRequest, BodyProblem> parse_dial_request(std::string_view body) {
    error_code malformed;
    const auto parsed = json::parse({body.data(), body.size()}, malformed);
    const auto* const object = malformed ? nullptr : parsed.if_object();
    if (object == nullptr) {
        return BodyProblem{R"(The body is no JSON object, such as {"to": "+902125550111"}.)"};
    }
    transports::DialRequest request;
    for (const auto& [key, value] : *object) {
        const std::string name{key};
        std::string* text = name == "to"      ? &request.to
                            : name == "from"  ? &request.from
                            : name == "agent" ? &request.agent
                                              : nullptr;
        if (text != nullptr) {
            if (!value.is_string() || !is_line(value.get_string())) {
                return BodyProblem{fmt::format("\"{}\" is one line of text.", name)};
            }
            *text = value.get_string();
        } else if (name == "patience_s") {
            using pipeline::OutgoingCalls;
            const auto seconds = value.is_int64() ? value.get_int64() : 0;
            if (seconds < OutgoingCalls::shortest_patience.count() ||
                seconds > OutgoingCalls::longest_patience.count()) {
                return BodyProblem{fmt::format(
                    "\"patience_s\" is a whole number of seconds from {} to {}.",
                    OutgoingCalls::shortest_patience.count(),
                    OutgoingCalls::longest_patience.count()
                )};
            }
            request.patience = std::chrono::seconds{seconds};
        } else if (name == "parameters") {
            const auto* const parameters = value.if_object();
            if (parameters == nullptr || parameters->size() > most_parameters) {
                return BodyProblem{
                    fmt::format("\"parameters\" has at most {} members.", most_parameters)};
            }
            for (const auto& [parameter, content] : *parameters) {
                if (!content.is_string() || !is_line(content.get_string()) || !is_line(parameter)) {
                    return BodyProblem{"Each of \"parameters\" is one line of text."};
                }
                request.parameters.emplace(parameter, content.get_string());
            }
        } else {
            return BodyProblem{fmt::format(
                "\"{}\" is not known; known are to, from, agent, patience_s, parameters.", name
            )};
        }
    }
    if (request.to.empty()) return BodyProblem{"\"to\" is missing: the number or SIP URI to call."};
    return request;
}

int status_of(const error_code& error) noexcept {
    if (error == OutgoingErrc::off || error == OutgoingErrc::not_allowed) return 403;
    if (error == OutgoingErrc::no_such_agent || error == CallControlErrc::bad_target) return 400;
    if (error == OutgoingErrc::draining) return 503;
    if (error == OutgoingErrc::no_sign || error == CallControlErrc::no_answer) return 504;
    if (error == CallControlErrc::no_capacity) return 429;
    if (error == CallControlErrc::busy || error == CallControlErrc::not_found ||
        error == CallControlErrc::refused) {
        return 409;
    }
    return 502;
}

asio::awaitable<net::HttpResponse> place_call(
    async::Shard& shard, net::HttpRequest request, pipeline::OutgoingCalls& outgoing
) {
    auto wanted = parse_dial_request(request.body);
    if (!wanted) co_return json_problem(400, wanted.error().what);
    if (const auto trace = request.header("traceparent"); !trace.empty()) {
        wanted->parameters.insert_or_assign("traceparent", std::string{trace});
    }
    auto placed = co_await outgoing.place(shard, std::move(*wanted));
    if (!placed) {
        const auto& why = placed.error();
        const int status = status_of(why.code);
        auto response = json_problem(status, why.what, reason_of(why.code));
        if (status == 429) response.headers["Retry-After"] = "10";
        co_return response;
    }
    co_return json_reply(
        202,
        {{"id", placed->id},
         {"via", placed->via},
         {"native_id", placed->native_id},
         {"state", "ringing"}}
    );
}

}  // namespace oavc::api
