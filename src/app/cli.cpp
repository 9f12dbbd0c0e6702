#include "app/cli.hpp"

#include "app/audit.hpp"
#include "app/check_config.hpp"
#include "app/conformance.hpp"
#include "app/dial.hpp"
#include "app/doctor.hpp"
#include "app/healthcheck.hpp"
#include "app/models.hpp"
#include "app/options.hpp"
#include "app/rag.hpp"
#include "app/recording.hpp"
#include "app/server.hpp"
#include "caller/bench/bench_command.hpp"
#include "caller/call_command.hpp"
#include "config/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace oavc::app {

namespace {

struct Command {
    std::string_view name;
    std::string_view what;
    std::string_view example;
    int (*run)(std::span<const std::string_view>);
};

int version_command(std::span<const std::string_view> arguments) {
    const Options given{"version", arguments, {}, 0};
    fmt::print("oavc {}\n", OAVC_VERSION);
    return 0;
}

constexpr Command commands[]{
    {"serve", "answer calls", "oavc serve -c config/dev.ini", serve_command},
    {"call",
     "place a test call into a server",
     "oavc call --via twilio --record call.wav",
     caller::call_command},
    {"bench",
     "find how many calls this machine holds",
     "oavc bench --json knee.json",
     caller::bench::bench_command},
    {"dial",
     "let a running server call somebody",
     "oavc dial +902125550111 --follow",
     dial_command},
    {"check-config",
     "find every mistake in a configuration",
     "oavc check-config config/dev.ini --explain",
     check_config_command},
    {"conformance",
     "try any SIP or Twilio endpoint",
     "oavc conformance sip:bot@127.0.0.1:8089",
     conformance_command},
    {"doctor",
     "find what keeps calls from working",
     "oavc doctor -c config/dev.ini --call",
     doctor_command},
    {"healthcheck",
     "ask a running server whether it is alive",
     "oavc healthcheck --ready",
     healthcheck_command},
    {"models", "list and fetch speech models", "oavc models pull silero-vad", models_command},
    {"rag",
     "ask a Llama server's document search",
     "oavc rag search \"opening hours\"",
     rag_command},
    {"audit",
     "find whether the audit was tampered with",
     "oavc audit verify /var/log/oavc/audit.jsonl",
     audit_command},
    {"recording",
     "open a sealed recording",
     "oavc recording decrypt IN.wav.sealed OUT.wav",
     recording_command},
    {"version", "print the version", "oavc version", version_command},
};

void print_help() {
    fmt::print(
        "oavc {}: answers telephone calls and lets the caller talk with an AI\n\n"
        "usage: oavc COMMAND [OPTIONS]\n\n",
        OAVC_VERSION
    );
    std::size_t width = 0;
    for (const Command& command : commands)
        width = std::max(width, command.what.size());
    for (const Command& command : commands) {
        fmt::print("  {:<14}{:<{}}  {}\n", command.name, command.what, width, command.example);
    }
    fmt::print(
        "\n`oavc COMMAND --help` tells more of each.\n\n"
        "New here? `scripts/run` builds everything, starts a server and plays a call into it.\n"
        "docs/first-call.md goes on from there to a real OpenSIPS or Twilio;\n"
        "docs/configuration.md explains every key of the configuration.\n"
    );
}

}  // namespace

int run(std::span<const std::string_view> arguments) {
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" ||
        arguments[0] == "help") {
        print_help();
        return arguments.empty() ? 2 : 0;
    }
    std::string_view name = arguments[0];
    if (name == "--version" || name == "-V") name = "version";
    std::vector<std::string_view> names;
    for (const Command& command : commands) {
        if (command.name == name) return command.run(arguments.subspan(1));
        names.push_back(command.name);
    }
    const std::string_view meant = config::nearest(name, names);
    throw UsageError{
        (meant.empty() ? fmt::format("unknown command \"{}\"", name)
                       : fmt::format("unknown command \"{}\"; did you mean {}?", name, meant)) +
        "\nsee: oavc --help"};
}

std::filesystem::path find_config_file(
    std::optional<std::string_view> given, const config::Environment& environment
) {
    if (given) return *given;
    for (const std::string_view name : {"OAVC_CONFIG_FILE", "CONFIG_FILE"}) {
        const auto found = environment.find(name);
        if (found != environment.end() && !found->second.empty()) return found->second;
    }
    for (const char* usual : {"cfg/opensips-ai-voice-connector.ini", "config/dev.ini"}) {
        std::error_code error;
        if (std::filesystem::exists(usual, error)) return usual;
    }
    throw UsageError{
        "no configuration file: give one with -c FILE or in OAVC_CONFIG_FILE; there is neither "
        "cfg/opensips-ai-voice-connector.ini nor config/dev.ini here"};
}

}  // namespace oavc::app
