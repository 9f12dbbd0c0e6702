#include "caller/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace oavc::caller {

std::optional<milliseconds> parse_duration(std::string_view text) {
    constexpr std::string_view number_letters = "0123456789.";
    const auto digits = std::min(text.find_first_not_of(number_letters), text.size());
    const std::string number{text.substr(0, digits)};
    const std::string_view unit = text.substr(digits);
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0') return std::nullopt;
    double factor = 0;
    if (unit.empty() || unit == "ms") factor = 1;
    if (unit == "s") factor = 1'000;
    if (unit == "m" || unit == "min") factor = 60'000;
    const double ms = std::round(value * factor);
    if (factor == 0 || ms > 86'400'000) return std::nullopt;
    return milliseconds{static_cast<std::int64_t>(ms)};
}

namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text, Number least, Number most) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (value < least || value > most) return std::nullopt;
    return value;
}

/// Takes one option's value; returns what is wrong with it, or nothing.
using Setter = std::string (*)(Options&, std::string_view);
struct Option {
    std::string_view name;
    Setter set;
};

std::string add_speech(
    Options& options, Options::Speech::Kind kind, std::string_view value, bool interrupts
) {
    if (value.empty()) return "nothing to say";
    options.speech.push_back({kind, std::string{value}, interrupts});
    return {};
}

constexpr std::array option_table{
    Option{
        "--via",
        [](Options& o, std::string_view v) -> std::string {
            if (v != "opensips" && v != "twilio" && v != "sip") {
                return "known are opensips, sip and twilio";
            }
            o.via = v;
            return {};
        }},
    Option{
        "-c",
        [](Options& o, std::string_view v) -> std::string {
            o.config_file = v;
            return {};
        }},
    Option{
        "--config",
        [](Options& o, std::string_view v) -> std::string {
            o.config_file = v;
            return {};
        }},
    Option{
        "--say",
        [](Options& o, std::string_view v) {
            return add_speech(o, Options::Speech::Kind::text, v, false);
        }},
    Option{
        "--wav",
        [](Options& o, std::string_view v) {
            return add_speech(o, Options::Speech::Kind::wav, v, false);
        }},
    Option{
        "--interrupt",
        [](Options& o, std::string_view v) {
            return add_speech(o, Options::Speech::Kind::text, v, true);
        }},
    Option{
        "--voice",
        [](Options& o, std::string_view v) -> std::string {
            o.voice = v;
            return {};
        }},
    Option{
        "--interrupt-after",
        [](Options& o, std::string_view v) -> std::string {
            o.interrupt_after = parse_duration(v);
            return o.interrupt_after ? "" : "a duration like 1500ms or 1.5s";
        }},
    Option{
        "--repeat",
        [](Options& o, std::string_view v) -> std::string {
            const auto count = parse_number<std::size_t>(v, 1, 10'000);
            if (!count) return "a number from 1 to 10000";
            o.repeat = *count;
            return {};
        }},
    Option{
        "--record",
        [](Options& o, std::string_view v) -> std::string {
            o.record = v;
            return {};
        }},
    Option{
        "--dtmf",
        [](Options& o, std::string_view v) -> std::string {
            if (v.empty() || v.find_first_not_of("0123456789*#ABCD") != std::string_view::npos) {
                return "keys are 0-9, *, #, A-D";
            }
            o.digits = v;
            return {};
        }},
    Option{
        "--url",
        [](Options& o, std::string_view v) -> std::string {
            if (!v.starts_with("http://") && !v.starts_with("https://"))
                return "an http:// or https:// URL";
            o.url = v;
            while (o.url.ends_with('/'))
                o.url.pop_back();
            return {};
        }},
    Option{
        "--ca",
        [](Options& o, std::string_view v) -> std::string {
            o.ca_file = v;
            return {};
        }},
    Option{
        "--auth-token",
        [](Options& o, std::string_view v) -> std::string {
            o.auth_token = v;
            return {};
        }},
    Option{
        "--api-token",
        [](Options& o, std::string_view v) -> std::string {
            o.api_token = v;
            return {};
        }},
    Option{
        "--from",
        [](Options& o, std::string_view v) -> std::string {
            o.from = v;
            return {};
        }},
    Option{
        "--to",
        [](Options& o, std::string_view v) -> std::string {
            o.to = v;
            return {};
        }},
    Option{
        "--sip-ip",
        [](Options& o, std::string_view v) -> std::string {
            o.sip_ip = v;
            return {};
        }},
    Option{
        "--sip-port",
        [](Options& o, std::string_view v) -> std::string {
            o.sip_port = parse_number<std::uint16_t>(v, 1, 65'535);
            return o.sip_port ? "" : "a port number";
        }},
    Option{
        "--mi-ip",
        [](Options& o, std::string_view v) -> std::string {
            o.mi_ip = v;
            return {};
        }},
    Option{
        "--mi-port",
        [](Options& o, std::string_view v) -> std::string {
            o.mi_port = parse_number<std::uint16_t>(v, 0, 65'535);
            return o.mi_port ? "" : "a port number";
        }},
    Option{
        "--rtp-ip",
        [](Options& o, std::string_view v) -> std::string {
            o.rtp_ip = v;
            return {};
        }},
    Option{
        "--wait",
        [](Options& o, std::string_view v) -> std::string {
            const auto wait = parse_duration(v);
            if (!wait) return "a duration like 30s";
            o.wait = *wait;
            return {};
        }},
    Option{
        "--timeout",
        [](Options& o, std::string_view v) -> std::string {
            const auto timeout = parse_duration(v);
            if (!timeout || *timeout == 0ms) return "a duration like 60s";
            o.timeout = *timeout;
            return {};
        }},
};

/// Who interrupts, when only the time was given: the last thing said.
void choose_interruption(Options& options) {
    if (!options.interrupt_after || options.speech.empty()) return;
    const bool chosen =
        std::any_of(options.speech.begin(), options.speech.end(), [](const auto& speech) {
            return speech.interrupts;
        });
    if (!chosen) options.speech.back().interrupts = true;
}

}  // namespace

ParsedOptions parse_options(std::span<const std::string_view> arguments) {
    ParsedOptions parsed;
    Options& options = parsed.options;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string_view name = arguments[i];
        if (name == "--help" || name == "-h") {
            options.help = true;
            return parsed;
        }
        if (name == "--json") {
            options.json = true;
            continue;
        }
        if (name == "--answer") {
            options.answer = true;
            continue;
        }
        std::optional<std::string_view> value;
        const auto equals = name.find('=');
        if (name.starts_with("--") && equals != std::string_view::npos) {
            value = name.substr(equals + 1);
            name = name.substr(0, equals);
        }
        const auto option =
            std::find_if(option_table.begin(), option_table.end(), [name](const Option& o) {
                return o.name == name;
            });
        if (option == option_table.end()) {
            parsed.error = fmt::format("unknown option '{}'", name);
            return parsed;
        }
        if (!value) {
            if (i + 1 == arguments.size()) {
                parsed.error = fmt::format("{} needs a value", name);
                return parsed;
            }
            value = arguments[++i];
        }
        if (const auto problem = option->set(options, *value); !problem.empty()) {
            parsed.error = fmt::format("{} '{}': {}", name, *value, problem);
            return parsed;
        }
    }
    if (options.answer && options.via != "opensips") {
        parsed.error = "--answer is for --via opensips";
        return parsed;
    }
    choose_interruption(options);
    return parsed;
}

std::vector<Options::Speech> demonstration() {
    using Kind = Options::Speech::Kind;
    return {
        {Kind::text, "what are your opening hours", false},
        {Kind::text, "tell me about your savings accounts", false},
        {Kind::text, "where is the nearest branch", true},
        {Kind::text, "no thank you goodbye", false},
    };
}

std::string_view help_text() noexcept {
    return R"(usage: oavc call [options]

Places a test call into a running connector and tells what happened: the words both sides
heard, and where the time went. Without --say or --wav a synthesised caller asks two
questions, interrupts once and says goodbye.

  --via opensips|sip|twilio carrier to play (default: opensips)
  --answer                  be the one who is called: waits for 'oavc dial' (opensips)
  -c, --config FILE         the server's configuration: ports, tokens, dialogue
                            (default: $OAVC_CONFIG_FILE, then config/dev.ini)

What the caller says, in this order, each once the connector has been silent for a while:
  --say TEXT                synthesised (repeatable)
  --wav FILE                a recording (repeatable)
  --interrupt TEXT          like --say, but over the connector's voice
  --interrupt-after TIME    how long after a reply began (default: 2500ms); without
                            --interrupt the last thing said interrupts
  --voice NAME              slt, rms, awb or kal (default: rms)
  --dtmf DIGITS             keys pressed before the first word
  --from, --to NUMBER       who calls whom; the number dialled chooses the agent

Results:
  --record FILE             stereo WAV: caller left, connector right
  --json                    one JSON object per call instead of text
  --repeat N                so many calls, one after another

Where the connector is (only what differs from its configuration):
  --url URL                 its HTTP server, e.g. http://127.0.0.1:8088
  --ca FILE                 of an https URL: PEM file of whom to believe (default: the
                            system's, or $SSL_CERT_FILE)
  --auth-token TOKEN        of Twilio, for signatures
  --api-token TOKEN         of the control API
  --mi-ip IP, --mi-port N   where it expects OpenSIPS's MI (played by us)
  --sip-ip IP, --sip-port N where it takes SIP, for --via sip
  --rtp-ip IP               the caller's own address (default: 127.0.0.1; for --via sip the
                            one that routes to the connector)
  --wait TIME               for the connector to subscribe at us (default: 30s)
  --timeout TIME            of one call (default: 180s)

Examples:
  oavc call                                      the demonstration over OpenSIPS and RTP
  oavc call --via twilio                         the same over a Twilio media stream
  oavc call --via sip                            the same as a SIP phone would call
  oavc call --say "what time is it" --json       one question, for a script
  oavc call --interrupt-after 1500ms --repeat 20 --json
                                                 how fast does it fall silent?
  oavc call --via twilio --wav speech.wav --record call.wav

Exit status: 0 all went well; 1 it did not, and the last line says why; 2 usage.
The demonstration goes well only if every question was understood and every reply, as our
own recogniser hears it on the wire, is what the server says it said.
)";
}

}  // namespace oavc::caller
