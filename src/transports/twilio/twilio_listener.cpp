#include "transports/twilio/twilio_listener.hpp"

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "net/url.hpp"
#include "observability/trace.hpp"
#include "transports/errors.hpp"
#include "transports/twilio/form.hpp"
#include "transports/twilio/media_protocol.hpp"
#include "transports/twilio/signature.hpp"
#include "transports/twilio/twilio_transport.hpp"
#include "transports/twilio/twiml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>

namespace oavc::transports::twilio {

namespace {

constexpr std::size_t max_pending = 10'000;
constexpr auto start_limit = std::chrono::seconds{10};  ///< from handshake to `start`
constexpr std::uint16_t close_policy = 1008;            // RFC 6455 §7.4.1
constexpr const char* answered_path = "/twilio/answered";
constexpr const char* status_path = "/twilio/status";
constexpr std::size_t most_ringing = 10'000;  ///< of one shard

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

/// Where an outgoing call waits: in the URLs that Twilio is given for it. The token is a secret
/// until Twilio knows the URL, and only Twilio can sign requests for it.
struct WaitingCall {
    std::size_t shard{0};
    std::string token;

    std::string query() const { return fmt::format("?shard={}&call={}", shard, token); }
};

std::optional<WaitingCall> waiting_call(const net::HttpRequest& request, std::size_t shards) {
    const auto form = parse_form(request.query());
    if (form.has_error()) return std::nullopt;
    WaitingCall call;
    const auto shard = find_field(*form, "shard");
    call.token = find_field(*form, "call");
    const auto [end, error] =
        std::from_chars(shard.data(), shard.data() + shard.size(), call.shard);
    const bool number = error == std::errc{} && end == shard.data() + shard.size();
    if (!number || call.shard >= shards || call.token.empty()) return std::nullopt;
    return call;
}

/// How a call ended that was not answered; nothing while it may still be.
std::optional<CallControlErrc> failure_of(std::string_view status, int sip_status) noexcept {
    if (status == "busy") return CallControlErrc::busy;
    if (status == "no-answer") return CallControlErrc::no_answer;
    if (status == "canceled") return CallControlErrc::gone;
    if (status == "completed") return CallControlErrc::gone;
    if (status != "failed") return std::nullopt;
    return sip_status >= 300 ? call_control_errc(sip_status) : CallControlErrc::unavailable;
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
    /// Outgoing calls by their token; those that are over go when others come.
    std::map<std::string, std::weak_ptr<RingingCall>, std::less<>> ringing{};

    std::shared_ptr<RingingCall> find(std::string_view token) const {
        const auto found = ringing.find(token);
        return found == ringing.end() ? nullptr : found->second.lock();
    }
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
      rest_{config_, log_},
      pending_{config_.token_ttl, max_pending},
      used_vouchers_{config_.token_ttl, max_pending} {
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
    server.handle("POST", answered_path, [this](async::Shard& shard, net::HttpRequest request) {
        return on_answered(shard, std::move(request));
    });
    server.handle("POST", status_path, [this](async::Shard& shard, net::HttpRequest request) {
        return on_status(shard, std::move(request));
    });
    const auto gate = [this](const net::HttpRequest& request) { return check_handshake(request); };
    const auto on_open =
        [this](
            async::Shard& shard, net::HttpRequest request, std::unique_ptr<net::WebSocket> socket
        ) { return on_socket(shard, std::move(request), std::move(socket)); };
    server.handle_websocket("/ws", gate, on_open);
    // An outgoing call waits on a shard already; its socket must come there.
    for (std::size_t i = 0; i < shards.size(); ++i) {
        server.handle_websocket(fmt::format("/ws/{}", i), gate, on_open, i);
    }
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
    stats.placed = placed_;
    stats.orphans = orphans_;
    return stats;
}

std::vector<metrics::Count> TwilioListener::counts() const {
    const auto now = stats();
    const auto count = [](const char* what, std::uint64_t value) {
        return metrics::Count{what, static_cast<double>(value)};
    };
    return {
        count("webhooks", now.webhooks),
        count("forged", now.forged),
        count("refused_busy", now.busy),
        count("expired", now.expired),
        count("refused_sockets", now.refused_sockets),
        count("placed", now.placed),
        count("orphans", now.orphans),
    };
}

std::string TwilioListener::public_base(const net::HttpRequest& request) const {
    if (config_.public_url.empty()) {
        if (!request.peer_is_loopback) return {};
        // Whoever tries us on this machine signs the name it used: 127.0.0.1, localhost, [::1].
        const std::string scheme = request.secure ? "https://" : "http://";
        const std::string asked = scheme + std::string{request.header("host")};
        const auto url = net::parse_url(asked);
        const bool plain_authority = url.has_value() && url->target == "/" && url->userinfo.empty();
        if (plain_authority && !asked.ends_with('/')) return asked;
        return fmt::format(
            "{}127.0.0.1:{}", scheme, request.secure ? server_.tls_port() : server_.port()
        );
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

Result<Form, net::HttpResponse> TwilioListener::read_webhook(const net::HttpRequest& request) {
    ++webhooks_;
    const auto base = public_base(request);
    if (base.empty()) {
        complain(
            "webhook from another machine, but there is no public_url",
            log::kv("peer", request.peer_ip)
        );
        return plain(403, "set [telephony.twilio] public_url to take calls from other machines");
    }
    const bool post = request.method == "POST";
    auto form = parse_form(post ? std::string_view{request.body} : request.query());
    if (form.has_error()) return plain(413, form.error().message());
    if (!config_.validate_signatures) return std::move(*form);
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
        return plain(403, "the signature is missing or wrong");
    }
    return std::move(*form);
}

asio::awaitable<net::HttpResponse> TwilioListener::on_webhook(
    async::Shard&, net::HttpRequest request
) {
    const auto form = read_webhook(request);
    if (form.has_error()) co_return form.error();
    CallInfo info;
    info.via = "twilio";
    info.native_id = form_value(*form, "CallSid");
    info.from = form_value(*form, "From");
    info.to = form_value(*form, "To");
    if (!plausible_sid(info.native_id)) co_return plain(400, "CallSid is missing");

    if (config_.any_instance) co_return vouch(request, info);

    const TimePoint now = Clock::now();
    expired_ += pending_.expire(now);
    auto token = pending_.renew(info.native_id, now);  // a repeated webhook of one call
    if (!token) {
        Pending pending;
        auto slot = admit(info);
        if (!slot) co_return refuse();
        pending.slot = std::move(*slot);
        const std::string call_sid = info.native_id;
        pending.info = std::move(info);
        auto issued = pending_.issue(call_sid, std::move(pending), now);
        if (issued.has_error()) {
            log_.warn(
                "call refused", log::kv("call_sid", call_sid), log::kv("error", issued.error())
            );
            co_return refuse();
        }
        token = std::move(*issued);
    }
    co_return send_to_media(request, std::move(*token));
}

Result<AdmissionSlot, Refusal> TwilioListener::admit(const CallInfo& info) {
    auto slot = handler_.admit({info.from});  // asked in any case: it counts refusals
    if (!accepting_) slot = Refusal::draining;
    if (!slot) {
        log_.warn(
            "call refused",
            log::kv("call_sid", info.native_id),
            log::kv("why", describe(slot.error()))
        );
    }
    return slot;
}

net::HttpResponse TwilioListener::send_to_media(
    const net::HttpRequest& request, std::string token
) {
    std::map<std::string, std::string> parameters;
    parameters.emplace("token", std::move(token));
    // The media socket's handshake is Twilio's own: a trace of whoever relayed the webhook goes on
    // as a parameter.
    const auto traceparent = request.header("traceparent");
    if (trace::parse_traceparent(traceparent)) parameters.emplace("traceparent", traceparent);
    // https becomes wss, http ws.
    const auto base = public_base(request);
    return twiml(connect_stream("ws" + base.substr(4) + "/ws", parameters));
}

/// Whether there is a place is asked and not kept: the socket may come to anybody.
net::HttpResponse TwilioListener::vouch(const net::HttpRequest& request, const CallInfo& info) {
    if (!admit(info)) return refuse();
    const auto expires = std::chrono::system_clock::now() + config_.token_ttl;
    const Vouched call{info.native_id, info.from, info.to};
    return send_to_media(request, make_voucher(config_.auth_token, call, expires));
}

Result<TwilioListener::Pending, std::string> TwilioListener::redeem_voucher(
    const std::string& call_sid, const std::string& voucher
) {
    auto vouched = read_voucher(tokens_, call_sid, voucher, std::chrono::system_clock::now());
    if (!vouched || !used_vouchers_.use(voucher, Clock::now())) {
        return std::string{"the token is wrong, used or expired"};
    }
    Pending pending;
    pending.info.via = "twilio";
    pending.info.native_id = std::move(vouched->call_sid);
    pending.info.from = std::move(vouched->from);
    pending.info.to = std::move(vouched->to);
    auto slot = admit(pending.info);
    if (!slot) {
        ++busy_;
        return std::string{describe(slot.error())};
    }
    pending.slot = std::move(*slot);
    return pending;
}

net::HttpResponse TwilioListener::refuse() {
    ++busy_;
    if (config_.busy_sentence.empty()) return twiml(reject_busy());
    return twiml(say_and_hang_up(config_.busy_sentence, config_.busy_language));
}

// --- outgoing calls ---

Dialer* TwilioListener::dialer() noexcept {
    // What Twilio says of a call may come to an instance that did not place it.
    const bool able = rest_.usable() && !config_.public_url.empty() && !config_.any_instance;
    return able ? this : nullptr;
}

asio::awaitable<Result<Dialled>> TwilioListener::dial(async::Shard& shard, DialRequest request) {
    if (!accepting_ || !started_) co_return CallControlErrc::unavailable;
    auto to = dial_target(request.to);
    if (!to) co_return to.error();
    std::string from = request.from.empty() ? config_.phone_number : request.from;
    if (from.empty()) {
        log_.error("cannot place calls: set [telephony.twilio] phone_number");
        co_return CallControlErrc::unavailable;
    }
    auto slot = handler_.admit({from, true});
    if (!slot) co_return CallControlErrc::no_capacity;
    Lane& lane = *lanes_[shard.index()];
    std::erase_if(lane.ringing, [](const auto& entry) { return entry.second.expired(); });
    if (lane.ringing.size() >= most_ringing) co_return CallControlErrc::no_capacity;

    const WaitingCall place{shard.index(), make_token()};
    const auto ringing = std::make_shared<RingingCall>(shard.executor());
    lane.ringing.emplace(place.token, ringing);
    std::string base = config_.public_url;
    while (base.ends_with('/'))
        base.pop_back();
    NewCall call;
    call.to = *to;
    call.from = from;
    call.answer_url = base + answered_path + place.query();
    call.status_url = base + status_path + place.query();
    call.ringing = request.patience;
    // When this is cancelled, or fails although Twilio has done it, nobody knows the token any
    // more: on_news hangs up.
    auto placed = co_await rest_.place(shard, std::move(call));
    if (!placed) co_return placed.error();
    ++placed_;
    ringing->call_sid = *placed;
    request.to = std::move(*to);
    auto info = call_info(request, "twilio", *placed, std::move(from));
    auto transport = std::make_unique<TwilioTransport>(
        shard, ringing, request.patience, std::move(info), config_, rest_
    );
    lane.calls.spawn(handler_.run_call(shard, std::move(transport), std::move(*slot)));
    co_return Dialled{"twilio", std::move(*placed)};
}

/// The callee has answered: the call is sent to the shard where it is awaited.
asio::awaitable<net::HttpResponse> TwilioListener::on_answered(
    async::Shard&, net::HttpRequest request
) {
    const auto form = read_webhook(request);
    if (form.has_error()) co_return form.error();
    const auto call = waiting_call(request, shards_.size());
    if (!call) co_return twiml(hang_up());
    const auto base = public_base(request);
    const std::map<std::string, std::string> parameters{{"token", call->token}};
    co_return twiml(
        connect_stream(fmt::format("ws{}/ws/{}", base.substr(4), call->shard), parameters)
    );
}

asio::awaitable<net::HttpResponse> TwilioListener::on_status(
    async::Shard&, net::HttpRequest request
) {
    const auto form = read_webhook(request);
    if (form.has_error()) co_return form.error();
    auto call = waiting_call(request, shards_.size());
    auto call_sid = form_value(*form, "CallSid");
    if (!call || !plausible_sid(call_sid)) co_return plain(400, "call or CallSid is missing");
    auto status = form_value(*form, "CallStatus");
    const auto sip = form_value(*form, "SipResponseCode");
    int sip_status = 0;
    std::from_chars(sip.data(), sip.data() + sip.size(), sip_status);
    shards_[call->shard].post(
        [this, sip_status, c = std::move(*call), sid = std::move(call_sid), s = std::move(status)] {
            on_news(c.shard, c.token, sid, s, sip_status);
        }
    );
    net::HttpResponse done;
    done.status = 204;
    co_return done;
}

/// On the call's shard. What is told may come late or in another order.
void TwilioListener::on_news(
    std::size_t shard,
    const std::string& token,
    const std::string& call_sid,
    const std::string& status,
    int sip_status
) {
    Lane& lane = *lanes_[shard];
    const auto failure = failure_of(status, sip_status);
    const auto ringing = lane.find(token);
    if (!ringing) {
        if (!failure && !lane.calls.cancelled()) {
            ++orphans_;
            lane.calls.spawn(hang_up_orphan(shards_[shard], call_sid));
        }
        return;
    }
    const bool other = !ringing->call_sid.empty() && ringing->call_sid != call_sid;
    if (other || !failure || ringing->failure) return;
    log_.info(
        "an outgoing call was not answered",
        log::kv("call_sid", call_sid),
        log::kv("status", status),
        log::kv("sip_status", sip_status)
    );
    ringing->failure = *failure;
    ringing->changed.notify();
}

asio::awaitable<void> TwilioListener::hang_up_orphan(async::Shard& shard, std::string call_sid) {
    log_.warn("hanging up an outgoing call that nobody waits for", log::kv("call_sid", call_sid));
    const auto done = co_await rest_.hang_up(shard, std::move(call_sid));
    static_cast<void>(done);  // logged
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
    } else if (const auto ringing = lanes_[shard.index()]->find(started->token);
               ringing && !ringing->socket && ringing->stream_sid.empty() &&
               (ringing->call_sid.empty() || ringing->call_sid == started->call_sid)) {
        ++calls_;
        ringing->socket = std::move(socket);
        ringing->stream_sid = started->stream_sid;
        ringing->changed.notify();
        co_return;
    } else if (config_.any_instance) {
        auto redeemed = redeem_voucher(started->call_sid, started->token);
        if (redeemed.has_value()) {
            pending = std::move(*redeemed);
        } else {
            problem = redeemed.error();
        }
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
        shard, std::move(socket), started->stream_sid, std::move(info), config_, rest_
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
