#include "app/healthcheck.hpp"

#include "app/options.hpp"
#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "net/http_client.hpp"

#include <boost/asio/error.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <utility>

namespace oavc::app {

namespace {

constexpr const char* help = R"(usage: oavc healthcheck [OPTIONS]

Asks a running server whether it is alive; for containers, which have no curl. Exit status: 0 yes;
1 no, or no answer within two seconds, and why is on standard error.

  --ready       ask whether it takes calls now (/health/ready): not while it starts, drains, or
                lacks a service that it needs. Without: whether it works (/health/live)
  --url URL     what to ask instead (default: $OAVC_URL, else http://127.0.0.1:PORT, and PORT is
                $PORT, else $OAVC_API_PORT, else 8088; a URL without a path gets the usual one)
  --ca FILE     of an https URL: PEM file of whom to believe (default: the system's, or
                $SSL_CERT_FILE)

  oavc healthcheck && echo alive
  oavc healthcheck --ready --url http://10.0.0.7:8088
)";

constexpr Options::Spec options[]{{"--ready", "", false}, {"--url", "", true}, {"--ca", "", true}};

constexpr Clock::duration answer_limit = 2s;  ///< less than any orchestrator's own limit

asio::awaitable<void> get_into(
    async::Shard& shard, net::HttpClientRequest request, Result<net::HttpResponse>& response
) {
    response = co_await net::http_request(shard, std::move(request), answer_limit);
}

/// The variable's value; nothing when it is missing or empty.
std::string_view value_of(const config::Environment& environment, std::string_view name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string_view{} : std::string_view{found->second};
}

std::string with_path(std::string url, bool ready) {
    const auto host = url.find("://");
    const auto path = url.find('/', host == std::string::npos ? 0 : host + 3);
    if (path != std::string::npos && path + 1 < url.size()) return url;
    if (path != std::string::npos) url.pop_back();
    return url + (ready ? "/health/ready" : "/health/live");
}

}  // namespace

std::string health_url(const config::Environment& environment, bool ready) {
    if (const auto url = value_of(environment, "OAVC_URL"); !url.empty()) {
        return with_path(std::string{url}, ready);
    }
    std::string_view port = value_of(environment, "PORT");
    if (port.empty()) port = value_of(environment, "OAVC_API_PORT");
    if (port.empty()) port = "8088";
    return with_path(fmt::format("http://127.0.0.1:{}", port), ready);
}

int healthcheck_command(std::span<const std::string_view> arguments) {
    const Options given{"healthcheck", arguments, options, 0};
    if (given.help()) {
        fmt::print("{}", help);
        return 0;
    }
    const bool ready = given.has("--ready");
    net::HttpClientRequest request;
    if (const auto url = given.value("--url")) {
        request.url = with_path(std::string{*url}, ready);
    } else {
        request.url = health_url(config::process_environment(), ready);
    }
    request.tls.ca_file = given.value("--ca").value_or("");
    const std::string url = request.url;
    async::Shard shard{0};
    Result<net::HttpResponse> response{error_code{asio::error::fault}};
    async::run_blocking(shard, get_into(shard, std::move(request), response));
    if (!response) {
        fmt::print(stderr, "oavc healthcheck: {}: {}\n", url, response.error().message());
        return 1;
    }
    fmt::print(response->status == 200 ? stdout : stderr, "{}", response->body);
    if (response->status == 200) return 0;
    fmt::print(stderr, "oavc healthcheck: {} answered {}\n", url, response->status);
    return 1;
}

}  // namespace oavc::app
