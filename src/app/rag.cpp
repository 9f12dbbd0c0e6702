#include "app/rag.hpp"

#include "app/cli.hpp"
#include "app/options.hpp"
#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "config/load.hpp"
#include "net/http_client.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace oavc::app {

namespace {

namespace json = boost::json;

constexpr const char* help = R"(usage: oavc rag stats
       oavc rag search TEXT [-k N]
       oavc rag ingest [--force]

Asks the document search of a Llama WebSocket server (the one that [llm.llama] use_rag uses).

stats    what it has read
search   the passages that it would give the model for TEXT
ingest   read the documents; --force: again, also those that it knows

  --url URL           where it listens; default: [llm.llama] rag_url of the configuration
  -c, --config FILE   the configuration
  -k N                so many passages, 1 to 50 (default 5)

  oavc rag search "opening hours" --url ws://127.0.0.1:8766
)";

constexpr Options::Spec options[]{
    {"--url", "", true}, {"--config", "-c", true}, {"-k", "", true}, {"--force", "", false}};

constexpr Clock::duration connect_limit = 5s;
constexpr Clock::duration answer_limit = 30s;
constexpr Clock::duration ingest_limit = 10min;

asio::awaitable<Result<std::string>> read_text(net::WebSocket& socket) {
    for (;;) {
        const auto message = co_await socket.read();
        if (message.has_error()) co_return message.error();
        if (!message->binary) co_return std::string{message->data};
    }
}

asio::awaitable<void> exchange(
    async::Shard& shard,
    std::string url,
    std::string request,
    Clock::duration limit,
    Result<std::string>& reply
) {
    constexpr net::WsLimits limits{.max_message = 16u << 20};
    auto socket = co_await net::websocket_connect(shard, std::move(url), {}, connect_limit, limits);
    if (!socket) {
        reply = socket.error();
        co_return;
    }
    (*socket)->send_text(request);
    reply = co_await async::with_deadline(read_text(**socket), limit);
}

json::object ask(const std::string& url, const json::object& request, Clock::duration limit) {
    async::Shard shard{0};
    Result<std::string> reply{error_code{asio::error::fault}};
    async::run_blocking(shard, exchange(shard, url, json::serialize(request), limit, reply));
    if (!reply) {
        throw std::runtime_error{fmt::format(
            "{} does not answer: {}\nIs the server there, with ENABLE_RAG and RAG_PORT set? "
            "Another "
            "address: --url",
            url,
            reply.error().message()
        )};
    }
    error_code malformed;
    const auto parsed = json::parse(*reply, malformed);
    if (malformed || !parsed.is_object()) {
        throw std::runtime_error{fmt::format("{} answered something that is no JSON object", url)};
    }
    const auto& answer = parsed.get_object();
    if (const auto* error = answer.if_contains("error")) {
        throw std::runtime_error{fmt::format(
            "{} refused: {}", url, error->is_string() ? error->get_string().c_str() : "no reason"
        )};
    }
    return answer;
}

void print_passages(const json::object& answer) {
    const auto* results = answer.if_contains("results");
    if (results == nullptr || !results->is_array() || results->get_array().empty()) {
        fmt::print("nothing found\n");
        return;
    }
    int number = 0;
    for (const auto& result : results->get_array()) {
        const auto* passage = result.if_object();
        if (passage == nullptr) continue;
        const auto* content = passage->if_contains("content");
        const auto* metadata = passage->if_contains("metadata");
        fmt::print(
            "{}. {}\n",
            ++number,
            content != nullptr && content->is_string() ? content->get_string().c_str() : ""
        );
        if (metadata != nullptr) fmt::print("   {}\n", json::serialize(*metadata));
    }
}

int passages(const Options& given) {
    int count = 5;
    if (const auto text = given.value("-k")) {
        const auto* const end = text->data() + text->size();
        const auto [rest, failed] = std::from_chars(text->data(), end, count);
        if (failed != std::errc{} || rest != end || count < 1 || count > 50) {
            throw UsageError{fmt::format("-k {}: a number from 1 to 50 is meant", *text)};
        }
    }
    return count;
}

std::string address(const Options& given) {
    if (const auto url = given.value("--url")) return std::string{*url};
    const auto environment = config::process_environment();
    const auto loaded =
        config::load(find_config_file(given.value("--config"), environment), environment);
    return loaded.config.services.llama.rag_url;
}

}  // namespace

int rag_command(std::span<const std::string_view> arguments) {
    const Options given{"rag", arguments, options, 2};
    const auto& words = given.positional();
    if (given.help() || words.empty()) {
        fmt::print("{}", help);
        return given.help() ? 0 : 2;
    }
    const std::string_view action = words[0];
    const bool searches = action == "search";
    if (action != "stats" && action != "ingest" && !searches) {
        throw UsageError{
            fmt::format("unknown action \"{}\" (known: stats, search, ingest)", action)};
    }
    if (searches != (words.size() == 2)) {
        throw UsageError{
            searches ? "oavc rag search needs the text to look for, in quotes"
                     : fmt::format("oavc rag {} takes no further words", action)};
    }
    json::object request{{"action", json::string{action}}};
    if (searches) {
        request["query"] = json::string{words[1]};
        request["k"] = passages(given);
    }
    if (action == "ingest") request["force_reload"] = given.has("--force");
    const auto answer =
        ask(address(given), request, action == "ingest" ? ingest_limit : answer_limit);
    if (searches) {
        print_passages(answer);
        return 0;
    }
    const auto* stats = answer.if_contains("stats");
    const auto* shown = stats != nullptr && stats->is_object() ? &stats->get_object() : &answer;
    for (const auto& [name, value] : *shown) {
        if (name != "action") {
            fmt::print("{:<24}{}\n", std::string_view{name}, json::serialize(value));
        }
    }
    return 0;
}

}  // namespace oavc::app
