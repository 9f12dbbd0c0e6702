#include "app/ollama_models.hpp"

#include "app/cli.hpp"
#include "app/options.hpp"
#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "config/explain.hpp"
#include "config/load.hpp"
#include "config/nearest.hpp"
#include "services/llm/ollama_models.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace oavc::app {

namespace {

using services::OllamaFailure;
using services::OllamaModels;
using services::OllamaProgress;
using services::OllamaResult;

constexpr const char* help = R"(usage: oavc models ollama list
       oavc models ollama pull [NAME…]
       oavc models ollama show [NAME…]
       oavc models ollama rm NAME…

The models of an Ollama server.

list   what it has
pull   let it fetch models; an interrupted pull goes on where it was
show   what a model is and can do
rm     delete models there

Without NAME: the configured [llm.ollama] model.

  --url URL           where the server listens; default: [llm.ollama] url of the configuration,
                      without a configuration http://127.0.0.1:11434
  -c, --config FILE   the configuration

  oavc models ollama pull llama3.2:3b qwen3:4b --url http://127.0.0.1:11434
)";

constexpr Options::Spec options[]{{"--url", "", true}, {"--config", "-c", true}};
constexpr std::size_t most_names = 32;

/// Where the server is, and the model that the configuration names (empty: there is none).
struct Target {
    services::Endpoint endpoint;
    std::string model;
};

Target target_of(const Options& given) {
    if (given.has("--url") && given.has("--config")) {
        throw UsageError{"--url and --config both say where the server is: give one"};
    }
    Target target;
    target.endpoint.connect_timeout = milliseconds{5000};
    if (const auto url = given.value("--url")) {
        target.endpoint.url = *url;
        return target;
    }
    const auto environment = config::process_environment();
    std::filesystem::path file;
    try {
        file = find_config_file(given.value("--config"), environment);
    } catch (const UsageError&) {
        target.endpoint.url = "http://127.0.0.1:11434";
        return target;
    }
    const auto loaded = config::load(file, environment);
    if (given.has("--config") && !loaded.ok()) {
        throw std::runtime_error{config::list_problems(loaded, config::Severity::error)};
    }
    const auto& own = loaded.config.services.ollama;
    return {own.endpoint, own.model};
}

std::string size_text(std::uint64_t bytes) {
    const auto amount = static_cast<double>(bytes);
    return bytes < 1'000'000'000 ? fmt::format("{:.0f} MB", amount / 1e6)
                                 : fmt::format("{:.1f} GB", amount / 1e9);
}

/// On a terminal one line that is written over; elsewhere nothing, the result's line is enough.
class ProgressLine {
public:
    explicit ProgressLine(std::string name)
        : name_{std::move(name)}, shown_{::isatty(STDERR_FILENO) != 0} {}
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;
    ~ProgressLine() {
        if (!last_.empty()) std::fputc('\n', stderr);
    }

    void show(const OllamaProgress& progress) {
        if (!shown_) return;
        constexpr std::uint64_t width = 30;
        std::string line = fmt::format("{}  {}", name_, progress.status);
        if (progress.total > 0 && progress.completed < progress.total) {
            const auto filled = progress.completed * width / progress.total;
            line = fmt::format(
                "{}  [{:=<{}}{:<{}}] {:3}%  {} of {}",
                name_,
                "",
                filled,
                "",
                width - filled,
                progress.completed * 100 / progress.total,
                size_text(progress.completed),
                size_text(progress.total)
            );
        }
        if (line == last_) return;
        last_ = line;
        constexpr const char* erase_rest = "\033[K";
        fmt::print(stderr, "\r{}{}", line, erase_rest);
        std::fflush(stderr);
    }

private:
    const std::string name_;
    const bool shown_;
    std::string last_;
};

template <class T>
asio::awaitable<void> into(
    asio::awaitable<OllamaResult<T>> work, std::optional<OllamaResult<T>>& result
) {
    result.emplace(co_await std::move(work));
}

/// One server, asked from the main thread.
class Server {
public:
    explicit Server(services::Endpoint endpoint) : models_{shard_, std::move(endpoint)} {}

    template <class T>
    OllamaResult<T> ask(asio::awaitable<OllamaResult<T>> work) {
        std::optional<OllamaResult<T>> result;
        async::run_blocking(shard_, into(std::move(work), result));
        return std::move(*result);
    }
    OllamaModels& models() noexcept { return models_; }

    /// Says which models there are, where a name is not among them.
    [[noreturn]] void fail(const std::string& name, const OllamaFailure& failure) {
        std::string text = name.empty() ? failure.what : fmt::format("{}: {}", name, failure.what);
        if (failure.status == 404) {
            const auto all = ask(models_.list());
            std::vector<std::string_view> names;
            if (all) {
                for (const auto& each : *all)
                    names.push_back(each.name);
            }
            if (const auto meant = config::nearest(name, names); !meant.empty()) {
                text += fmt::format("; did you mean {}?", meant);
            } else if (!names.empty()) {
                text += fmt::format("; there are {}", fmt::join(names, ", "));
            } else if (all) {
                text += "; the server has no models yet: oavc models ollama pull NAME";
            }
        }
        throw std::runtime_error{text};
    }

private:
    async::Shard shard_{0};
    OllamaModels models_;
};

int list(Server& server, const Target& target) {
    const auto all = server.ask(server.models().list());
    if (!all) server.fail("", all.error());
    bool configured = false;
    for (const auto& model : *all) {
        const bool ours = !target.model.empty() &&
                          services::with_tag(model.name) == services::with_tag(target.model);
        configured = configured || ours;
        fmt::print(
            "{:<32}{:>9}  {:<8}{:<10}{}\n",
            model.name,
            size_text(model.size),
            model.parameters,
            model.quantization,
            ours ? "configured" : ""
        );
    }
    if (all->empty()) fmt::print("no models yet: oavc models ollama pull NAME\n");
    if (!target.model.empty() && !configured) {
        fmt::print(
            "\nthe configured model {} is not there: oavc models ollama pull {}\n",
            target.model,
            target.model
        );
    }
    return 0;
}

void pull(Server& server, const std::string& name) {
    {
        ProgressLine line{name};
        const std::function<void(const OllamaProgress&)> show =
            [&line](const OllamaProgress& progress) { line.show(progress); };
        const auto pulled = server.ask(server.models().pull(name, show));
        if (!pulled) {
            OllamaFailure failure = pulled.error();
            if (failure.what.find("does not exist") != std::string::npos) {
                failure.what += "; is the name right? https://ollama.com/library has them";
            }
            server.fail(name, failure);
        }
    }
    fmt::print("{} is there\n", name);
}

void show(Server& server, const std::string& name) {
    const auto info = server.ask(server.models().show(name));
    if (!info) server.fail(name, info.error());
    fmt::print(
        "{}\n  family        {}\n  parameters    {}\n  quantisation  {}\n  context       {}\n"
        "  can           {}\n",
        name,
        info->model.family,
        info->model.parameters,
        info->model.quantization,
        info->context_length == 0 ? "unknown" : fmt::format("{} tokens", info->context_length),
        info->capabilities.empty() ? "unknown (an old server)"
                                   : fmt::format("{}", fmt::join(info->capabilities, ", "))
    );
    std::string_view settings = info->settings;
    while (!settings.empty()) {
        const auto end = std::min(settings.find('\n'), settings.size());
        fmt::print("  sets          {}\n", settings.substr(0, end));
        settings.remove_prefix(std::min(end + 1, settings.size()));
    }
}

void remove(Server& server, const std::string& name) {
    const auto removed = server.ask(server.models().remove(name));
    if (!removed) server.fail(name, removed.error());
    fmt::print("{} is deleted\n", name);
}

}  // namespace

int ollama_models_command(std::span<const std::string_view> arguments) {
    const Options given{"models ollama", arguments, options, most_names};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    const auto& words = given.positional();
    const std::string_view verb = words.empty() ? "list" : words[0];
    if (verb != "list" && verb != "pull" && verb != "show" && verb != "rm") {
        throw UsageError{fmt::format(
            "oavc models ollama knows list, pull, show and rm, not \"{}\"\n"
            "see: oavc models ollama --help",
            verb
        )};
    }
    if (verb == "list" && words.size() > 1) {
        throw UsageError{"oavc models ollama list takes no name"};
    }
    if (verb == "rm" && words.size() < 2) {
        throw UsageError{"oavc models ollama rm needs a name; `oavc models ollama list` has them"};
    }
    const Target target = target_of(given);
    Server server{target.endpoint};
    if (verb == "list") return list(server, target);
    std::vector<std::string> names(words.begin() + 1, words.end());
    if (names.empty() && !target.model.empty()) names.push_back(target.model);
    if (names.empty()) {
        throw UsageError{fmt::format("oavc models ollama {} needs a name", verb)};
    }
    for (const auto& name : names) {
        if (verb == "pull") pull(server, name);
        if (verb == "show") show(server, name);
        if (verb == "rm") remove(server, name);
    }
    return 0;
}

}  // namespace oavc::app
