#include "transports/twilio/twilio_listener.hpp"

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "net/url.hpp"
#include "transports/twilio/form.hpp"
#include "transports/twilio/media_protocol.hpp"
#include "transports/twilio/signature.hpp"
#include "transports/twilio/twilio_transport.hpp"
#include "transports/twilio/twiml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace oavc::transports::twilio {

namespace {

constexpr std::size_t max_pending = 10'000;
constexpr auto start_limit = std::chrono::seconds{10};  ///< from handshake to `start`
constexpr std::uint16_t close_policy = 1008;            // RFC 6455 §7.4.1

/// `CA` and 32 hexadecimal digits; anything of that sort is good enough for us.
bool plausible_sid(std::string_view sid) noexcept {
    return !sid.empty() && sid.size() <= 64 && std::all_of(sid.begin(), sid.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0;
    });
}

net::HttpResponse plain(int status, std::string what) {
    net::HttpResponse response;
    response.status = status;
    response.body = std::move(what) + "\n";
    return response;
}

net::HttpResponse twiml(std::string document) {
    net::HttpResponse response;
    response.content_type = twiml_content_type;
    response.body = std::move(document);
    return response;
}

std::string form_value(const Form& form, std::string_view name) {
    return std::string{find_field(form, name)};
}

/// What a media socket told before audio.
struct Started {
    std::string stream_sid;
    std::string call_sid;
    std::string token;
    std::map<std::string, std::string> parameters;
    std::string problem;  ///< not empty: what is wrong with it
};

/// Reads up to `start`.
asio::awaitable<Result<Started>> read_start(net::WebSocket& socket) {
    StreamParser parser;
    for (;;) {
        const auto message = co_await socket.read();
        if (message.has_error()) co_return message.error();
        const auto parsed = parser.parse(message->data);
        if (parsed.has_error()) co_return parsed.error();
        Started started;
        if (parsed->event == StreamEvent::connected || parsed->event == StreamEvent::unknown)
            continue;
        if (parsed->event != StreamEvent::start) {
            started.problem = "the stream does not begin with start";
            co_return started;
        }
        started.stream_sid = parsed->stream_sid;
        started.call_sid = parsed->call_sid;
        for (const auto& parameter : parsed->parameters) {
            if (parameter.name == "token") {
                started.token = parameter.value;
            } else {
                started.parameters.emplace(parameter.name, parameter.value);
            }
        }
        const bool right_format =
            (parsed->encoding.empty() || parsed->encoding == "audio/x-mulaw") &&
            (parsed->sample_rate == 0 || parsed->sample_rate == 8000) && parsed->channels <= 1;
        if (!right_format) started.problem = "the audio is not 8 kHz mono mu-law";
        co_return started;
    }
}

}  // namespace

struct TwilioListener::Lane {
    async::TaskGroup calls;
};

TwilioListener::TwilioListener(
    Config config, net::HttpServer& server, async::ShardPool& shards, CallHandler& handler
)
    : config_{std::move(config)},
      tokens_{config_.auth_token, config_.auth_token_secondary},
      server_{server},
      shards_{shards},
      handler_{handler},
      log_{log::Logger{}.with({log::kv("via", "twilio")})},
      pending_{config_.token_ttl, max_pending} {
    const auto report = [log = log_](std::exception_ptr error) {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            log.error("exception escaped a Twilio call", log::kv("what", e.what()));
        } catch (...) {
            log.error("exception escaped a Twilio call");
        }
    };
    for (std::size_t i = 0; i < shards.size(); ++i) {
        lanes_.emplace_back(new Lane{{shards[i].executor(), report}});
    }
    housekeeping_ = std::make_unique<async::TaskGroup>(shards[0].executor(), report);

    const auto webhook = [this](async::Shard& shard, net::HttpRequest request) {
        return on_webhook(shard, std::move(request));
    };
    server.handle("POST", "/", webhook);
    server.handle("GET", "/", webhook);
    server.handle_websocket(
        "/ws",
        [this](const net::HttpRequest& request) { return check_handshake(request); },
        [this](
            async::Shard& shard, net::HttpRequest request, std::unique_ptr<net::WebSocket> socket
        ) { return on_socket(shard, std::move(request), std::move(socket)); }
    );
}

TwilioListener::~TwilioListener() { stop(); }

void TwilioListener::start() {
    const auto problems = config_.validate();
    if (!problems.empty()) throw std::runtime_error{fmt::format("{}", fmt::join(problems, "\n"))};
    started_ = true;
    shards_[0].post([this] { housekeeping_->spawn(expire_tokens()); });
    if (!config_.validate_signatures) {
        log_.warn("Twilio signatures are not checked: anybody who reaches the port can place calls"
        );
    }
    log_.info(
        "Twilio calls are taken",
        log::kv(
            "webhook",
            config_.public_url.empty() ? "http://127.0.0.1 (this machine only)" : config_.public_url
        )
    );
}

void TwilioListener::stop() {
    accepting_ = false;
    if (!started_ || stopped_) return;
    stopped_ = true;
    shards_[0].post([this] { housekeeping_->cancel(); });
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        shards_[i].post([&calls = lanes_[i]->calls] { calls.cancel(); });
    }
    async::run_blocking(shards_[0], housekeeping_->join());
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        async::run_blocking(shards_[i], lanes_[i]->calls.join());
    }
    pending_.expire(TimePoint::max());
}

TwilioListener::Stats TwilioListener::stats() const noexcept {
    Stats stats;
    stats.webhooks = webhooks_;
    stats.forged = forged_;
    stats.busy = busy_;
    stats.expired = expired_;
    stats.refused_sockets = refused_sockets_;
    stats.calls = calls_;
    return stats;
}

std::string TwilioListener::public_base(const net::HttpRequest& request) const {
    if (config_.public_url.empty()) {
        if (!request.peer_is_loopback) return {};
        // Whoever tries us on this machine signs the name it used: 127.0.0.1, localhost, [::1].
        const std::string asked = "http://" + std::string{request.header("host")};
        const auto url = net::parse_url(asked);
        const bool plain_authority = url.has_value() && url->target == "/" && url->userinfo.empty();
        if (plain_authority && !asked.ends_with('/')) return asked;
        return fmt::format("http://127.0.0.1:{}", server_.port());
    }
    std::string base = config_.public_url;
    while (base.ends_with('/'))
        base.pop_back();
    return base;
}

bool TwilioListener::forged(
    std::string_view what, std::string_view url, const net::HttpRequest& request, bool valid
) {
    if (valid) return false;
    ++forged_;
    complain(
        what,
        log::kv("signed_url", url),
        log::kv("header", request.header("x-twilio-signature").empty() ? "missing" : "wrong"),
        log::kv("peer", request.peer_ip),
        log::kv("check", "auth_token and public_url must be what Twilio has")
    );
    return true;
}

asio::awaitable<net::HttpResponse> TwilioListener::on_webhook(
    async::Shard&, net::HttpRequest request
) {
    ++webhooks_;
    const auto base = public_base(request);
    if (base.empty()) {
        complain(
            "webhook from another machine, but there is no public_url",
            log::kv("peer", request.peer_ip)
        );
        co_return plain(403, "set [telephony.twilio] public_url to take calls from other machines");
    }
    const bool post = request.method == "POST";
    const auto form = parse_form(post ? std::string_view{request.body} : request.query());
    if (form.has_error()) co_return plain(413, form.error().message());
    if (config_.validate_signatures) {
        const std::string url = base + request.target;
        SignedRequest signed_request;
        signed_request.url = url;
        if (post) signed_request.parameters = *form;
        signed_request.signature = request.header("x-twilio-signature");
        bool valid = signature_valid(tokens_, signed_request);
        // A public URL with a path may be configured at Twilio without the slash that we serve.
        const std::string without_slash = base + request.target.substr(1);
        if (!valid && request.path() == "/") {
            signed_request.url = without_slash;
            valid = signature_valid(tokens_, signed_request);
        }
        if (forged("webhook refused: signature", url, request, valid)) {
            co_return plain(403, "the signature is missing or wrong");
        }
    }
    CallInfo info;
    info.via = "twilio";
    info.native_id = form_value(*form, "CallSid");
    info.from = form_value(*form, "From");
    info.to = form_value(*form, "To");
    if (!plausible_sid(info.native_id)) co_return plain(400, "CallSid is missing");

    const TimePoint now = Clock::now();
    expired_ += pending_.expire(now);
    auto token = pending_.renew(info.native_id, now);  // a repeated webhook of one call
    if (!token) {
        Pending pending;
        if (accepting_) pending.slot = handler_.admit();
        if (!pending.slot) {
            ++busy_;
            log_.warn("call refused: busy", log::kv("call_sid", info.native_id));
            co_return twiml(reject_busy());
        }
        const std::string call_sid = info.native_id;
        pending.info = std::move(info);
        auto issued = pending_.issue(call_sid, std::move(pending), now);
        if (issued.has_error()) {
            ++busy_;
            log_.warn(
                "call refused", log::kv("call_sid", call_sid), log::kv("error", issued.error())
            );
            co_return twiml(reject_busy());
        }
        token = std::move(*issued);
    }
    std::map<std::string, std::string> parameters;
    parameters.emplace("token", std::move(*token));
    // https becomes wss, http ws.
    co_return twiml(connect_stream("ws" + base.substr(4) + "/ws", parameters));
}

std::optional<net::HttpResponse> TwilioListener::check_handshake(const net::HttpRequest& request) {
    const auto base = public_base(request);
    if (base.empty()) {
        return plain(403, "set [telephony.twilio] public_url to take calls from other machines");
    }
    if (!config_.validate_signatures) return std::nullopt;
    const std::string url = "ws" + base.substr(4) + request.target;
    SignedRequest signed_request;
    signed_request.url = url;
    signed_request.signature = request.header("x-twilio-signature");
    const bool valid = signature_valid(tokens_, signed_request);
    if (forged("media socket refused: signature", url, request, valid)) {
        return plain(403, "the signature is missing or wrong");
    }
    return std::nullopt;
}

asio::awaitable<void> TwilioListener::on_socket(
    async::Shard& shard, net::HttpRequest request, std::unique_ptr<net::WebSocket> socket
) {
    auto reading = read_start(*socket);
    auto started = co_await async::with_deadline(std::move(reading), start_limit);
    std::string problem;
    std::optional<Pending> pending;
    if (started.has_error()) {
        problem = started.error().message();
    } else if (!started->problem.empty()) {
        problem = started->problem;
    } else {
        pending = pending_.redeem(started->call_sid, started->token, Clock::now());
        if (!pending) problem = "the token is wrong, used or expired";
    }
    if (!pending) {
        ++refused_sockets_;
        complain("media socket refused", log::kv("why", problem), log::kv("peer", request.peer_ip));
        co_await socket->close(close_policy, problem);
        co_return;
    }
    ++calls_;
    auto& info = pending->info;
    info.parameters = std::move(started->parameters);
    auto transport = std::make_unique<TwilioTransport>(
        shard, std::move(socket), started->stream_sid, std::move(info), config_
    );
    // The call belongs to us, not to the HTTP server: stop() ends calls while the server answers
    // on.
    auto call = handler_.run_call(shard, std::move(transport), std::move(pending->slot));
    lanes_[shard.index()]->calls.spawn(std::move(call));
}

asio::awaitable<void> TwilioListener::expire_tokens() {
    for (;;) {
        co_await async::sleep_for(std::chrono::milliseconds{500});
        const auto gone = pending_.expire(Clock::now());
        if (gone == 0) continue;
        expired_ += gone;
        log_.warn("Twilio never opened the media socket (error 31920?)", log::kv("calls", gone));
    }
}

}  // namespace oavc::transports::twilio
