#include "app/check_config.hpp"

#include "app/cli.hpp"
#include "app/gcp_secrets.hpp"
#include "app/options.hpp"
#include "config/explain.hpp"
#include "config/json_schema.hpp"
#include "services/llm/dialogue.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace oavc::app {

namespace {

constexpr const char* help = R"(usage: oavc check-config [FILE] [--explain] [--strict]

Reads a configuration as `oavc serve` would, and lists every problem at once, with file and line.
Without FILE: the one that `oavc serve` would take.

  --explain   print every value and where it came from: default, file:line or environment
  --strict    warnings count as errors
  --docs      print the reference of all keys (docs/configuration.md)
  --schema    print them as a JSON Schema (docs/configuration.schema.json)

Exit status: 0 the server would start, 1 it would not.

  oavc check-config config/dev.ini --explain | less
  OAVC_API_PORT=9000 oavc check-config config/dev.ini --explain | grep OAVC_
)";

constexpr Options::Spec options[]{
    {"--explain", "", false},
    {"--strict", "", false},
    {"--docs", "", false},
    {"--schema", "", false},
};

/// The file that the configuration leads to is part of it. False: it is there and broken.
bool check_dialogue(const config::Config& config) {
    const std::string& file = config.services.scripted.dialogue_file;
    std::error_code error;
    if (config.services.llm_provider != "scripted" || !std::filesystem::exists(file, error)) {
        return true;
    }
    const auto dialogue = services::load_dialogue(file);
    if (!dialogue) fmt::print("{}\n", dialogue.error().what);
    return dialogue.has_value();
}

}  // namespace

int check_config_command(std::span<const std::string_view> arguments) {
    const Options given{"check-config", arguments, options, 1};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    if (given.has("--docs") || given.has("--schema")) {
        fmt::print("{}", given.has("--docs") ? config::reference() : config::json_schema());
        return 0;
    }

    std::optional<std::string_view> named;
    if (!given.positional().empty()) named = given.positional().front();
    const config::Environment environment = config::process_environment();
    const config::Loaded loaded =
        config::load(find_config_file(named, environment), environment, gcp_secrets(environment));

    if (given.has("--explain") && !loaded.settings.empty()) {
        fmt::print("{}\n", config::explain(loaded));
    }
    const bool dialogue_ok = check_dialogue(loaded.config);
    const bool strict = given.has("--strict") && loaded.count(config::Severity::warning) > 0;
    fmt::print("{}", config::list_problems(loaded, config::Severity::note));
    if (!loaded.ok() || !dialogue_ok || strict) return 1;
    if (loaded.problems.empty()) fmt::print("{}: no problems\n", loaded.file);
    return 0;
}

}  // namespace oavc::app
