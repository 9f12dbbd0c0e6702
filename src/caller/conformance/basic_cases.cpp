#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>

// RFC 3261: what any request and any response must look like.

namespace oavc::caller::conformance {

namespace {

/// The final response to an INVITE that is expected to be refused.
Heard refused(Phone& phone, const Written& invite, std::initializer_list<int> statuses) {
    auto heard = phone.ask(invite);
    expect_one_of(heard, statuses);
    return heard;
}

}  // namespace

std::vector<Case> basic_cases() {
    CaseList list{"basic"};
    list.must(
        "call",
        "RFC 3261 §13, §15",
        "INVITE is answered 200, and BYE ends the call",
        in_call([](Phone&) {})
    );
    list.must(
            "trying",
            "RFC 3261 §17.2.1",
            "over UDP a provisional or final response comes before the INVITE must be repeated",
            with_udp_phone([](Phone& phone) {
                const auto invite = phone.invite();
                const TimePoint sent = Clock::now();
                phone.send(invite);
                const auto first = phone.response(invite);
                expect(first.has_value(), "no response at all");
                // 200 ms by the letter; before 500 ms nothing is repeated on the wire.
                expect(
                    first->at - sent < 500ms,
                    fmt::format("the first response took {:.0f} ms", to_ms(first->at - sent))
                );
            })
    ).alone = true;
    list.must(
        "to-tag",
        "RFC 3261 §8.2.6.2, §12.1.1",
        "every response above 100 has the same To tag",
        with_phone([](Phone& phone) {
            const auto ok = phone.call();
            const auto tag = to_tag_of(ok);
            expect(!tag.empty(), "the 200 has no To tag");
            for (const auto& early : phone.provisional()) {
                if (early.status == 100) continue;
                expect(
                    to_tag_of(early) == tag,
                    fmt::format("{} has another To tag than the 200", early.what())
                );
            }
            const auto bye = phone.ask(phone.request("BYE"));
            phone.confirmed = false;
            expect(to_tag_of(bye) == tag, "the response to BYE has another To tag");
        })
    );
    list.must(
        "to-tags-differ",
        "RFC 3261 §19.3",
        "two calls get different To tags",
        [](const Target& target) {
            Phone one{target};
            Phone other{target};
            expect(to_tag_of(one.call()) != to_tag_of(other.call()), "both have the same tag");
        }
    );
    list.must(
        "contact",
        "RFC 3261 §12.1.1",
        "the 200 has one Contact with a SIP URI",
        with_phone([](Phone& phone) {
            const auto contacts = phone.call().all("Contact");
            expect(contacts.size() == 1, fmt::format("{} Contacts", contacts.size()));
            const auto uri = lower(uri_of(contacts.front()));
            expect(uri.starts_with("sip:") || uri.starts_with("sips:"), "not a SIP URI: " + uri);
        })
    );
    list.must(
        "copies",
        "RFC 3261 §8.2.6.2",
        "From, Call-ID and CSeq come back as they were",
        with_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            options.set("From", "\"A. Caller\" <sip:a.caller@127.0.0.1;x=y>;tag=aBc-123");
            const auto heard = phone.ask(options);
            for (const std::string_view name : {"From", "Call-ID", "CSeq"}) {
                expect(
                    heard.header(name) == options.header(name),
                    fmt::format("{}: {}", name, heard.header(name))
                );
            }
        })
    );
    list.must(
        "via-copied",
        "RFC 3261 §8.2.6.2",
        "all Via values come back, in order",
        with_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            options.add("Via", "SIP/2.0/UDP far.invalid:5066;branch=z9hG4bK-far-1");
            options.add("Via", "SIP/2.0/TCP farther.invalid;branch=z9hG4bK-far-2");
            const auto heard = phone.ask(options);
            const auto vias = heard.all("Via");
            expect(vias.size() == 3, fmt::format("{} Via values instead of 3", vias.size()));
            expect(
                parameter(vias[1], "branch") == "z9hG4bK-far-1" &&
                    parameter(vias[2], "branch") == "z9hG4bK-far-2",
                "the order of Via values changed"
            );
        })
    );
    list.must(
        "received",
        "RFC 3261 §18.2.1",
        "a sent-by that is not the source address gets received=",
        with_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            auto via = options.header("Via");
            via.replace(via.find(phone.local()), phone.local().size(), "client.invalid:5060");
            options.set("Via", via);
            const auto heard = phone.ask(options);
            const auto vias = heard.all("Via");
            expect(!vias.empty(), "no Via in the response");
            const auto received = parameter(vias.front(), "received");
            expect(
                received == phone.local_ip(),
                received.empty() ? "no received= in the Via" : "received=" + received
            );
        })
    );
    list.must(
        "rport",
        "RFC 3581 §4",
        "rport is filled in, and the response comes to the source port",
        with_udp_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            auto via = options.header("Via");
            const auto port = std::to_string(phone.socket()->address().port());
            via.replace(via.find(':' + port), port.size() + 1, ":9");
            options.set("Via", via);
            const auto heard = phone.ask(options);
            const auto vias = heard.all("Via");
            expect(
                !vias.empty() && parameter(vias.front(), "rport") == port, "rport is not filled"
            );
        })
    );
    list.must(
        "record-route",
        "RFC 3261 §12.1.1",
        "Record-Route comes back in the 200, in order",
        with_phone([](Phone& phone) {
            auto invite = phone.invite();
            const auto near = fmt::format("<sip:{};lr;x=1>", phone.local());
            const auto far = fmt::format("<sip:{};lr;x=2>", phone.local());
            invite.add("Record-Route", near);
            invite.add("Record-Route", far);
            const auto ok = phone.call(invite);
            const auto routes = ok.all("Record-Route");
            expect(routes == std::vector{near, far}, fmt::format("[{}]", fmt::join(routes, ", ")));
        })
    );
    list.must(
        "max-forwards-zero",
        "RFC 3261 §8.2, §11.2",
        "Max-Forwards: 0 stops proxies, not the called",
        with_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            options.set("Max-Forwards", "0");
            expect_one_of(phone.ask(options), {200, 483});
        })
    );
    list.must(
        "content",
        "RFC 3261 §7.4, §20.14",
        "the 200 has Content-Type application/sdp and the right Content-Length",
        with_phone([](Phone& phone) {
            const auto ok = phone.call();
            expect(
                lower(ok.header("Content-Type")).starts_with("application/sdp"),
                "Content-Type: " + ok.header("Content-Type")
            );
            const auto length = ok.header("Content-Length");
            expect(
                length == std::to_string(ok.body.size()),
                fmt::format("Content-Length: {}, but {} octets", length, ok.body.size())
            );
        })
    );
    list.should(
        "allow-in-200",
        "RFC 3261 §13.3.1.4",
        "the 200 to INVITE says what is allowed",
        with_phone([](Phone& phone) { expect(phone.call().has("Allow"), "no Allow"); })
    );
    list.must(
        "unknown-header",
        "RFC 3261 §8.2.2",
        "headers that nobody knows are ignored",
        with_phone([](Phone& phone) {
            auto invite = phone.invite();
            invite.add("X-Unheard-Of", "1;2=\"3\", <4>");
            invite.add("P-Another", "");
            phone.call(invite);
        })
    );
    list.must(
        "supported",
        "RFC 3261 §8.2.4",
        "Supported with unknown extensions is no reason to refuse",
        with_phone([](Phone& phone) {
            auto invite = phone.invite();
            invite.add("Supported", "nobody-knows-this, nor-that");
            const auto ok = phone.call(invite);
            expect(
                ok.header("Require").find("nobody") == std::string::npos,
                "the 200 requires what it cannot know"
            );
        })
    );
    list.must(
        "require",
        "RFC 3261 §8.2.2.3",
        "an unknown extension in Require gets 420 that names it in Unsupported",
        with_phone([](Phone& phone) {
            auto invite = phone.invite();
            invite.add("Require", "nobody-knows-this");
            const auto heard = refused(phone, invite, {420});
            expect(
                heard.header("Unsupported").find("nobody-knows-this") != std::string::npos,
                "Unsupported does not name it"
            );
        })
    );
    list.must(
        "scheme",
        "RFC 3261 §8.2.2.1",
        "a Request-URI of an unknown scheme gets 416",
        with_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            options.start_line = "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0";
            expect_one_of(phone.ask(options), {416, 400, 404});
        })
    );
    list.should(
        "merged",
        "RFC 3261 §8.2.2.2",
        "a copy of an INVITE that came another way gets 482",
        with_phone([](Phone& phone) {
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            auto copy = invite;
            auto via = copy.header("Via");
            via.insert(via.find("z9hG4bK") + 7, "-copy");
            copy.set("Via", via);
            const auto heard = phone.ask(copy);
            phone.send(phone.ack());
            expect_status(heard, 482);
        })
    );
    list.should(
        "accept",
        "RFC 3261 §8.2.3, §21.4.7",
        "a caller who accepts no SDP is not answered with it (406)",
        with_phone([](Phone& phone) {
            auto invite = phone.invite();
            invite.add("Accept", "text/plain");
            refused(phone, invite, {406, 415, 488});
        })
    );
    list.must(
        "content-type",
        "RFC 3261 §8.2.3",
        "a body of an unknown type gets 415",
        with_phone([](Phone& phone) {
            auto invite = phone.invite("who reads this");
            invite.set("Content-Type", "application/unheard-of");
            const auto heard = refused(phone, invite, {415});
            expect(heard.has("Accept"), "the 415 does not say what is accepted");
        })
    );
    list.should(
        "content-encoding",
        "RFC 3261 §8.2.3",
        "a coded body gets 415",
        with_phone([](Phone& phone) {
            auto invite = phone.invite();
            invite.add("Content-Encoding", "gzip");
            refused(phone, invite, {415});
        })
    );
    list.must(
        "two-calls",
        "RFC 3261 §12",
        "two calls at once are kept apart: their own tags, their own RTP ports",
        [](const Target& target) {
            Phone one{target};
            Phone other{target};
            one.call();
            other.call();
            expect(!(one.media_address() == other.media_address()), "both got the same RTP port");
            one.hang_up();
            expect_ok(other.ask(other.request("OPTIONS")));
            other.hang_up();
        }
    );
    list.must(
        "forked",
        "RFC 3261 §12",
        "two calls of one Call-ID but different From tags are kept apart",
        [](const Target& target) {
            Phone one{target};
            Phone other{target};
            other.call_id = one.call_id;
            one.call();
            other.call();
            one.hang_up();
            other.hang_up();
        }
    );
    list.must(
        "tag-from-garbage",
        "RFC 3261 §8.2.6.1",
        "a response goes out for a From without tag (RFC 2543)",
        with_phone([](Phone& phone) {
            auto options = phone.request("OPTIONS");
            options.set("From", fmt::format("sip:old@{}", phone.local()));
            expect_one_of(phone.ask(options), {200, 400});
        })
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
