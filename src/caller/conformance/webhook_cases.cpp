#include "caller/conformance/case_list.hpp"
#include "caller/conformance/stream_call.hpp"
#include "caller/twilio_line.hpp"

#include <fmt/format.h>

// We are Twilio: the webhook.

namespace oavc::caller::conformance {

namespace {

constexpr const char* webhook_page = "twilio.com/docs/voice/twiml";
constexpr const char* security_page = "twilio.com/docs/usage/webhooks/webhooks-security";
constexpr const char* stream_page = "twilio.com/docs/voice/twiml/stream";

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
        with_call([](StreamCall& call) {
            const auto type = lower(call.post(call.fields()).content_type);
            expect(
                type.starts_with("text/xml") || type.starts_with("application/xml"),
                "Content-Type: " + type
            );
        })
    );
    list.must(
        "well-formed",
        webhook_page,
        "the TwiML is well-formed XML with one <Response>",
        with_call([](StreamCall& call) {
            const auto reply = call.post(call.fields());
            call.expect_twiml(reply);
            expect_well_formed(reply.body);
        })
    );
    list.must(
        "stream-url",
        stream_page,
        "the stream's URL is wss:// (ws:// only where the webhook is http://), without a query",
        with_call([](StreamCall& call) {
            const auto url = call.ring().url;
            const bool plain =
                url.starts_with("ws://") && !call.target().tls && call.target().public_url.empty();
            expect(url.starts_with("wss://") || plain, url);
            expect(url.find('?') == std::string::npos, "it has a query: " + url);
        })
    );
    list.should(
        "get", webhook_page, "the webhook is also answered as GET", with_call([](StreamCall& call) {
            call.expect_twiml(call.get(call.fields()));
        })
    );
    list.must(
        "signature-missing",
        security_page,
        "a request without a signature is refused",
        signed_call([](StreamCall& call) { expect_refused(call.post(call.fields(), "")); })
    );
    list.must(
        "signature-wrong",
        security_page,
        "a request with a wrong signature is refused",
        signed_call([](StreamCall& call) {
            expect_refused(call.post(call.fields(), "RSOYDt4T1cUTdK1PDd93/VVr8B8="));
        })
    );
    for (const std::string signature : {"=", "not base64 at all", "AAAA"}) {
        list.must(
            fmt::format("signature-damaged-{}", signature.size()),
            security_page,
            "a request with a damaged signature is refused",
            signed_call([signature](StreamCall& call) {
                expect_refused(call.post(call.fields(), signature));
            })
        );
    }
    list.must(
        "signature-other-token",
        security_page,
        "a signature made with another token is refused",
        signed_call([](StreamCall& call) {
            expect_refused(call.post(
                call.fields(),
                twilio_signature(call.target().auth_token + 'x', call.webhook_url(), call.fields())
            ));
        })
    );
    list.must(
        "signature-other-url",
        security_page,
        "a signature of another URL is refused",
        signed_call([](StreamCall& call) {
            expect_refused(
                call.post(call.fields(), call.sign(call.webhook_url() + "elsewhere", call.fields()))
            );
        })
    );
    list.must(
        "parameter-changed",
        security_page,
        "a signed request whose parameter was changed on the way is refused",
        signed_call([](StreamCall& call) {
            auto changed = call.fields();
            changed["From"] = "+15550666";
            expect_refused(call.post(changed, call.sign(call.webhook_url(), call.fields())));
        })
    );
    list.must(
        "parameter-added",
        security_page,
        "a signed request to which a parameter was added is refused",
        signed_call([](StreamCall& call) {
            auto changed = call.fields();
            changed["Zusatz"] = "1";
            expect_refused(call.post(changed, call.sign(call.webhook_url(), call.fields())));
        })
    );
    list.must(
        "signature-of-body-for-get",
        security_page,
        "a POST's signature is not good for a GET of other parameters",
        signed_call([](StreamCall& call) {
            const auto signature = call.sign(call.webhook_url(), call.fields());
            const auto query = call.target().path + '?' + form_encoded(call.fields());
            expect_refused(web_request(
                call.address(),
                "GET",
                query,
                {{"X-Twilio-Signature", signature}},
                "",
                Clock::now() + call.target().timeout
            ));
        })
    );
    list.must(
        "unknown-parameters",
        security_page,
        "parameters that Twilio may add some day are signed and harmless",
        with_call([](StreamCall& call) {
            auto more = call.fields();
            more["StirVerstat"] = "TN-Validation-Passed-A";
            more["A-New-One"] = "";
            call.expect_twiml(call.post(more));
        })
    );
    list.must(
        "encoded-parameters",
        security_page,
        "signatures hold for blanks, plus signs, UTF-8 and reserved characters",
        with_call([](StreamCall& call) {
            auto more = call.fields();
            more["FromCity"] = "Z\xC3\xBCrich & S\xC3\xB8n + 100% = ~*()'!";
            more["CallerName"] = "O'Hara; \"the\" <boss>";
            call.expect_twiml(call.post(more));
        })
    );
    list.must(
        "injection",
        webhook_page,
        "characters of XML in From and To stay data: the TwiML remains well-formed",
        with_call([](StreamCall& call) {
            auto more = call.fields();
            more["From"] = "\"><Hangup/><!-- & ' ]]>";
            more["To"] = "sip:a&b<c>@d";
            const auto reply = call.post(more);
            if (reply.status == 200) expect_well_formed(reply.body);
            expect(reply.status < 500, fmt::format("answered {}", reply.status));
        })
    );
    list.must(
        "repeated",
        "twilio.com/docs/usage/webhooks/webhooks-connection-overrides",
        "a webhook that Twilio repeats is answered again, and the call can be connected",
        with_call([](StreamCall& call) {
            call.ring();
            const auto again = call.post(call.fields());
            call.expect_twiml(again);
            call.connect();
            call.start();
            call.expect_going_on();
        })
    );
    list.should(
        "no-call-sid",
        webhook_page,
        "a webhook without CallSid is refused",
        with_call([](StreamCall& call) {
            auto less = call.fields();
            less.erase("CallSid");
            expect_refused(call.post(less));
        })
    );
    for (const std::string method : {"PUT", "DELETE", "PATCH"}) {
        list.should(
            "method-" + lower(method),
            "RFC 9110 §15.5.6",
            method + " is refused",
            with_call([method](StreamCall& call) { expect_refused(call.raw(method, {}, "")); })
        );
    }
    list.must(
        "form-damaged",
        "url.spec.whatwg.org/#urlencoded-parsing",
        "a damaged form is refused, without a server failure",
        with_call([](StreamCall& call) {
            for (const std::string_view body :
                 {"%", "%zz=%1", "&&&===", "CallSid", "\xFF\xFE=\x01"}) {
                expect_refused(call.raw_form(body));
            }
            expect_whole(call.target());
        })
    );
    list.must(
        "body-huge",
        "RFC 9110 §15.5.14",
        "a body of 4 MiB is refused",
        with_call([](StreamCall& call) {
            const auto reply = call.raw_form("CallSid=" + std::string(4 * 1'024 * 1'024, 'A'));
            // Some close before they have read all of it.
            if (reply.status != 0) expect_refused(reply);
            expect_whole(call.target());
        })
    );
    list.must(
        "parameters-many",
        security_page,
        "ten thousand parameters do no harm",
        with_call([](StreamCall& call) {
            std::string body;
            for (int i = 0; i < 10'000; ++i)
                body += fmt::format("p{}=1&", i);
            const auto reply = call.raw_form(body);
            expect(reply.status < 500, fmt::format("answered {}", reply.status));
            expect_whole(call.target());
        })
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

}  // namespace oavc::caller::conformance
