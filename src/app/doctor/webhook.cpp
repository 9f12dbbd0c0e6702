#include "app/doctor/webhook.hpp"

#include "app/doctor/wait.hpp"
#include "app/http_options.hpp"
#include "async/shard_pool.hpp"
#include "base/base64.hpp"
#include "base/bytes.hpp"
#include "base/random.hpp"
#include "net/errors.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "transports/listener.hpp"
#include "transports/twilio/signature.hpp"
#include "transports/twilio/twilio_listener.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace oavc::app::doctor {

namespace {

constexpr Clock::duration http_limit = 5s;

std::string without_slash(std::string url) {
    while (url.ends_with('/'))
        url.pop_back();
    return url;
}

Answer ask(async::Shard& shard, net::HttpClientRequest request) {
    const auto response = wait_for(shard, net::http_request(shard, std::move(request), http_limit));
    Answer answer;
    if (!response) {
        answer.error = response.error().message();
        return answer;
    }
    answer.status = response->status;
    answer.body = response->body;
    if (const auto date = response->headers.find("date"); date != response->headers.end()) {
        answer.date = date->second;
    }
    return answer;
}

/// Takes no call: what comes here is the doctor's own, or too early.
class NoCalls final : public transports::CallHandler {
public:
    Result<transports::AdmissionSlot, transports::Refusal>
    admit(const transports::CallOffer&) noexcept override {
        return transports::Refusal::draining;
    }
    asio::awaitable<void> run_call(
        async::Shard&, std::unique_ptr<transports::Transport>, transports::AdmissionSlot
    ) override {
        co_return;
    }
};

}  // namespace

Answer http_get(async::Shard& shard, const std::string& url, const std::string& ca_file) {
    net::HttpClientRequest request;
    request.url = url;
    request.tls.ca_file = ca_file;
    return ask(shard, std::move(request));
}

error_code https_problem(async::Shard& shard, const std::string& url, const std::string& ca_file) {
    net::HttpClientRequest request;
    request.url = url;
    request.tls.ca_file = ca_file;
    const auto response = wait_for(shard, net::http_request(shard, std::move(request), http_limit));
    return response ? error_code{} : response.error();
}

Signature look_at_webhook(
    async::Shard& shard,
    const transports::twilio::Config& config,
    const std::string& base,
    const std::string& signed_base,
    const std::string& ca_file
) {
    Signature facts;
    facts.url = without_slash(base) + "/";
    facts.validated = config.validate_signatures;
    // No CallSid: past the signature this is a bad request, and has no effect.
    const std::vector<transports::twilio::FormField> fields{{"AccountSid", config.account_sid}};
    net::HttpClientRequest request;
    request.method = "POST";
    request.url = facts.url;
    request.tls.ca_file = ca_file;
    request.headers.emplace("Content-Type", "application/x-www-form-urlencoded");
    request.body = "AccountSid=" + config.account_sid;
    auto forged = request;
    request.headers.emplace(
        "X-Twilio-Signature",
        transports::twilio::sign(config.auth_token, without_slash(signed_base) + "/", fields)
    );
    facts.with_right = ask(shard, std::move(request));
    if (!facts.with_right.error.empty()) return facts;
    forged.headers.emplace("X-Twilio-Signature", base64::encode(as_bytes("oavc doctor")));
    facts.with_wrong = ask(shard, std::move(forged));
    return facts;
}

MediaSocket look_at_media_socket(
    async::Shard& shard,
    const transports::twilio::Config& config,
    const std::string& base,
    const std::string& signed_base,
    const std::string& ca_file
) {
    // https becomes wss, http ws.
    const auto socket_url = [](const std::string& url) {
        return "ws" + without_slash(url).substr(4) + "/ws";
    };
    MediaSocket facts;
    facts.url = socket_url(base);
    net::HttpHeaders headers;
    headers.emplace(
        "X-Twilio-Signature",
        transports::twilio::sign(config.auth_token, socket_url(signed_base), {})
    );
    net::TlsIdentity believed{.ca_file = ca_file};
    auto opening = net::websocket_connect(
        shard, facts.url, std::move(headers), http_limit, {}, std::move(believed)
    );
    const auto socket = wait_for(shard, std::move(opening));
    if (!socket) {
        facts.status = net::http_status_of(socket.error());
        facts.error = socket.error().message();
    }
    return facts;
}

Account look_at_account(async::Shard& shard, const transports::twilio::Config& config) {
    Account facts;
    facts.sid = config.account_sid;
    facts.asked = true;
    const std::string login = config.account_sid + ":" + config.auth_token;
    net::HttpClientRequest request;
    request.url = fmt::format(
        "{}/2010-04-01/Accounts/{}.json", without_slash(config.api_url), config.account_sid
    );
    request.tls.ca_file = config.api_ca_file;
    request.headers.emplace("Authorization", "Basic " + base64::encode(as_bytes(login)));
    facts.answer = ask(shard, std::move(request));
    return facts;
}

struct StandIn::Parts {
    explicit Parts(const config::Config& config)
        : http{shards, http_options(config.api)}, twilio{config.twilio, http, shards, calls} {}

    asio::awaitable<net::HttpResponse> live() const {
        net::HttpResponse response;
        response.content_type = "application/json";
        response.body = fmt::format("{{\"status\":\"doctor\",\"instance\":\"{}\"}}\n", instance);
        response.headers.emplace("Cache-Control", "no-store");
        co_return response;
    }

    const std::string instance{random_hex(8)};
    async::ShardPool shards{1};
    NoCalls calls;
    net::HttpServer http;
    transports::twilio::TwilioListener twilio;
};

StandIn::StandIn(const config::Config& config) : parts_{std::make_unique<Parts>(config)} {
    Parts& parts = *parts_;
    parts.http.handle("GET", "/health/live", [&parts](async::Shard&, net::HttpRequest) {
        return parts.live();
    });
    parts.shards.start();
    try {
        parts.twilio.start();
        parts.http.start();
    } catch (...) {
        parts.twilio.stop();
        parts.shards.drain_and_join();
        throw;
    }
}

StandIn::~StandIn() {
    parts_->twilio.stop();
    parts_->http.stop();
    parts_->shards.drain_and_join();
}

std::uint16_t StandIn::port() const noexcept { return parts_->http.port(); }
const std::string& StandIn::instance() const noexcept { return parts_->instance; }

}  // namespace oavc::app::doctor
