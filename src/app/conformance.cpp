#include "app/conformance.hpp"

#include "app/options.hpp"
#include "caller/conformance/run.hpp"
#include "caller/options.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string>

namespace oavc::app {

namespace {

namespace conformance = caller::conformance;

constexpr const char* help = R"(usage: oavc conformance TARGET [options]

Tries a voice endpoint, ours or anybody's, against what its protocol demands: some hundred named
cases, each with the RFC section or the Twilio page it comes from. Places real, short calls.

TARGET is one of
  sip:user@host:port[;transport=tcp]   a SIP user agent: calls, dialogs, damaged messages, SDP, RTP
  http://host:port/  https://host/     a Twilio voice webhook: TwiML, signatures, the media stream

  --only GLOB          cases to run: "sdp.*", "media.*,dialog.hold-*"
  --list               the cases, without running them; TARGET may then be just sip: or http:
  --json               one JSON object instead of the table
  --timeout TIME       how long one answer may take (default 5s)
  --parallel N         so many cases at once, 1 to 32 (default 4); 1 for a target with one line
  --auth-token TOKEN   Twilio: signs the requests (default: $TWILIO_AUTH_TOKEN); without one the
                       cases about signatures are skipped
  --public-url URL     Twilio: what the target believes its address to be, when that is not TARGET

Results: passed; failed: a MUST does not hold; advice: a SHOULD does not; skipped: the target does
not offer what the case is about, and why. Cases that measure times run alone, after the others.

  oavc conformance sip:bot@127.0.0.1:8089
  oavc conformance sip:100@pbx.example.com --only "basic.*" --parallel 1
  TWILIO_AUTH_TOKEN=… oavc conformance https://voice.example.com/ --json

Exit status: 0 nothing failed; 1 something did; 2 usage.
)";

constexpr Options::Spec options[]{
    {"--only", "", true},
    {"--list", "", false},
    {"--json", "", false},
    {"--timeout", "", true},
    {"--parallel", "", true},
    {"--auth-token", "", true},
    {"--public-url", "", true},
};

std::string from_environment(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? "" : value;
}

conformance::Target read_target(std::string_view text) {
    // "sip:" and "http:" alone name the kind, for --list.
    if (text == "sip:" || text == "sip") text = "sip:any@localhost";
    if (text == "http:" || text == "https:" || text == "twilio") text = "http://localhost/";
    try {
        return conformance::parse_target(text);
    } catch (const std::invalid_argument& error) {
        throw UsageError{fmt::format("{}\nsee: oavc conformance --help", error.what())};
    }
}

}  // namespace

int conformance_command(std::span<const std::string_view> arguments) {
    const Options given{"conformance", arguments, options, 1};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    if (given.positional().empty()) {
        throw UsageError{"which TARGET? e.g. sip:bot@127.0.0.1:8089\nsee: oavc conformance --help"};
    }
    conformance::Settings settings;
    settings.target = read_target(given.positional()[0]);
    settings.only = given.value("--only").value_or("");
    settings.list = given.has("--list");
    settings.json = given.has("--json");
    if (const auto timeout = given.value("--timeout")) {
        const auto time = caller::parse_duration(*timeout);
        if (!time || *time == milliseconds{0}) {
            throw UsageError{fmt::format("--timeout {}: a duration like 5s", *timeout)};
        }
        settings.target.timeout = *time;
    }
    if (const auto parallel = given.value("--parallel")) {
        const auto [end, error] = std::from_chars(
            parallel->data(), parallel->data() + parallel->size(), settings.parallel
        );
        const bool number = error == std::errc{} && end == parallel->data() + parallel->size();
        if (!number || settings.parallel < 1 || settings.parallel > 32) {
            throw UsageError{fmt::format("--parallel {}: a number from 1 to 32", *parallel)};
        }
    }
    settings.target.auth_token =
        given.value("--auth-token").value_or(from_environment("TWILIO_AUTH_TOKEN"));
    settings.target.public_url = given.value("--public-url").value_or("");
    const bool terminal = ::isatty(STDOUT_FILENO) == 1 && from_environment("NO_COLOR").empty();
    try {
        return conformance::run_conformance(settings, terminal);
    } catch (const std::invalid_argument& error) {
        throw UsageError{error.what()};
    }
}

}  // namespace oavc::app
