#include "caller/conformance/stream_call.hpp"

#include "caller/twilio_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

namespace oavc::caller::conformance {

namespace {

std::string without_last_slashes(std::string url) {
    while (url.ends_with('/'))
        url.pop_back();
    return url;
}

const Headers form_type{{"Content-Type", "application/x-www-form-urlencoded"}};

}  // namespace

StreamCall::StreamCall(const Target& target)
    : target_{target},
      address_{read_web_address(target.text)},
      base_{without_last_slashes(
          target.text.substr(0, target.text.size() - (target.path == "/" ? 0 : target.path.size()))
      )},
      signed_base_{target.public_url.empty() ? base_ : without_last_slashes(target.public_url)},
      peer_{TwilioPeer::make_identity("", "+15550100", "+15550199")} {}

StreamCall::~StreamCall() {
    try {
        if (!order_) return;
        if (!socket_) connect();
        if (!started_) start();  // a place is given back by a stream that began
        if (socket_->is_open()) {
            hang_up();
            socket_->ends(Clock::now() + 500ms);
        }
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
        // The case is over; what it found has been reported.
    }
}

WebReply StreamCall::post(const Fields& parameters, const std::string& signature) const {
    Headers headers{
        {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
        {"User-Agent", "TwilioProxy/1.1"}};
    if (!signature.empty()) headers.emplace_back("X-Twilio-Signature", signature);
    return raw("POST", headers, form_encoded(parameters));
}

WebReply StreamCall::post(const Fields& parameters) {
    auto reply = post(parameters, sign(webhook_url(), parameters));
    remember(reply);
    return reply;
}

WebReply StreamCall::get(const Fields& parameters) {
    const auto query = target_.path + '?' + form_encoded(parameters);
    Headers headers;
    const auto signature = sign(signed_base_ + query, {});
    if (!signature.empty()) headers.emplace_back("X-Twilio-Signature", signature);
    auto reply = web_request(address_, "GET", query, headers, "", until());
    remember(reply);
    return reply;
}

WebReply StreamCall::raw(std::string_view method, const Headers& headers, std::string_view body)
    const {
    return web_request(address_, method, target_.path, headers, body, until());
}

WebReply StreamCall::raw_form(std::string_view body) const { return raw("POST", form_type, body); }

std::string StreamCall::sign(const std::string& url, const Fields& parameters) const {
    if (target_.auth_token.empty()) return {};
    return twilio_signature(target_.auth_token, url, parameters);
}

const StreamOrder& StreamCall::ring() {
    const auto reply = post(fields());
    expect_twiml(reply);
    return *order_;
}

void StreamCall::expect_twiml(const WebReply& reply) {
    expect(reply.status != 0, "the webhook was not answered");
    expect(
        reply.status != 403 || !target_.auth_token.empty(),
        "403 without a signature: give --auth-token"
    );
    expect(reply.status == 200, fmt::format("the webhook was answered {}", reply.status));
    const auto parsed = parse_twiml(reply.body);
    expect(parsed.has_value(), parsed.has_error() ? parsed.error().what : "");
    if (!order_) order_ = *parsed;
}

void StreamCall::require_token() const {
    if (target_.auth_token.empty()) throw NotOffered{"no --auth-token to sign with"};
}

void StreamCall::remember(const WebReply& reply) {
    const auto parsed = parse_twiml(reply.body);
    if (reply.status == 200 && parsed.has_value()) order_ = *parsed;
}

const Fields& StreamCall::stream_parameters() const {
    if (order_->parameters.empty()) throw NotOffered{"the TwiML has no <Parameter>"};
    return order_->parameters;
}

std::unique_ptr<WebSocketClient> StreamCall::open(const Headers& headers) const {
    const auto where = stream_target(stream_url(), target_.public_url, base_);
    return std::make_unique<WebSocketClient>(read_web_address(where), headers, until());
}

std::unique_ptr<WebSocketClient> StreamCall::open() const {
    Headers headers;
    const auto signature = sign(stream_url(), {});
    if (!signature.empty()) headers.emplace_back("x-twilio-signature", signature);
    return open(headers);
}

void StreamCall::connect() {
    socket_ = open();
    expect(
        socket_->status() == 101,
        fmt::format("the media stream was answered {} instead of 101", socket_->status())
    );
}

void StreamCall::start(const Fields& parameters) {
    started_ = true;
    peer_.send_start(parameters, Clock::now());
    flush();
}

void StreamCall::call() {
    ring();
    connect();
    start();
}

void StreamCall::flush() {
    for (const auto& message : peer_.take_outgoing())
        socket_->send(message);
}

bool StreamCall::run(Clock::duration time, const std::function<bool()>& enough) {
    const TimePoint end = Clock::now() + time;
    TimePoint next = Clock::now();
    const std::vector<media::Sample> silence(160, 0);
    while (!enough() && Clock::now() < end && socket_->is_open()) {
        const TimePoint now = Clock::now();
        if (now >= next) {
            if (speech_.size() >= 160) {
                peer_.send_media(std::span{speech_}.first(160), now);
                speech_.erase(speech_.begin(), speech_.begin() + 160);
            } else {
                peer_.send_media(silence, now);
            }
            next += 20ms;
        }
        peer_.advance(now);
        static_cast<void>(peer_.take_heard());
        flush();
        const auto message = socket_->receive(std::min(next, end));
        if (!message) continue;
        if (message->opcode != WebSocketClient::text) continue;
        messages_.push_back(message->payload);
        if (messages_.size() > 20'000) throw Failed{"a flood of messages"};
        static_cast<void>(peer_.on_message(message->payload, Clock::now()));
    }
    return enough();
}

void StreamCall::listen(Clock::duration time) {
    static_cast<void>(run(time, [] { return false; }));
}

void StreamCall::await_voice() {
    const bool came = run(target_.timeout, [&] { return peer_.stats().received >= 5; });
    expect(socket_->is_open(), "the target ended the stream");
    if (!came) throw NotOffered{"no media came: the target does not speak first"};
}

void StreamCall::expect_going_on() {
    listen(300ms);
    expect(socket_->is_open(), "the target ended the stream");
}

void StreamCall::hang_up() {
    peer_.send_stop();
    flush();
    socket_->send(std::string{"\x03\xE8", 2}, WebSocketClient::close);
}

CaseList::Run with_call(StreamRun run) {
    return [run = std::move(run)](const Target& target) {
        StreamCall call{target};
        run(call);
    };
}

CaseList::Run signed_call(StreamRun run) {
    return with_call([run = std::move(run)](StreamCall& call) {
        call.require_token();
        run(call);
    });
}

CaseList::Run in_stream(StreamRun run) {
    return with_call([run = std::move(run)](StreamCall& call) {
        call.call();
        run(call);
    });
}

void send_start(WebSocketClient& socket, TwilioPeer& peer, const Fields& parameters) {
    peer.send_start(parameters, Clock::now());
    for (const auto& message : peer.take_outgoing())
        socket.send(message);
}

void expect_refused(int status) {
    expect(status != 0, "no answer");
    expect(status >= 400 && status < 500, fmt::format("answered {} instead of 403", status));
}

void expect_whole(const Target& target) {
    StreamCall next{target};
    next.ring();
}

void expect_well_formed(std::string_view document) {
    std::vector<std::string> open;
    std::size_t roots = 0;
    for (std::size_t at = 0; at < document.size(); ++at) {
        if (document[at] == '&') {
            const auto end = document.find(';', at);
            expect(end != std::string_view::npos && end - at <= 8, "a bare & in the TwiML");
        }
        if (document[at] != '<') continue;
        const auto end = document.find('>', at);
        expect(end != std::string_view::npos, "a tag does not end");
        const auto tag = document.substr(at + 1, end - at - 1);
        expect(tag.find('<') == std::string_view::npos, "a bare < in the TwiML");
        at = end;
        if (tag.starts_with('?') || tag.starts_with('!')) continue;
        const auto name = std::string{tag.substr(tag.starts_with('/') ? 1 : 0)};
        const auto word = name.substr(0, name.find_first_of(" \t\r\n/"));
        if (tag.starts_with('/')) {
            expect(!open.empty() && open.back() == word, "</" + word + "> closes nothing");
            open.pop_back();
        } else {
            roots += open.empty() ? 1 : 0;
            if (!tag.ends_with('/')) open.push_back(word);
        }
    }
    expect(open.empty() && roots == 1, "the TwiML is not one whole element");
}

}  // namespace oavc::caller::conformance
