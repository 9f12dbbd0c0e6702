#include "app/dial.hpp"

#include "app/cli.hpp"
#include "app/options.hpp"
#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "caller/live_text.hpp"
#include "caller/server_watch.hpp"
#include "config/load.hpp"
#include "net/http_client.hpp"
#include "net/json_text.hpp"

#include <boost/asio/error.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace oavc::app {

namespace json = boost::json;

namespace {

constexpr const char* help = R"(usage: oavc dial NUMBER [OPTIONS]

Asks a running server to call NUMBER (or a SIP URI) and to let one of its agents talk there.
The server must allow it: [telephony] dial_allowed.

  --from NUMBER      what the callee sees; default: [telephony] dial_from, or the carrier's own
  --agent NAME       who talks; default: chosen by NUMBER, as for calls that come in
  --patience SECONDS ring so long at most (5 to 300, default 45)
  --param NAME=VALUE handed to the agent's session; may be given several times
  --follow           stay until the call is over, and show it: ringing, answered, what is said
  --json             for scripts: one JSON object per line, nothing else
  --url URL          the server (default: $OAVC_URL, else http://127.0.0.1:8088)
  --ca FILE          of an https URL: PEM file of whom to believe (default: the system's, or
                     $SSL_CERT_FILE)
  --token TOKEN      its [api] token (default: $OAVC_API_TOKEN); not needed on the server itself

Exit status: 0 placed, or with --follow: answered and ended by either side; 1 the server is not
there; 2 wrong command line or request; 3 busy or declined; 4 nobody answered; 5 no such number,
or not called by the carrier; 6 no carrier works, or it was lost; 7 not allowed; 8 no room.

  oavc dial +902125550111 --agent reminder --follow
  oavc dial sip:desk@pbx.example.com --json --follow | jq .kind
)";

constexpr Options::Spec options[]{
    {"--from", "", true},
    {"--agent", "", true},
    {"--patience", "", true},
    {"--param", "", true},
    {"--follow", "-f", false},
    {"--json", "", false},
    {"--url", "", true},
    {"--ca", "", true},
    {"--token", "", true},
};

constexpr Clock::duration answer_limit = 20s;  ///< the server gives its carriers 12 s

std::string setting(
    const Options& given,
    std::string_view option,
    std::string_view variable,
    std::string_view otherwise
) {
    if (const auto value = given.value(option)) return std::string{*value};
    const auto environment = config::process_environment();
    const auto found = environment.find(variable);
    return found != environment.end() && !found->second.empty() ? found->second
                                                                : std::string{otherwise};
}

std::string text_at(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string{value->get_string()}
                                                  : std::string{};
}

json::object request_of(const Options& given) {
    json::object request{{"to", given.positional().front()}};
    for (const std::string_view name : {"from", "agent"}) {
        if (const auto value = given.value(fmt::format("--{}", name))) request[name] = *value;
    }
    if (const auto value = given.value("--patience")) {
        int seconds = 0;
        const auto [end, error] =
            std::from_chars(value->data(), value->data() + value->size(), seconds);
        if (error != std::errc{} || end != value->data() + value->size()) {
            throw UsageError{"--patience is a number of seconds\nsee: oavc dial --help"};
        }
        request["patience_s"] = seconds;
    }
    json::object parameters;
    for (const std::string_view parameter : given.values("--param")) {
        const auto equals = parameter.find('=');
        if (equals == 0 || equals == std::string_view::npos) {
            throw UsageError{"--param wants NAME=VALUE\nsee: oavc dial --help"};
        }
        parameters[parameter.substr(0, equals)] = parameter.substr(equals + 1);
    }
    if (!parameters.empty()) request["parameters"] = std::move(parameters);
    return request;
}

asio::awaitable<void> post_into(
    async::Shard& shard, net::HttpClientRequest request, Result<net::HttpResponse>& response
) {
    response = co_await net::http_request(shard, std::move(request), answer_limit);
}

/// The call as it happens. Its end decides the exit status.
class Follower {
public:
    Follower(bool json, bool terminal, std::string_view id)
        : json_{json}, id_{id}, live_{stdout, terminal, caller::Style{terminal}} {}

    void on_event(const caller::ServerEvent& event) {
        if (event.kind == "ended") end_reason_ = event.text;
        if (json_) {
            json::object line{
                {"id", id_},
                {"kind", event.kind},
                {"since_start_ms", event.since_start.count()},
                {"turn", event.turn}};
            if (!event.text.empty()) line["text"] = event.text;
            fmt::print("{}\n", net::json_text(line));
            std::fflush(stdout);
            return;
        }
        if (event.kind == "started") {
            live_.note(event.since_start, "ringing");
        } else if (event.kind == "answered") {
            live_.note(event.since_start, "answered");
        } else if (event.kind == "caller_said") {
            live_.caller_speaks(event.since_start, event.text, false);
        } else if (event.kind == "ended") {
            live_.note(event.since_start, fmt::format("over: {}", event.text));
        } else {
            live_.server_event(event, event.since_start);
        }
    }

    const std::optional<std::string>& end_reason() const noexcept { return end_reason_; }

private:
    const bool json_;
    const std::string id_;
    caller::LiveText live_;
    std::optional<std::string> end_reason_;
};

int status(DialExit exit) noexcept { return static_cast<int>(exit); }

}  // namespace

DialExit exit_of_answer(int status, std::string_view reason) noexcept {
    if (reason == "busy") return DialExit::busy;
    if (reason == "no_answer") return DialExit::not_answered;
    if (reason == "not_found" || reason == "refused") return DialExit::refused;
    switch (status) {
        case 400:
            return DialExit::usage;
        case 401:
        case 403:
            return DialExit::not_allowed;
        case 429:
            return DialExit::no_room;
        case 503:
            return reason == "draining" ? DialExit::no_room : DialExit::failed;
        case 502:
        case 504:
            return DialExit::carrier;
        default:
            return DialExit::failed;
    }
}

DialExit exit_of_call(std::string_view reason) noexcept {
    if (reason == "caller_hung_up" || reason == "we_hung_up" || reason == "transferred") {
        return DialExit::ok;
    }
    if (reason == "busy") return DialExit::busy;
    if (reason == "not_answered" || reason == "cancelled") return DialExit::not_answered;
    if (reason == "refused") return DialExit::refused;
    return DialExit::carrier;
}

int dial_command(std::span<const std::string_view> arguments) {
    const Options given{"dial", arguments, options, 1};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    if (given.positional().empty()) {
        throw UsageError{"whom shall the server call?\nsee: oavc dial --help"};
    }
    const bool for_scripts = given.has("--json");
    std::string url = setting(given, "--url", "OAVC_URL", "http://127.0.0.1:8088");
    while (url.ends_with('/'))
        url.pop_back();
    const std::string token = setting(given, "--token", "OAVC_API_TOKEN", "");

    async::Shard shard{0};
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = url + "/api/v1/calls";
    request.headers["Content-Type"] = "application/json";
    if (!token.empty()) request.headers["Authorization"] = "Bearer " + token;
    request.body = net::json_text(request_of(given));
    const std::string ca_file{given.value("--ca").value_or("")};
    request.tls.ca_file = ca_file;
    Result<net::HttpResponse> response{error_code{asio::error::fault}};
    async::run_blocking(shard, post_into(shard, std::move(request), response));
    if (!response) {
        fmt::print(
            stderr,
            "oavc dial: no server at {} ({}): start one with oavc serve, or name it with --url\n",
            url,
            response.error().message()
        );
        return status(DialExit::failed);
    }
    error_code malformed;
    const auto parsed = json::parse(response->body, malformed);
    const json::object answer =
        malformed || !parsed.is_object() ? json::object{} : parsed.get_object();
    if (response->status != 202) {
        const std::string error = text_at(answer, "error");
        if (for_scripts && !answer.empty()) fmt::print("{}\n", net::json_text(answer));
        fmt::print(
            stderr,
            "oavc dial: {}\n",
            error.empty() ? fmt::format("{} answered {}", url, response->status) : error
        );
        return status(exit_of_answer(response->status, text_at(answer, "code")));
    }
    const std::string id = text_at(answer, "id");
    if (for_scripts) {
        fmt::print("{}\n", net::json_text(answer));
    } else {
        fmt::print("call {} over {}\n", id, text_at(answer, "via"));
    }
    std::fflush(stdout);
    if (!given.has("--follow")) return status(DialExit::ok);

    Follower follower{for_scripts, !for_scripts && ::isatty(STDOUT_FILENO) == 1, id};
    caller::ServerWatch watch{shard, {url, token, ca_file}, id, [&follower](const auto& event) {
                                  follower.on_event(event);
                              }};
    async::run_blocking(shard, watch.run());
    if (!follower.end_reason()) {
        fmt::print(stderr, "oavc dial: the call was lost from sight: {}\n", watch.problem());
        return status(DialExit::failed);
    }
    return status(exit_of_call(*follower.end_reason()));
}

}  // namespace oavc::app
