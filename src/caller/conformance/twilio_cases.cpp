#include "base/random.hpp"
#include "caller/conformance/case_list.hpp"
#include "caller/conformance/web_client.hpp"
#include "caller/speech.hpp"
#include "caller/twilio_line.hpp"
#include "caller/twilio_peer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

// We are Twilio: the webhook, then the media stream.

namespace oavc::caller::conformance {

namespace {

using Fields = std::map<std::string, std::string>;

constexpr const char* webhook_page = "twilio.com/docs/voice/twiml";
constexpr const char* security_page = "twilio.com/docs/usage/webhooks/webhooks-security";
constexpr const char* stream_page = "twilio.com/docs/voice/twiml/stream";
constexpr const char* messages_page = "twilio.com/docs/voice/media-streams/websocket-messages";

/// One call as Twilio brings it. Leaves no place taken at the target.
class StreamCall {
public:
    explicit StreamCall(const Target& target)
        : target_{target}, peer_{TwilioPeer::make_identity("", "+15550100", "+15550199")} {
        address_ = read_web_address(target.text);
        base_ = target.text.substr(
            0, target.text.size() - (target.path == "/" ? 0 : target.path.size())
        );
        while (base_.ends_with('/'))
            base_.pop_back();
        signed_base_ = target.public_url.empty() ? base_ : target.public_url;
        while (signed_base_.ends_with('/'))
            signed_base_.pop_back();
    }
    StreamCall(const StreamCall&) = delete;
    StreamCall& operator=(const StreamCall&) = delete;
    ~StreamCall() {
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

    // Webhook.
    std::string webhook_url() const { return signed_base_ + target_.path; }
    Fields fields() const { return peer_.webhook_parameters(); }
    /// POST with that signature; empty: none.
    WebReply post(const Fields& parameters, const std::string& signature) const {
        Headers headers{
            {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
            {"User-Agent", "TwilioProxy/1.1"}};
        if (!signature.empty()) headers.emplace_back("X-Twilio-Signature", signature);
        return web_request(
            address_, "POST", target_.path, headers, form_encoded(parameters), until()
        );
    }
    std::string sign(const std::string& url, const Fields& parameters) const {
        if (target_.auth_token.empty()) return {};
        return twilio_signature(target_.auth_token, url, parameters);
    }
    WebReply post(const Fields& parameters) {
        auto reply = post(parameters, sign(webhook_url(), parameters));
        remember(reply);
        return reply;
    }
    WebReply get(const Fields& parameters) {
        const auto query = target_.path + '?' + form_encoded(parameters);
        Headers headers;
        const auto signature = sign(signed_base_ + query, {});
        if (!signature.empty()) headers.emplace_back("X-Twilio-Signature", signature);
        auto reply = web_request(address_, "GET", query, headers, "", until());
        remember(reply);
        return reply;
    }
    WebReply raw(std::string_view method, const Headers& headers, std::string_view body) const {
        return web_request(address_, method, target_.path, headers, body, until());
    }
    /// A webhook that must be answered with a stream.
    const StreamOrder& ring() {
        const auto reply = post(fields());
        expect_twiml(reply);
        return *order_;
    }
    void expect_twiml(const WebReply& reply) {
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
    void require_token() const {
        if (target_.auth_token.empty()) throw NotOffered{"no --auth-token to sign with"};
    }

    // Stream.
    std::string stream_url() const { return order_->url; }
    std::unique_ptr<WebSocketClient> open(const Headers& headers) const {
        const auto where = stream_target(stream_url(), target_.public_url, base_);
        return std::make_unique<WebSocketClient>(read_web_address(where), headers, until());
    }
    std::unique_ptr<WebSocketClient> open() const {
        Headers headers;
        const auto signature = sign(stream_url(), {});
        if (!signature.empty()) headers.emplace_back("x-twilio-signature", signature);
        return open(headers);
    }
    void connect() {
        socket_ = open();
        expect(
            socket_->status() == 101,
            fmt::format("the media stream was answered {} instead of 101", socket_->status())
        );
    }
    void start() { start(order_->parameters); }
    void start(const Fields& parameters) {
        started_ = true;
        peer_.send_start(parameters, Clock::now());
        flush();
    }
    /// Webhook, socket, `start`.
    void call() {
        ring();
        connect();
        start();
    }
    void flush() {
        for (const auto& message : peer_.take_outgoing())
            socket_->send(message);
    }
    /// Speaks and listens in real time until `enough`; false when that did not come in time.
    template <class Enough>
    bool run(Clock::duration time, Enough enough) {
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
    /// Waits for the target's voice; skips the case without one.
    void await_voice() {
        const bool came = run(target_.timeout, [&] { return peer_.stats().received >= 5; });
        expect(socket_->is_open(), "the target ended the stream");
        if (!came) throw NotOffered{"no media came: the target does not speak first"};
    }
    /// The call goes on: the target has neither closed the socket nor fallen over.
    void expect_going_on() {
        run(300ms, [] { return false; });
        expect(socket_->is_open(), "the target ended the stream");
    }
    void hang_up() {
        peer_.send_stop();
        flush();
        socket_->send(std::string{"\x03\xE8", 2}, WebSocketClient::close);
    }
    void say(std::vector<media::Sample> samples) { speech_ = std::move(samples); }

    TwilioPeer& peer() noexcept { return peer_; }
    WebSocketClient& socket() noexcept { return *socket_; }
    const Target& target() const noexcept { return target_; }
    const std::vector<std::string>& messages() const noexcept { return messages_; }
    const StreamOrder& order() const { return *order_; }
    const WebAddress& address() const noexcept { return address_; }

private:
    TimePoint until() const { return Clock::now() + target_.timeout; }
    /// So that even a call that no case looks at gives its place back.
    void remember(const WebReply& reply) {
        const auto parsed = parse_twiml(reply.body);
        if (reply.status == 200 && parsed.has_value()) order_ = *parsed;
    }

    const Target& target_;
    WebAddress address_;
    std::string base_;
    std::string signed_base_;
    TwilioPeer peer_;
    std::optional<StreamOrder> order_;
    std::unique_ptr<WebSocketClient> socket_;
    std::vector<media::Sample> speech_;
    std::vector<std::string> messages_;
    bool started_{false};
};

void expect_refused(const WebReply& reply) {
    expect(reply.status != 0, "no answer");
    expect(
        reply.status >= 400 && reply.status < 500,
        fmt::format("answered {} instead of 403", reply.status)
    );
}

void expect_whole(const Target& target) {
    StreamCall next{target};
    next.ring();
}

/// Opening and closing tags pair up, and no bare & or < is left.
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

}  // namespace

std::vector<Case> webhook_cases() {
    CaseList list{"webhook"};
    list.must(
        "twiml",
        webhook_page,
        "a call is answered 200 with TwiML that connects a stream",
        [](const Target& target) { StreamCall{target}.ring(); }
    );
    list.must(
        "content-type",
        webhook_page,
        "the TwiML comes as text/xml or application/xml",
        [](const Target& target) {
            StreamCall call{target};
            const auto type = lower(call.post(call.fields()).content_type);
            expect(
                type.starts_with("text/xml") || type.starts_with("application/xml"),
                "Content-Type: " + type
            );
        }
    );
    list.must(
        "well-formed",
        webhook_page,
        "the TwiML is well-formed XML with one <Response>",
        [](const Target& target) {
            StreamCall call{target};
            const auto reply = call.post(call.fields());
            call.expect_twiml(reply);
            expect_well_formed(reply.body);
        }
    );
    list.must(
        "stream-url",
        stream_page,
        "the stream's URL is wss:// (ws:// only where the webhook is http://), without a query",
        [](const Target& target) {
            StreamCall call{target};
            const auto url = call.ring().url;
            const bool plain = url.starts_with("ws://") && !target.tls && target.public_url.empty();
            expect(url.starts_with("wss://") || plain, url);
            expect(url.find('?') == std::string::npos, "it has a query: " + url);
        }
    );
    list.should(
        "get",
        webhook_page,
        "the webhook is also answered as GET",
        [](const Target& target) {
            StreamCall call{target};
            call.expect_twiml(call.get(call.fields()));
        }
    );
    list.must(
        "signature-missing",
        security_page,
        "a request without a signature is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            expect_refused(call.post(call.fields(), ""));
        }
    );
    list.must(
        "signature-wrong",
        security_page,
        "a request with a wrong signature is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            expect_refused(call.post(call.fields(), "RSOYDt4T1cUTdK1PDd93/VVr8B8="));
        }
    );
    for (const std::string signature : {"=", "not base64 at all", "AAAA"}) {
        list.must(
            fmt::format("signature-damaged-{}", signature.size()),
            security_page,
            "a request with a damaged signature is refused",
            [signature](const Target& target) {
                StreamCall call{target};
                call.require_token();
                expect_refused(call.post(call.fields(), signature));
            }
        );
    }
    list.must(
        "signature-other-token",
        security_page,
        "a signature made with another token is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            expect_refused(call.post(
                call.fields(),
                twilio_signature(target.auth_token + 'x', call.webhook_url(), call.fields())
            ));
        }
    );
    list.must(
        "signature-other-url",
        security_page,
        "a signature of another URL is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            expect_refused(
                call.post(call.fields(), call.sign(call.webhook_url() + "elsewhere", call.fields()))
            );
        }
    );
    list.must(
        "parameter-changed",
        security_page,
        "a signed request whose parameter was changed on the way is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            auto changed = call.fields();
            changed["From"] = "+15550666";
            expect_refused(call.post(changed, call.sign(call.webhook_url(), call.fields())));
        }
    );
    list.must(
        "parameter-added",
        security_page,
        "a signed request to which a parameter was added is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            auto changed = call.fields();
            changed["Zusatz"] = "1";
            expect_refused(call.post(changed, call.sign(call.webhook_url(), call.fields())));
        }
    );
    list.must(
        "signature-of-body-for-get",
        security_page,
        "a POST's signature is not good for a GET of other parameters",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            const auto signature = call.sign(call.webhook_url(), call.fields());
            const auto query = target.path + '?' + form_encoded(call.fields());
            expect_refused(web_request(
                call.address(),
                "GET",
                query,
                {{"X-Twilio-Signature", signature}},
                "",
                Clock::now() + target.timeout
            ));
        }
    );
    list.must(
        "unknown-parameters",
        security_page,
        "parameters that Twilio may add some day are signed and harmless",
        [](const Target& target) {
            StreamCall call{target};
            auto more = call.fields();
            more["StirVerstat"] = "TN-Validation-Passed-A";
            more["A-New-One"] = "";
            call.expect_twiml(call.post(more));
        }
    );
    list.must(
        "encoded-parameters",
        security_page,
        "signatures hold for blanks, plus signs, UTF-8 and reserved characters",
        [](const Target& target) {
            StreamCall call{target};
            auto more = call.fields();
            more["FromCity"] = "Z\xC3\xBCrich & S\xC3\xB8n + 100% = ~*()'!";
            more["CallerName"] = "O'Hara; \"the\" <boss>";
            call.expect_twiml(call.post(more));
        }
    );
    list.must(
        "injection",
        webhook_page,
        "characters of XML in From and To stay data: the TwiML remains well-formed",
        [](const Target& target) {
            StreamCall call{target};
            auto more = call.fields();
            more["From"] = "\"><Hangup/><!-- & ' ]]>";
            more["To"] = "sip:a&b<c>@d";
            const auto reply = call.post(more);
            if (reply.status == 200) expect_well_formed(reply.body);
            expect(reply.status < 500, fmt::format("answered {}", reply.status));
        }
    );
    list.must(
        "repeated",
        "twilio.com/docs/usage/webhooks/webhooks-connection-overrides",
        "a webhook that Twilio repeats is answered again, and the call can be connected",
        [](const Target& target) {
            StreamCall call{target};
            call.ring();
            const auto again = call.post(call.fields());
            call.expect_twiml(again);
            call.connect();
            call.start();
            call.expect_going_on();
        }
    );
    list.should(
        "no-call-sid",
        webhook_page,
        "a webhook without CallSid is refused",
        [](const Target& target) {
            StreamCall call{target};
            auto less = call.fields();
            less.erase("CallSid");
            const auto reply = call.post(less);
            expect(reply.status >= 400 && reply.status < 500, fmt::format("{}", reply.status));
        }
    );
    for (const std::string method : {"PUT", "DELETE", "PATCH"}) {
        list.should(
            "method-" + lower(method),
            "RFC 9110 §15.5.6",
            method + " is refused",
            [method](const Target& target) {
                StreamCall call{target};
                expect_refused(call.raw(method, {}, ""));
            }
        );
    }
    list.must(
        "form-damaged",
        "url.spec.whatwg.org/#urlencoded-parsing",
        "a damaged form is refused, without a server failure",
        [](const Target& target) {
            StreamCall call{target};
            for (const std::string_view body :
                 {"%", "%zz=%1", "&&&===", "CallSid", "\xFF\xFE=\x01"}) {
                const auto reply =
                    call.raw("POST", {{"Content-Type", "application/x-www-form-urlencoded"}}, body);
                expect(
                    reply.status >= 400 && reply.status < 500,
                    fmt::format("answered {}", reply.status)
                );
            }
            expect_whole(target);
        }
    );
    list.must(
        "body-huge",
        "RFC 9110 §15.5.14",
        "a body of 4 MiB is refused",
        [](const Target& target) {
            StreamCall call{target};
            const auto reply = call.raw(
                "POST",
                {{"Content-Type", "application/x-www-form-urlencoded"}},
                "CallSid=" + std::string(4 * 1'024 * 1'024, 'A')
            );
            // Some close before they have read all of it.
            expect(
                reply.status == 0 || (reply.status >= 400 && reply.status < 500),
                fmt::format("answered {}", reply.status)
            );
            expect_whole(target);
        }
    );
    list.must(
        "parameters-many",
        security_page,
        "ten thousand parameters do no harm",
        [](const Target& target) {
            StreamCall call{target};
            std::string body;
            for (int i = 0; i < 10'000; ++i)
                body += fmt::format("p{}=1&", i);
            const auto reply =
                call.raw("POST", {{"Content-Type", "application/x-www-form-urlencoded"}}, body);
            expect(reply.status < 500, fmt::format("answered {}", reply.status));
            expect_whole(target);
        }
    );
    list.must(
        "two-calls",
        webhook_page,
        "two calls that ring at once are told apart",
        [](const Target& target) {
            StreamCall one{target};
            StreamCall other{target};
            one.ring();
            other.ring();
            one.connect();
            other.connect();
            one.start();
            other.start();
            one.expect_going_on();
            other.expect_going_on();
        }
    );
    return list.take();
}

std::vector<Case> socket_cases() {
    CaseList list{"socket"};
    list.must(
        "speaks",
        messages_page,
        "after start the target's audio comes",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            const bool came =
                call.run(target.timeout, [&] { return call.peer().stats().received >= 10; });
            expect(came, fmt::format("{} media messages", call.peer().stats().received));
        }
    );
    list.must(
        "messages",
        messages_page,
        "every message of the target is one that Twilio takes: media, mark or clear with this "
        "stream's sid, base64 in its payload (error 31950)",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.await_voice();
            call.run(2s, [] { return false; });
            expect(
                call.peer().stats().refused == 0,
                fmt::format("{} messages were wrong", call.peer().stats().refused)
            );
        }
    );
    auto& pacing = list.should(
        "pacing",
        messages_page,
        "at most 2 s of audio lie ahead in Twilio's buffer, and it does not run dry within speech",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.await_voice();
            call.run(2s, [] { return false; });
            const auto& stats = call.peer().stats();
            expect(stats.deepest <= 2s, fmt::format("{} ms lay ahead", stats.deepest.count()));
            expect(
                stats.longest_gap < 100ms,
                fmt::format("a gap of {} ms within speech", stats.longest_gap.count())
            );
        }
    );
    pacing.alone = true;
    list.must(
        "buffer",
        messages_page,
        "nothing is sent beyond Twilio's buffer of ten minutes (warning 31931)",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.await_voice();
            call.run(1s, [] { return false; });
            expect(call.peer().stats().overflowed == 0, "the buffer ran over");
        }
    );
    list.must(
        "marks-differ",
        messages_page,
        "marks are named, so that their echoes can be told apart",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.await_voice();
            call.run(2s, [] { return false; });
            std::set<std::string> marks;
            std::size_t count = 0;
            for (const auto& message : call.messages()) {
                const auto at = message.find("\"name\"");
                if (message.find("\"mark\"") == std::string::npos || at == std::string::npos)
                    continue;
                ++count;
                marks.insert(message.substr(at, message.find('}', at) - at));
            }
            if (count == 0) throw NotOffered{"the target sends no marks"};
            expect(
                marks.size() == count, fmt::format("{} names for {} marks", marks.size(), count)
            );
        }
    );
    auto& barge_in = list.should(
        "clear",
        messages_page,
        "who is interrupted sends clear",
        [](const Target& target) {
            StreamCall call{target};
            Options::Speech words{Options::Speech::Kind::text, "", false};
            words.value = "wait a moment please I have got another question for you";
            auto spoken = prepare_speech({words}, "rms");
            call.call();
            call.await_voice();
            call.say(std::move(spoken.front().samples));
            const bool cleared = call.run(4s, [&] { return call.peer().stats().clears > 0; });
            expect(cleared, "no clear came");
        }
    );
    barge_in.alone = true;
    list.must(
        "token-reused",
        stream_page,
        "the parameters of a stream are good for one socket (they are what protects it)",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            if (call.order().parameters.empty()) throw NotOffered{"the TwiML has no <Parameter>"};
            call.expect_going_on();
            auto second = call.open();
            expect(second->status() == 101, "the handshake was refused");
            TwilioPeer copy{call.peer().identity()};
            copy.send_start(call.order().parameters, Clock::now());
            for (const auto& message : copy.take_outgoing())
                second->send(message);
            expect(second->ends(Clock::now() + target.timeout), "a second socket was taken");
            call.expect_going_on();
        }
    );
    for (const bool missing : {true, false}) {
        list.must(
            missing ? "token-missing" : "token-wrong",
            stream_page,
            missing ? "a start without the parameters of the TwiML is refused"
                    : "a start with other parameters than the TwiML's is refused",
            [missing](const Target& target) {
                StreamCall call{target};
                call.ring();
                auto parameters = call.order().parameters;
                if (parameters.empty()) throw NotOffered{"the TwiML has no <Parameter>"};
                for (auto& [name, value] : parameters)
                    value = random_hex(20);
                if (missing) parameters.clear();
                auto socket = call.open();
                TwilioPeer copy{call.peer().identity()};
                copy.send_start(parameters, Clock::now());
                for (const auto& message : copy.take_outgoing())
                    socket->send(message);
                expect(socket->ends(Clock::now() + target.timeout), "the stream was taken");
            }
        );
    }
    list.must(
        "other-call",
        stream_page,
        "a start with the parameters of one call and the sid of another is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.ring();
            if (call.order().parameters.empty()) throw NotOffered{"the TwiML has no <Parameter>"};
            auto socket = call.open();
            TwilioPeer thief{TwilioPeer::make_identity("", "+15550666", "+15550199")};
            thief.send_start(call.order().parameters, Clock::now());
            for (const auto& message : thief.take_outgoing())
                socket->send(message);
            expect(socket->ends(Clock::now() + target.timeout), "the stream was taken");
        }
    );
    list.must(
        "signature-missing",
        "twilio.com/docs/voice/media-streams (X-Twilio-Signature)",
        "a handshake without a signature is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            call.ring();
            const auto status = call.open(Headers{})->status();
            expect(status >= 400 && status < 500, fmt::format("answered {}", status));
        }
    );
    list.must(
        "signature-wrong",
        "twilio.com/docs/voice/media-streams (X-Twilio-Signature)",
        "a handshake with a wrong signature is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.require_token();
            call.ring();
            const Headers headers{
                {"x-twilio-signature", twilio_signature("not this", call.stream_url(), {})}};
            const auto status = call.open(headers)->status();
            expect(status >= 400 && status < 500, fmt::format("answered {}", status));
        }
    );
    list.should(
        "handshake-version",
        "RFC 6455 §4.4",
        "a handshake of an unknown version is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.ring();
            Headers headers{{"Sec-WebSocket-Version", "7"}};
            headers.emplace_back("x-twilio-signature", call.sign(call.stream_url(), {}));
            const auto status = call.open(headers)->status();
            expect(status >= 400 && status < 500, fmt::format("answered {}", status));
        }
    );
    struct Oddity {
        std::string name;
        std::string source;
        std::string holds;
        std::function<void(StreamCall&)> act;
        bool may_end;  ///< closing the stream is right too; the target itself must live on
    };
    const auto media = [](StreamCall& call, std::string_view payload, std::string_view chunk = "5"
                       ) {
        call.socket().send(fmt::format(
            R"({{"event":"media","sequenceNumber":"{}","media":{{"track":"inbound","chunk":"{}",)"
            R"("timestamp":"100","payload":"{}"}},"streamSid":"{}"}})",
            chunk,
            chunk,
            payload,
            call.peer().identity().stream_sid
        ));
    };
    const std::vector<Oddity> oddities{
        {"junk-json",
         messages_page,
         "text that is no JSON does no harm",
         [](StreamCall& call) {
             for (const std::string_view text :
                  {"{{{", "", "null", "[]", "\"media\"", "{\"event\":7}"})
                 call.socket().send(text);
         },
         true},
        {"deep-json",
         messages_page,
         "JSON nested a thousand times does no harm",
         [](StreamCall& call) {
             call.socket().send(std::string(1'000, '[') + std::string(1'000, ']'));
         },
         true},
        {"unknown-event",
         messages_page,
         "an event that Twilio may add some day is ignored",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"weather","streamSid":"{}","weather":{{"sun":true}}}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"unknown-member",
         messages_page,
         "members that Twilio may add some day are ignored",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"media","extra":[1,{{}}],"sequenceNumber":"9","media":{{"new":null,)"
                 R"("track":"inbound","chunk":"9","timestamp":"180","payload":"/////w=="}},"streamSid":"{}"}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"binary",
         "RFC 6455 §5.6",
         "a binary message does no harm",
         [](StreamCall& call) {
             call.socket().send(std::string(200, '\x80'), WebSocketClient::binary);
         },
         true},
        {"not-utf8",
         "RFC 6455 §8.1",
         "text that is no UTF-8 does no harm",
         [](StreamCall& call) { call.socket().send("{\"event\":\"\xFF\xFE\"}"); },
         true},
        {"huge",
         "RFC 6455 §10.4",
         "a message of 2 MiB does no harm",
         [](StreamCall& call) {
             call.socket().send(
                 "{\"event\":\"media\",\"x\":\"" + std::string(2 << 20, 'x') + "\"}"
             );
         },
         true},
        {"base64-damaged",
         messages_page,
         "a payload that is no base64 does not end the call",
         [media](StreamCall& call) { media(call, "$$$ this is not base64 $$$"); },
         false},
        {"payload-empty",
         messages_page,
         "an empty payload does not end the call",
         [media](StreamCall& call) { media(call, ""); },
         false},
        {"payload-lengths",
         messages_page,
         "payloads of other lengths than 20 ms are taken",
         [media](StreamCall& call) {
             media(call, "/w==");
             media(call, "////");
             std::string long_one;
             for (int i = 0; i < 1'000; ++i)
                 long_one += "////";
             media(call, long_one);
         },
         false},
        {"sequence-gap",
         messages_page,
         "gaps and repetitions in sequence numbers and chunks do not end the call",
         [media](StreamCall& call) {
             media(call, "/////w==", "700");
             media(call, "/////w==", "3");
             media(call, "/////w==", "3");
         },
         false},
        {"numbers-as-numbers",
         messages_page,
         "numbers that come as JSON numbers are read",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"media","sequenceNumber":12,"media":{{"track":"inbound","chunk":12,)"
                 R"("timestamp":240,"payload":"/////w=="}},"streamSid":"{}"}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"dtmf",
         messages_page,
         "keys are taken, each with its own message",
         [](StreamCall& call) {
             for (const char digit : {'1', '2', '#'})
                 call.peer().send_digit(digit);
             call.flush();
         },
         false},
        {"dtmf-damaged",
         messages_page,
         "a key that does not exist does no harm",
         [](StreamCall& call) {
             for (const std::string_view digit : {"", "X", "12", "\\u0000"}) {
                 call.socket().send(fmt::format(
                     R"({{"event":"dtmf","streamSid":"{}","dtmf":{{"track":"inbound_track","digit":"{}"}}}})",
                     call.peer().identity().stream_sid,
                     digit
                 ));
             }
         },
         true},
        {"mark-unknown",
         messages_page,
         "the echo of a mark that was never sent is ignored",
         [](StreamCall& call) {
             call.socket().send(fmt::format(
                 R"({{"event":"mark","sequenceNumber":"4","streamSid":"{}","mark":{{"name":"never-sent"}}}})",
                 call.peer().identity().stream_sid
             ));
         },
         false},
        {"fragments",
         "RFC 6455 §5.4",
         "a message in several frames is put together",
         [](StreamCall& call) {
             const std::string whole = fmt::format(
                 R"({{"event":"mark","streamSid":"{}","mark":{{"name":"in-three-frames"}}}})",
                 call.peer().identity().stream_sid
             );
             call.socket().send(whole.substr(0, 10), WebSocketClient::text, false);
             call.socket().send(whole.substr(10, 20), WebSocketClient::continuation, false);
             call.socket().send(whole.substr(30), WebSocketClient::continuation, true);
         },
         false},
        {"start-again",
         messages_page,
         "a second start does no harm",
         [](StreamCall& call) { call.start(); },
         true},
    };
    for (const auto& oddity : oddities) {
        list.must(oddity.name, oddity.source, oddity.holds, [oddity](const Target& target) {
            StreamCall call{target};
            call.call();
            call.run(100ms, [] { return false; });
            oddity.act(call);
            if (oddity.may_end) {
                call.run(300ms, [] { return false; });
                expect_whole(target);
            } else {
                call.expect_going_on();
            }
        });
    }
    list.must(
        "ping",
        "RFC 6455 §5.5.2",
        "a ping is answered with its payload",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.socket().send("are you there", WebSocketClient::ping);
            const TimePoint until = Clock::now() + target.timeout;
            while (const auto message = call.socket().receive(until)) {
                if (message->opcode == WebSocketClient::pong) {
                    expect(message->payload == "are you there", "another payload");
                    return;
                }
            }
            throw Failed{"no pong"};
        }
    );
    list.must(
        "unmasked",
        "RFC 6455 §5.1",
        "a frame without a mask ends the connection",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.socket().send("{}", WebSocketClient::text, true, false);
            expect(call.socket().ends(Clock::now() + target.timeout), "it was taken");
        }
    );
    list.must(
        "reserved-opcode",
        "RFC 6455 §5.2",
        "a frame of a reserved opcode ends the connection",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.socket().send("{}", 0x5);
            expect(call.socket().ends(Clock::now() + target.timeout), "it was taken");
        }
    );
    list.should(
        "close",
        "RFC 6455 §5.5.1",
        "a close is answered with a close",
        [](const Target& target) {
            StreamCall call{target};
            call.call();
            call.run(200ms, [] { return false; });
            call.hang_up();
            const TimePoint until = Clock::now() + target.timeout;
            while (const auto message = call.socket().receive(until)) {
                if (message->opcode == WebSocketClient::close) return;
            }
            throw Failed{"the connection ended without a close"};
        }
    );
    list.must("stop", messages_page, "after stop no more audio comes", [](const Target& target) {
        StreamCall call{target};
        call.call();
        call.await_voice();
        call.peer().send_stop();
        call.flush();
        // What was on its way is read; then there must be silence.
        const TimePoint until = Clock::now() + 3s;
        for (;;) {
            expect(Clock::now() < until, "it still comes");
            if (!call.socket().receive(std::min(until, Clock::now() + 400ms))) break;
        }
    });
    list.must(
        "reset",
        "twilio.com/docs/voice/media-streams",
        "a connection that breaks ends its call and nothing else",
        [](const Target& target) {
            StreamCall other{target};
            other.call();
            {
                StreamCall call{target};
                call.call();
                call.run(100ms, [] { return false; });
                call.socket().reset();
            }
            other.expect_going_on();
            expect_whole(target);
        }
    );
    list.must(
        "media-before-start",
        messages_page,
        "media before start do no harm",
        [media](const Target& target) {
            {
                StreamCall call{target};
                call.ring();
                call.connect();
                media(call, "/////w==");
                call.socket().ends(Clock::now() + 500ms);
            }
            expect_whole(target);
        }
    );
    list.should(
        "wrong-format",
        messages_page,
        "a start with another format than 8 kHz mu-law is refused",
        [](const Target& target) {
            StreamCall call{target};
            call.ring();
            call.connect();
            call.peer().send_start(call.order().parameters, Clock::now());
            for (auto message : call.peer().take_outgoing()) {
                const auto at = message.find("8000");
                if (at != std::string::npos) message.replace(at, 4, "16000");
                call.socket().send(message);
            }
            expect(call.socket().ends(Clock::now() + target.timeout), "it was taken");
        }
    );
    auto& silent = list.should(
        "no-start",
        messages_page,
        "a socket on which nothing comes is closed within 30 s",
        [](const Target& target) {
            StreamCall call{target};
            call.ring();
            const auto socket = call.open();
            expect(socket->ends(Clock::now() + 30s), "it is still open");
        }
    );
    silent.seconds = 12;
    list.must(
        "calls-in-turn",
        "twilio.com/docs/voice/media-streams",
        "eight calls one after another: places come back",
        [](const Target& target) {
            for (int i = 0; i < 8; ++i) {
                StreamCall call{target};
                call.call();
                call.run(50ms, [] { return false; });
            }
        }
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
