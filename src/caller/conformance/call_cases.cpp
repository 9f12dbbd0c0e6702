#include "base/random.hpp"
#include "caller/conformance/case_list.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <set>

// What RFC 3261 says of requests, responses, transactions and dialogs.

namespace oavc::caller::conformance {

namespace {

void expect_status(const Heard& heard, int status) {
    expect(heard.status == status, fmt::format("{} instead of {}", heard.what(), status));
}

void expect_one_of(const Heard& heard, std::initializer_list<int> statuses) {
    const bool known = std::find(statuses.begin(), statuses.end(), heard.status) != statuses.end();
    expect(known, fmt::format("{} instead of {}", heard.what(), fmt::join(statuses, " or ")));
}

void expect_ok(const Heard& heard) {
    expect(
        heard.status >= 200 && heard.status < 300,
        fmt::format("{} to {} instead of 200", heard.what(), heard.method)
    );
}

std::string to_tag_of(const Heard& heard) { return parameter(heard.header("To"), "tag"); }

/// The final response to an INVITE that is expected to be refused.
Heard refused(Phone& phone, const Written& invite, std::initializer_list<int> statuses) {
    const auto heard = phone.ask(invite);
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
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            phone.hang_up();
        }
    );
    list.must(
            "trying",
            "RFC 3261 §17.2.1",
            "over UDP a provisional or final response comes before the INVITE must be repeated",
            [](const Target& target) {
                Phone phone{target, false};
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
            }
    ).alone = true;
    list.must(
        "to-tag",
        "RFC 3261 §8.2.6.2, §12.1.1",
        "every response above 100 has the same To tag",
        [](const Target& target) {
            Phone phone{target};
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
        }
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
        [](const Target& target) {
            Phone phone{target};
            const auto contacts = phone.call().all("Contact");
            expect(contacts.size() == 1, fmt::format("{} Contacts", contacts.size()));
            const auto uri = lower(uri_of(contacts.front()));
            expect(uri.starts_with("sip:") || uri.starts_with("sips:"), "not a SIP URI: " + uri);
        }
    );
    list.must(
        "copies",
        "RFC 3261 §8.2.6.2",
        "From, Call-ID and CSeq come back as they were",
        [](const Target& target) {
            Phone phone{target};
            auto options = phone.request("OPTIONS");
            options.set("From", "\"A. Caller\" <sip:a.caller@127.0.0.1;x=y>;tag=aBc-123");
            const auto heard = phone.ask(options);
            for (const std::string_view name : {"From", "Call-ID", "CSeq"}) {
                expect(
                    heard.header(name) == options.header(name),
                    fmt::format("{}: {}", name, heard.header(name))
                );
            }
        }
    );
    list.must(
        "via-copied",
        "RFC 3261 §8.2.6.2",
        "all Via values come back, in order",
        [](const Target& target) {
            Phone phone{target};
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
        }
    );
    list.must(
        "received",
        "RFC 3261 §18.2.1",
        "a sent-by that is not the source address gets received=",
        [](const Target& target) {
            Phone phone{target};
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
        }
    );
    list.must(
        "rport",
        "RFC 3581 §4",
        "rport is filled in, and the response comes to the source port",
        [](const Target& target) {
            Phone phone{target, false};
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
        }
    );
    list.must(
        "record-route",
        "RFC 3261 §12.1.1",
        "Record-Route comes back in the 200, in order",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite();
            const auto near = fmt::format("<sip:{};lr;x=1>", phone.local());
            const auto far = fmt::format("<sip:{};lr;x=2>", phone.local());
            invite.add("Record-Route", near);
            invite.add("Record-Route", far);
            const auto ok = phone.call(invite);
            const auto routes = ok.all("Record-Route");
            expect(routes == std::vector{near, far}, fmt::format("[{}]", fmt::join(routes, ", ")));
        }
    );
    list.must(
        "max-forwards-zero",
        "RFC 3261 §8.2, §11.2",
        "Max-Forwards: 0 stops proxies, not the called",
        [](const Target& target) {
            Phone phone{target};
            auto options = phone.request("OPTIONS");
            options.set("Max-Forwards", "0");
            expect_one_of(phone.ask(options), {200, 483});
        }
    );
    list.must(
        "content",
        "RFC 3261 §7.4, §20.14",
        "the 200 has Content-Type application/sdp and the right Content-Length",
        [](const Target& target) {
            Phone phone{target};
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
        }
    );
    list.should(
        "allow-in-200",
        "RFC 3261 §13.3.1.4",
        "the 200 to INVITE says what is allowed",
        [](const Target& target) {
            Phone phone{target};
            expect(phone.call().has("Allow"), "no Allow");
        }
    );
    list.must(
        "unknown-header",
        "RFC 3261 §8.2.2",
        "headers that nobody knows are ignored",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite();
            invite.add("X-Unheard-Of", "1;2=\"3\", <4>");
            invite.add("P-Another", "");
            phone.call(invite);
        }
    );
    list.must(
        "supported",
        "RFC 3261 §8.2.4",
        "Supported with unknown extensions is no reason to refuse",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite();
            invite.add("Supported", "nobody-knows-this, nor-that");
            const auto ok = phone.call(invite);
            expect(
                ok.header("Require").find("nobody") == std::string::npos,
                "the 200 requires what it cannot know"
            );
        }
    );
    list.must(
        "require",
        "RFC 3261 §8.2.2.3",
        "an unknown extension in Require gets 420 that names it in Unsupported",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite();
            invite.add("Require", "nobody-knows-this");
            const auto heard = refused(phone, invite, {420});
            expect(
                heard.header("Unsupported").find("nobody-knows-this") != std::string::npos,
                "Unsupported does not name it"
            );
        }
    );
    list.must(
        "scheme",
        "RFC 3261 §8.2.2.1",
        "a Request-URI of an unknown scheme gets 416",
        [](const Target& target) {
            Phone phone{target};
            auto options = phone.request("OPTIONS");
            options.start_line = "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0";
            expect_one_of(phone.ask(options), {416, 400, 404});
        }
    );
    list.should(
        "merged",
        "RFC 3261 §8.2.2.2",
        "a copy of an INVITE that came another way gets 482",
        [](const Target& target) {
            Phone phone{target};
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            auto copy = invite;
            auto via = copy.header("Via");
            via.insert(via.find("z9hG4bK") + 7, "-copy");
            copy.set("Via", via);
            const auto heard = phone.ask(copy);
            phone.send(phone.ack());
            expect_status(heard, 482);
        }
    );
    list.should(
        "accept",
        "RFC 3261 §8.2.3, §21.4.7",
        "a caller who accepts no SDP is not answered with it (406)",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite();
            invite.add("Accept", "text/plain");
            refused(phone, invite, {406, 415, 488});
        }
    );
    list.must(
        "content-type",
        "RFC 3261 §8.2.3",
        "a body of an unknown type gets 415",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite("who reads this");
            invite.set("Content-Type", "application/unheard-of");
            const auto heard = refused(phone, invite, {415});
            expect(heard.has("Accept"), "the 415 does not say what is accepted");
        }
    );
    list.should(
        "content-encoding",
        "RFC 3261 §8.2.3",
        "a coded body gets 415",
        [](const Target& target) {
            Phone phone{target};
            auto invite = phone.invite();
            invite.add("Content-Encoding", "gzip");
            refused(phone, invite, {415});
        }
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
        [](const Target& target) {
            Phone phone{target};
            auto options = phone.request("OPTIONS");
            options.set("From", fmt::format("sip:old@{}", phone.local()));
            expect_one_of(phone.ask(options), {200, 400});
        }
    );
    return list.take();
}

std::vector<Case> retransmission_cases() {
    CaseList list{"retransmission"};
    list.must(
        "invite",
        "RFC 3261 §13.3.1.4, §17.2.1, RFC 6026 §7.1",
        "a repeated INVITE gets the same answer, not a second call",
        [](const Target& target) {
            Phone phone{target, false};
            const auto invite = phone.invite();
            const auto first = phone.call_without_ack(invite);
            phone.send(invite);
            phone.send(invite);
            std::set<std::string> tags{to_tag_of(first)};
            const TimePoint until = Clock::now() + 1'200ms;
            while (const auto more = phone.response(invite, until)) {
                expect(more->status < 300, "the copy was answered " + more->what());
                if (more->status >= 200) tags.insert(to_tag_of(*more));
            }
            phone.send(phone.ack());
            expect(tags.size() == 1, fmt::format("{} calls came of it", tags.size()));
        }
    );
    list.must(
        "invite-early",
        "RFC 3261 §17.2.1",
        "INVITEs repeated before any response make one call",
        [](const Target& target) {
            Phone phone{target, false};
            const auto invite = phone.invite();
            for (int i = 0; i < 3; ++i)
                phone.send(invite);
            const auto ok = phone.ask(invite);
            expect_ok(ok);
            phone.send(phone.ack());
            const TimePoint until = Clock::now() + 300ms;
            while (const auto more = phone.response(invite, until)) {
                expect(
                    more->status < 200 || to_tag_of(*more) == to_tag_of(ok),
                    "a second To tag: a second call"
                );
            }
        }
    );
    auto& timing = list.must(
        "200-until-ack",
        "RFC 3261 §13.3.1.4",
        "without ACK the 200 is repeated after T1, then after twice as long",
        [](const Target& target) {
            Phone phone{target, false};
            const auto invite = phone.invite();
            auto last = phone.call_without_ack(invite).at;
            double expected = 500;
            for (int i = 0; i < 3; ++i) {
                const auto next = phone.response(invite, last + 3s);
                expect(next.has_value(), fmt::format("repeated {} times, then no more", i));
                const double gap = to_ms(next->at - last);
                expect(
                    std::abs(gap - expected) < expected * 0.4 + 60,
                    fmt::format("repetition {} after {:.0f} ms, not {:.0f}", i + 1, gap, expected)
                );
                last = next->at;
                expected *= 2;
            }
            phone.send(phone.ack());
        }
    );
    timing.alone = true;
    timing.seconds = 5;
    list.must(
            "200-stops",
            "RFC 3261 §13.3.1.4",
            "after ACK the 200 is not repeated any more",
            [](const Target& target) {
                Phone phone{target, false};
                const auto invite = phone.invite();
                phone.call(invite);
                static_cast<void>(phone.response(invite, Clock::now() + 100ms));
                const auto more = phone.response(invite, Clock::now() + 1'800ms);
                expect(!more, "another 200 came after the ACK");
            }
    ).seconds = 3;
    list.must(
        "ack-repeated",
        "RFC 3261 §13.2.2.4",
        "ACKs that come twice or thrice do no harm",
        [](const Target& target) {
            Phone phone{target, false};
            phone.call();
            for (int i = 0; i < 3; ++i)
                phone.send(phone.ack());
            phone.hang_up();
        }
    );
    list.must(
        "bye",
        "RFC 3261 §17.2.2",
        "a repeated BYE gets the same 200",
        [](const Target& target) {
            Phone phone{target, false};
            phone.call();
            const auto bye = phone.request("BYE");
            expect_ok(phone.ask(bye));
            phone.confirmed = false;
            phone.send(bye);
            const auto again = phone.response(bye);
            expect(again.has_value(), "no response to the copy");
            expect_ok(*again);
        }
    );
    list.must(
        "options",
        "RFC 3261 §17.2.2",
        "a repeated request is answered from the transaction: the same To tag",
        [](const Target& target) {
            Phone phone{target, false};
            const auto options = phone.request("OPTIONS");
            const auto first = phone.ask(options);
            phone.send(options);
            const auto again = phone.response(options);
            expect(again.has_value(), "no response to the copy");
            expect(to_tag_of(*again) == to_tag_of(first), "another To tag");
        }
    );
    auto& refusal = list.must(
        "refusal-until-ack",
        "RFC 3261 §17.2.1, timer G",
        "over UDP a refusal of INVITE is repeated until its ACK",
        [](const Target& target) {
            Phone phone{target, false};
            const auto invite = phone.invite(phone.sdp("77", "a=rtpmap:77 NOBODY/8000\r\n"));
            phone.send(invite);
            auto heard = phone.response(invite);
            while (heard && heard->status < 200)
                heard = phone.response(invite);
            expect(heard && heard->status >= 300, "an impossible offer was not refused");
            const auto again = phone.response(invite, Clock::now() + 1'500ms);
            expect(again && again->status == heard->status, "it was not repeated");
            auto ack = phone.cancel(invite);
            ack.start_line.replace(0, 6, "ACK");
            ack.set("To", heard->header("To"));
            auto number = ack.header("CSeq");
            ack.set("CSeq", number.substr(0, number.find(' ')) + " ACK");
            phone.send(ack);
            static_cast<void>(phone.response(invite, Clock::now() + 100ms));
            expect(
                !phone.response(invite, Clock::now() + 2'500ms), "it was repeated after the ACK"
            );
        }
    );
    refusal.seconds = 5;
    list.must(
            "no-ack",
            "RFC 3261 §13.3.1.4",
            "when no ACK ever comes, the call is ended with BYE after 32 s",
            [](const Target& target) {
                Phone phone{target, false};
                phone.call_without_ack(phone.invite());
                const auto bye = phone.requested("BYE", Clock::now() + 40s);
                expect(bye.has_value(), "no BYE within 40 s");
            }
    ).seconds = 33;
    list.must(
        "stray-ack",
        "RFC 3261 §17.2.1",
        "an ACK that belongs to nothing gets no response",
        [](const Target& target) {
            Phone phone{target, false};
            phone.cseq = 1;
            const auto ack = phone.ack();
            phone.send(ack);
            expect(!phone.response(ack, Clock::now() + 500ms), "it was answered");
            phone.expect_alive();
        }
    );
    list.must(
        "stray-response",
        "RFC 3261 §17.1.1.2, §18.1.2",
        "responses to nothing are discarded",
        [](const Target& target) {
            Phone phone{target, false};
            const auto options = phone.request("OPTIONS");
            for (const std::string_view line : {"SIP/2.0 200 OK", "SIP/2.0 401 Unauthorized"}) {
                auto response = options;
                response.start_line = line;
                phone.send(response);
            }
            expect(!phone.response(options, Clock::now() + 300ms), "a response to a response came");
            phone.expect_alive();
        }
    );
    return list.take();
}

std::vector<Case> cancel_cases() {
    CaseList list{"cancel"};
    list.must(
        "nothing",
        "RFC 3261 §9.2",
        "CANCEL of no transaction gets 481",
        [](const Target& target) {
            Phone phone{target};
            expect_status(phone.ask(phone.request("CANCEL")), 481);
        }
    );
    list.must(
        "crossing",
        "RFC 3261 §9.2",
        "INVITE with CANCEL close behind: both get final responses, 487 or a call to hang up",
        [](const Target& target) {
            Phone phone{target};
            const auto invite = phone.invite();
            const auto cancel = phone.cancel(invite);
            phone.send(invite);
            phone.send(cancel);
            const auto cancelled = phone.response(cancel);
            expect(cancelled.has_value(), "no response to CANCEL");
            expect_one_of(*cancelled, {200, 481});
            const auto heard = phone.ask(invite);
            expect_one_of(heard, {200, 487});
        }
    );
    list.must(
        "after-provisional",
        "RFC 3261 §9.1, §9.2",
        "CANCEL after the first provisional response gets 200, the INVITE 487 unless it was "
        "answered",
        [](const Target& target) {
            Phone phone{target};
            const auto invite = phone.invite();
            phone.send(invite);
            const auto first = phone.response(invite);
            expect(first.has_value(), "no response");
            const auto cancel = phone.cancel(invite);
            expect_status(phone.ask(cancel), 200);
            const auto last = first->status >= 200 ? *first : phone.ask(invite);
            expect_one_of(last, {200, 487});
        }
    );
    list.must(
        "after-200",
        "RFC 3261 §9.2",
        "CANCEL after the 200 is answered 200 and changes nothing",
        [](const Target& target) {
            Phone phone{target};
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            expect_status(phone.ask(phone.cancel(invite)), 200);
            phone.send(phone.ack());
            expect_ok(phone.ask(phone.request("OPTIONS")));
            phone.hang_up();
        }
    );
    list.should(
        "to-tag",
        "RFC 3261 §9.2",
        "the response to CANCEL has the To tag of the INVITE's responses",
        [](const Target& target) {
            Phone phone{target};
            const auto invite = phone.invite();
            const auto ok = phone.call_without_ack(invite);
            const auto cancelled = phone.ask(phone.cancel(invite));
            phone.send(phone.ack());
            expect(to_tag_of(cancelled) == to_tag_of(ok), "another To tag");
        }
    );
    list.must(
        "repeated",
        "RFC 3261 §9.2, §17.2.2",
        "a repeated CANCEL gets the same response",
        [](const Target& target) {
            Phone phone{target, false};
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            const auto cancel = phone.cancel(invite);
            const auto first = phone.ask(cancel);
            phone.send(cancel);
            const auto again = phone.response(cancel);
            phone.send(phone.ack());
            expect(again && again->status == first.status, "the copy got something else");
        }
    );
    list.must(
        "then-call",
        "RFC 3261 §9",
        "after a cancelled call the next one is taken",
        [](const Target& target) {
            {
                Phone phone{target};
                phone.send(phone.invite());
                // Its destructor cancels.
            }
            Phone next{target};
            next.call();
            next.hang_up();
        }
    );
    list.must(
        "options",
        "RFC 3261 §9.1",
        "CANCEL of a finished OPTIONS does no harm",
        [](const Target& target) {
            Phone phone{target};
            const auto options = phone.request("OPTIONS");
            phone.ask(options);
            expect_one_of(phone.ask(phone.cancel(options)), {200, 481});
            phone.expect_alive();
        }
    );
    return list.take();
}

std::vector<Case> dialog_cases() {
    CaseList list{"dialog"};
    for (const std::string method : {"BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"}) {
        list.must(
            "unknown-" + lower(method),
            "RFC 3261 §12.2.2",
            method + " of a dialog that does not exist gets 481",
            [method](const Target& target) {
                Phone phone{target};
                phone.to_tag = "nobody-" + random_hex(4);
                const auto heard =
                    phone.ask(method == "INVITE" ? phone.invite() : phone.request(method));
                if (method == "UPDATE" || method == "INFO") {
                    expect_one_of(heard, {481, 405, 501});
                } else {
                    expect_status(heard, 481);
                }
            }
        );
    }
    list.must(
        "ended",
        "RFC 3261 §15.1.2",
        "after BYE the dialog is gone: 481",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            phone.hang_up();
            expect_status(phone.ask(phone.request("BYE")), 481);
            expect_status(phone.ask(phone.invite()), 481);
        }
    );
    list.must(
        "other-to-tag",
        "RFC 3261 §12.2.2",
        "a BYE with another To tag does not end the call",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto tag = phone.to_tag;
            phone.to_tag = tag + "x";
            expect_status(phone.ask(phone.request("BYE")), 481);
            phone.to_tag = tag;
            phone.hang_up();
        }
    );
    list.must(
        "other-from-tag",
        "RFC 3261 §12.2.2",
        "a BYE with another From tag does not end the call",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto tag = phone.from_tag;
            phone.from_tag = tag + "x";
            expect_status(phone.ask(phone.request("BYE")), 481);
            phone.from_tag = tag;
            phone.hang_up();
        }
    );
    list.must(
        "cseq-lower",
        "RFC 3261 §12.2.2",
        "a request with a lower CSeq gets 500 and changes nothing",
        [](const Target& target) {
            Phone phone{target};
            phone.cseq = 100;
            phone.call();
            phone.cseq = 50;
            expect_status(phone.ask(phone.request("BYE")), 500);
            phone.cseq = 200;
            phone.hang_up();
        }
    );
    list.must("cseq-gap", "RFC 3261 §12.2.2", "a CSeq may skip numbers", [](const Target& target) {
        Phone phone{target};
        phone.call();
        phone.cseq += 5'000;
        expect_ok(phone.ask(phone.request("OPTIONS")));
        phone.hang_up();
    });
    list.must(
        "cseq-great",
        "RFC 3261 §8.1.1.5",
        "a CSeq just below 2^31 is in order",
        [](const Target& target) {
            Phone phone{target};
            phone.cseq = 2'147'483'600U;
            phone.call();
            phone.hang_up();
        }
    );
    list.must(
        "options",
        "RFC 3261 §11.2",
        "OPTIONS within the call gets 200",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            expect_status(phone.ask(phone.request("OPTIONS")), 200);
            phone.hang_up();
        }
    );
    list.must(
        "bye-before-ack",
        "RFC 3261 §15",
        "BYE in place of the ACK ends the call and the repetition of the 200",
        [](const Target& target) {
            Phone phone{target, false};
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            phone.hang_up();
            static_cast<void>(phone.response(invite, Clock::now() + 50ms));
            expect(!phone.response(invite, Clock::now() + 1'200ms), "the 200 is still repeated");
        }
    );
    list.must(
        "reinvite",
        "RFC 3261 §14.2",
        "a re-INVITE with the same offer gets 200 with an answer and the dialog's To tag",
        [](const Target& target) {
            Phone phone{target};
            const auto ok = phone.call();
            const auto again = phone.reinvite(phone.sdp());
            expect_status(again, 200);
            expect(to_tag_of(again) == to_tag_of(ok), "another To tag");
            expect(again.has("Contact"), "no Contact");
            expect(phone.answer().audio() != nullptr, "no audio in the answer");
            phone.hang_up();
        }
    );
    list.must(
        "reinvite-repeated",
        "RFC 3261 §17.2.1",
        "a repeated re-INVITE gets the same 200",
        [](const Target& target) {
            Phone phone{target, false};
            phone.call();
            const auto invite = phone.invite();
            const auto ok = phone.call_without_ack(invite);
            phone.send(invite);
            const auto again = phone.response(invite);
            phone.send(phone.ack());
            expect(again && again->status == 200, "no 200 to the copy");
            expect(again->body == ok.body, "another answer to the copy");
            phone.hang_up();
        }
    );
    list.must(
        "origin",
        "RFC 3264 §8",
        "the o= line of a later answer has the same session; its version grows by at most 1",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto fields = [](const std::string& origin) {
                std::vector<std::string> out;
                std::string_view rest = origin;
                while (!rest.empty()) {
                    const auto end = std::min(rest.find(' '), rest.size());
                    out.emplace_back(rest.substr(0, end));
                    rest.remove_prefix(std::min(end + 1, rest.size()));
                }
                out.resize(6);
                return out;
            };
            const auto first = phone.answer();
            expect_status(phone.reinvite(phone.sdp("0 8 101", "a=sendonly\r\n")), 200);
            const auto before = fields(first.origin);
            const auto after = fields(phone.answer().origin);
            expect(before[1] == after[1], "another session id: " + phone.answer().origin);
            const auto old_version = std::strtoull(before[2].c_str(), nullptr, 10);
            const auto new_version = std::strtoull(after[2].c_str(), nullptr, 10);
            const bool changed = first.text != phone.answer().text;
            expect(
                new_version == old_version + (changed ? 1U : 0U),
                fmt::format("version {} after {}", new_version, old_version)
            );
        }
    );
    list.must(
        "target-refresh",
        "RFC 3261 §12.2.2",
        "a re-INVITE with another Contact is taken",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            auto invite = phone.invite();
            invite.set("Contact", fmt::format("<sip:moved@{}>", phone.local()));
            expect_status(phone.ask(invite), 200);
            phone.send(phone.ack());
            phone.hang_up();
        }
    );
    struct Hold {
        std::string name;
        std::string source;
        std::string direction;
        std::vector<std::string> answers;
    };
    const std::vector<Hold> holds{
        {"hold-sendonly", "RFC 3264 §8.4", "sendonly", {"recvonly", "inactive"}},
        {"hold-inactive", "RFC 3264 §8.4", "inactive", {"inactive"}},
        {"hold-recvonly", "RFC 3264 §6.1", "recvonly", {"sendonly", "inactive"}},
    };
    for (const auto& hold : holds) {
        list.must(
            hold.name,
            hold.source,
            fmt::format(
                "a re-INVITE with a={} is answered {}",
                hold.direction,
                fmt::join(hold.answers, " or ")
            ),
            [hold](const Target& target) {
                Phone phone{target};
                phone.call();
                expect_status(
                    phone.reinvite(phone.sdp("0 8 101", "a=" + hold.direction + "\r\n")), 200
                );
                const auto* audio = phone.answer().audio();
                expect(audio != nullptr, "no audio in the answer");
                const auto direction = audio->direction();
                expect(
                    std::find(hold.answers.begin(), hold.answers.end(), direction) !=
                        hold.answers.end(),
                    "answered a=" + direction
                );
                phone.hang_up();
            }
        );
    }
    list.must(
        "hold-old",
        "RFC 3264 §8.4",
        "hold in the old manner, c=0.0.0.0, is taken",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            auto body = phone.sdp();
            const auto line = body.find("c=IN IP");
            if (body.compare(line, 8, "c=IN IP4") != 0) throw NotOffered{"the target is on IPv6"};
            body.replace(line, body.find("\r\n", line) - line, "c=IN IP4 0.0.0.0");
            expect_status(phone.reinvite(body), 200);
            expect(phone.answer().audio() != nullptr, "no audio in the answer");
            phone.hang_up();
        }
    );
    list.must(
        "resume",
        "RFC 3264 §8.4",
        "hold and back: the last answer is sendrecv",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            expect_status(phone.reinvite(phone.sdp("0 8 101", "a=sendonly\r\n")), 200);
            expect_status(phone.reinvite(phone.sdp()), 200);
            const auto* audio = phone.answer().audio();
            expect(audio != nullptr && audio->direction() == "sendrecv", "not sendrecv");
            phone.hang_up();
        }
    );
    list.must(
        "codec-change",
        "RFC 3264 §8.3.2",
        "a re-INVITE may change the codec",
        [](const Target& target) {
            Phone phone{target};
            phone.call(phone.invite(phone.sdp("0 101")));
            const auto heard = phone.reinvite(phone.sdp("8 101"));
            if (heard.status == 488) throw NotOffered{"the target has no PCMA (488)"};
            expect_status(heard, 200);
            const auto* audio = phone.answer().audio();
            expect(
                audio != nullptr && !audio->formats.empty() && audio->formats.front() == "8",
                "the answer is not PCMA"
            );
            phone.hang_up();
        }
    );
    list.must(
        "late-offer",
        "RFC 3261 §14.1, §13.2.1",
        "a re-INVITE without SDP gets an offer; the ACK brings the answer",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            expect_status(phone.reinvite({}), 200);
            expect(phone.answer().audio() != nullptr, "no offer in the 200");
            phone.hang_up();
        }
    );
    list.must(
        "reinvite-refused",
        "RFC 3261 §14.2",
        "an impossible re-INVITE is refused, and the call goes on as it was",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto heard =
                phone.ask(phone.invite(phone.sdp("77", "a=rtpmap:77 NOBODY/8000\r\n")));
            expect_one_of(heard, {488, 606, 415});
            expect_status(phone.reinvite(phone.sdp()), 200);
            phone.hang_up();
        }
    );
    list.must(
        "reinvite-damaged",
        "RFC 3261 §21.4.1, §21.4.26",
        "a re-INVITE with damaged SDP is refused, and the call goes on",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto heard = phone.ask(phone.invite("this is no session description"));
            expect_one_of(heard, {400, 415, 488, 606});
            expect_ok(phone.ask(phone.request("OPTIONS")));
            phone.hang_up();
        }
    );
    list.must(
        "reinvites-overlap",
        "RFC 3261 §14.2",
        "of two re-INVITEs at once both get a final response, and the call goes on",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto first = phone.invite();
            const auto first_ack = phone.ack();
            const auto second = phone.invite();
            phone.send(first);
            phone.send(second);
            const auto one = phone.ask(first);
            expect_one_of(one, {200, 491, 500});
            if (one.status == 200) phone.send(first_ack);
            const auto other = phone.ask(second);
            expect_one_of(other, {200, 491, 500});
            if (other.status == 200) phone.send(phone.ack());
            if (other.status == 500) expect(other.has("Retry-After"), "500 without Retry-After");
            expect_ok(phone.ask(phone.request("OPTIONS")));
            phone.hang_up();
        }
    );
    return list.take();
}

std::vector<Case> method_cases() {
    CaseList list{"methods"};
    list.must(
        "options",
        "RFC 3261 §11.2",
        "OPTIONS gets 200 (or what an INVITE would get now: 486, 503)",
        [](const Target& target) {
            Phone phone{target};
            expect_one_of(phone.ask(phone.request("OPTIONS")), {200, 486, 503});
        }
    );
    for (const std::string name : {"Allow", "Accept", "Supported"}) {
        list.should(
            "options-" + lower(name),
            "RFC 3261 §11.2",
            "the response to OPTIONS has " + name,
            [name](const Target& target) {
                Phone phone{target};
                expect(phone.ask(phone.request("OPTIONS")).has(name), "no " + name);
            }
        );
    }
    list.should(
        "allow-invite",
        "RFC 3261 §20.5",
        "Allow names INVITE, ACK, BYE and CANCEL",
        [](const Target& target) {
            Phone phone{target};
            const auto allowed = phone.ask(phone.request("OPTIONS")).all("Allow");
            for (const std::string_view method : {"INVITE", "ACK", "BYE", "CANCEL"}) {
                expect(
                    std::find(allowed.begin(), allowed.end(), method) != allowed.end(),
                    fmt::format("{} is missing: {}", method, fmt::join(allowed, ", "))
                );
            }
        }
    );
    struct Info {
        std::string name;
        std::string type;
        std::string body;
    };
    const std::vector<Info> infos{
        {"info-dtmf-relay", "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"},
        {"info-dtmf-relay-blanks", "application/dtmf-relay", "Signal= #\r\nDuration= 250\r\n"},
        {"info-dtmf", "application/dtmf", "7"},
    };
    for (const auto& info : infos) {
        list.should(
            info.name,
            "RFC 6086, " + info.type,
            "a key by INFO is taken (200)",
            [info](const Target& target) {
                Phone phone{target};
                phone.call();
                auto request = phone.request("INFO");
                request.add("Content-Type", info.type);
                request.body = info.body;
                const auto heard = phone.ask(request);
                if (heard.status == 405 || heard.status == 501) throw NotOffered{"no INFO"};
                expect_status(heard, 200);
                phone.hang_up();
            }
        );
    }
    list.should(
        "info-empty",
        "RFC 2976 §2.2",
        "INFO without a body gets 200",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            const auto heard = phone.ask(phone.request("INFO"));
            if (heard.status == 405 || heard.status == 501) throw NotOffered{"no INFO"};
            expect_status(heard, 200);
            phone.hang_up();
        }
    );
    list.must(
        "info-unknown",
        "RFC 6086 §4.2.2",
        "INFO with an unknown body is refused without a server failure, and the call goes on",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            auto request = phone.request("INFO");
            request.add("Content-Type", "application/unheard-of");
            request.body = "?";
            const auto heard = phone.ask(request);
            expect(heard.status < 500 || heard.status == 501, heard.what());
            phone.hang_up();
        }
    );
    list.should("update", "RFC 3311 §5.2", "UPDATE without SDP gets 200", [](const Target& target) {
        Phone phone{target};
        phone.call();
        const auto heard = phone.ask(phone.request("UPDATE"));
        if (heard.status == 405 || heard.status == 501) throw NotOffered{"no UPDATE"};
        expect_status(heard, 200);
        phone.hang_up();
    });
    list.should(
        "update-hold",
        "RFC 3311 §5.2",
        "UPDATE with an offer gets 200 with the answer",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            auto update = phone.request("UPDATE");
            update.add("Content-Type", "application/sdp");
            update.body = phone.sdp("0 8 101", "a=sendonly\r\n");
            const auto heard = phone.ask(update);
            if (heard.status == 405 || heard.status == 501) throw NotOffered{"no UPDATE"};
            expect_status(heard, 200);
            const auto answer = read_description(heard.body);
            expect(answer.audio() != nullptr, "no answer in the 200");
            expect(answer.audio()->direction() != "sendrecv", "the hold was not understood");
            phone.hang_up();
        }
    );
    list.must(
        "unknown",
        "RFC 3261 §8.2.1",
        "an unknown method gets 405 with Allow, or 501",
        [](const Target& target) {
            Phone phone{target};
            const auto heard = phone.ask(phone.request("NOBODYKNOWS"));
            expect_one_of(heard, {405, 501});
            expect(heard.status == 501 || heard.has("Allow"), "405 without Allow");
        }
    );
    list.must(
        "unknown-in-dialog",
        "RFC 3261 §8.2.1",
        "an unknown method within the call gets 405 or 501, and the call goes on",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            expect_one_of(phone.ask(phone.request("NOBODYKNOWS")), {405, 501});
            phone.hang_up();
        }
    );
    list.must(
        "case-sensitive",
        "RFC 3261 §7.1",
        "methods are case-sensitive: \"options\" is not OPTIONS",
        [](const Target& target) {
            Phone phone{target};
            expect_one_of(phone.ask(phone.request("options")), {400, 405, 501});
        }
    );
    for (const std::string method :
         {"MESSAGE", "SUBSCRIBE", "REGISTER", "PUBLISH", "NOTIFY", "PRACK", "REFER"}) {
        list.must(
            lower(method),
            "RFC 3261 §8.2.1, §12.2.2",
            method + " outside of a call is answered by policy, not by a server failure",
            [method](const Target& target) {
                Phone phone{target};
                auto request = phone.request(method);
                if (method == "REFER") request.add("Refer-To", "<sip:somebody@127.0.0.1>");
                if (method == "NOTIFY" || method == "SUBSCRIBE") request.add("Event", "presence");
                if (method == "PRACK") request.add("RAck", "1 1 INVITE");
                const auto heard = phone.ask(request);
                expect(heard.status < 500 || heard.status == 501, heard.what());
                if (method == "PRACK" || method == "NOTIFY") {
                    expect(heard.status >= 400, "taken though there is nothing it belongs to");
                }
            }
        );
    }
    list.must(
        "refer-in-dialog",
        "RFC 3515 §2.4.2",
        "REFER within the call is refused by policy, or taken and reported by NOTIFY",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            auto refer = phone.request("REFER");
            refer.add("Refer-To", fmt::format("<sip:nobody@{}>", phone.local()));
            const auto heard = phone.ask(refer);
            expect(heard.status < 500 || heard.status >= 600 || heard.status == 501, heard.what());
            if (heard.status < 300) {
                const auto told = phone.requested("NOTIFY", Clock::now() + target.timeout);
                expect(told.has_value(), "taken, but no NOTIFY came");
            } else {
                phone.hang_up();
            }
        }
    );
    list.must(
        "prack-in-dialog",
        "RFC 3262 §3",
        "PRACK that matches no reliable response gets 481 (405 or 501 without 100rel)",
        [](const Target& target) {
            Phone phone{target};
            phone.call();
            auto prack = phone.request("PRACK");
            prack.add("RAck", "4711 1 INVITE");
            expect_one_of(phone.ask(prack), {481, 405, 501});
            phone.hang_up();
        }
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
