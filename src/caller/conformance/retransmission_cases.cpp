#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <cmath>
#include <set>

// RFC 3261 §17, §9: what is repeated, and what is taken back.

namespace oavc::caller::conformance {

std::vector<Case> retransmission_cases() {
    CaseList list{"retransmission"};
    list.must(
        "invite",
        "RFC 3261 §13.3.1.4, §17.2.1, RFC 6026 §7.1",
        "a repeated INVITE gets the same answer, not a second call",
        with_udp_phone([](Phone& phone) {
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
        })
    );
    list.must(
        "invite-early",
        "RFC 3261 §17.2.1",
        "INVITEs repeated before any response make one call",
        with_udp_phone([](Phone& phone) {
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
        })
    );
    auto& timing = list.must(
        "200-until-ack",
        "RFC 3261 §13.3.1.4",
        "without ACK the 200 is repeated after T1, then after twice as long",
        with_udp_phone([](Phone& phone) {
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
        })
    );
    timing.alone = true;
    timing.seconds = 5;
    list.must(
            "200-stops",
            "RFC 3261 §13.3.1.4",
            "after ACK the 200 is not repeated any more",
            with_udp_phone([](Phone& phone) {
                const auto invite = phone.invite();
                phone.call(invite);
                static_cast<void>(phone.response(invite, Clock::now() + 100ms));
                const auto more = phone.response(invite, Clock::now() + 1'800ms);
                expect(!more, "another 200 came after the ACK");
            })
    ).seconds = 3;
    list.must(
        "ack-repeated",
        "RFC 3261 §13.2.2.4",
        "ACKs that come twice or thrice do no harm",
        in_udp_call([](Phone& phone) {
            for (int i = 0; i < 3; ++i)
                phone.send(phone.ack());
        })
    );
    list.must(
        "bye",
        "RFC 3261 §17.2.2",
        "a repeated BYE gets the same 200",
        with_udp_phone([](Phone& phone) {
            phone.call();
            const auto bye = phone.request("BYE");
            expect_ok(phone.ask(bye));
            phone.confirmed = false;
            phone.send(bye);
            const auto again = phone.response(bye);
            expect(again.has_value(), "no response to the copy");
            expect_ok(*again);
        })
    );
    list.must(
        "options",
        "RFC 3261 §17.2.2",
        "a repeated request is answered from the transaction: the same To tag",
        with_udp_phone([](Phone& phone) {
            const auto options = phone.request("OPTIONS");
            const auto first = phone.ask(options);
            phone.send(options);
            const auto again = phone.response(options);
            expect(again.has_value(), "no response to the copy");
            expect(to_tag_of(*again) == to_tag_of(first), "another To tag");
        })
    );
    auto& refusal = list.must(
        "refusal-until-ack",
        "RFC 3261 §17.2.1, timer G",
        "over UDP a refusal of INVITE is repeated until its ACK",
        with_udp_phone([](Phone& phone) {
            const auto invite = phone.invite(impossible_offer(phone));
            phone.send(invite);
            const auto heard = phone.final_response(invite);
            expect(heard && heard->status >= 300, "an impossible offer was not refused");
            const auto again = phone.response(invite, Clock::now() + 1'500ms);
            expect(again && again->status == heard->status, "it was not repeated");
            phone.send(phone.ack_of(invite, *heard));
            static_cast<void>(phone.response(invite, Clock::now() + 100ms));
            expect(
                !phone.response(invite, Clock::now() + 2'500ms), "it was repeated after the ACK"
            );
        })
    );
    refusal.seconds = 5;
    list.must(
            "no-ack",
            "RFC 3261 §13.3.1.4",
            "when no ACK ever comes, the call is ended with BYE after 32 s",
            with_udp_phone([](Phone& phone) {
                phone.call_without_ack(phone.invite());
                const auto bye = phone.requested("BYE", Clock::now() + 40s);
                expect(bye.has_value(), "no BYE within 40 s");
            })
    ).seconds = 33;
    list.must(
        "stray-ack",
        "RFC 3261 §17.2.1",
        "an ACK that belongs to nothing gets no response",
        with_udp_phone([](Phone& phone) {
            phone.cseq = 1;
            const auto ack = phone.ack();
            phone.send(ack);
            expect(!phone.response(ack, Clock::now() + 500ms), "it was answered");
            phone.expect_alive();
        })
    );
    list.must(
        "stray-response",
        "RFC 3261 §17.1.1.2, §18.1.2",
        "responses to nothing are discarded",
        with_udp_phone([](Phone& phone) {
            const auto options = phone.request("OPTIONS");
            for (const std::string_view line : {"SIP/2.0 200 OK", "SIP/2.0 401 Unauthorized"}) {
                auto response = options;
                response.start_line = line;
                phone.send(response);
            }
            expect(!phone.response(options, Clock::now() + 300ms), "a response to a response came");
            phone.expect_alive();
        })
    );
    return list.take();
}

std::vector<Case> cancel_cases() {
    CaseList list{"cancel"};
    list.must(
        "nothing",
        "RFC 3261 §9.2",
        "CANCEL of no transaction gets 481",
        with_phone([](Phone& phone) { expect_status(phone.ask(phone.request("CANCEL")), 481); })
    );
    list.must(
        "crossing",
        "RFC 3261 §9.2",
        "INVITE with CANCEL close behind: both get final responses, 487 or a call to hang up",
        with_phone([](Phone& phone) {
            const auto invite = phone.invite();
            const auto cancel = phone.cancel(invite);
            phone.send(invite);
            phone.send(cancel);
            const auto cancelled = phone.response(cancel);
            expect(cancelled.has_value(), "no response to CANCEL");
            expect_one_of(*cancelled, {200, 481});
            const auto heard = phone.ask(invite);
            expect_one_of(heard, {200, 487});
        })
    );
    list.must(
        "after-provisional",
        "RFC 3261 §9.1, §9.2",
        "CANCEL after the first provisional response gets 200, the INVITE 487 unless it was "
        "answered",
        with_phone([](Phone& phone) {
            const auto invite = phone.invite();
            phone.send(invite);
            const auto first = phone.response(invite);
            expect(first.has_value(), "no response");
            const auto cancel = phone.cancel(invite);
            expect_status(phone.ask(cancel), 200);
            const auto last = first->status >= 200 ? *first : phone.ask(invite);
            expect_one_of(last, {200, 487});
        })
    );
    list.must(
        "after-200",
        "RFC 3261 §9.2",
        "CANCEL after the 200 is answered 200 and changes nothing",
        with_phone([](Phone& phone) {
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            expect_status(phone.ask(phone.cancel(invite)), 200);
            phone.send(phone.ack());
            expect_ok(phone.ask(phone.request("OPTIONS")));
            phone.hang_up();
        })
    );
    list.should(
        "to-tag",
        "RFC 3261 §9.2",
        "the response to CANCEL has the To tag of the INVITE's responses",
        with_phone([](Phone& phone) {
            const auto invite = phone.invite();
            const auto ok = phone.call_without_ack(invite);
            const auto cancelled = phone.ask(phone.cancel(invite));
            phone.send(phone.ack());
            expect(to_tag_of(cancelled) == to_tag_of(ok), "another To tag");
        })
    );
    list.must(
        "repeated",
        "RFC 3261 §9.2, §17.2.2",
        "a repeated CANCEL gets the same response",
        with_udp_phone([](Phone& phone) {
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            const auto cancel = phone.cancel(invite);
            const auto first = phone.ask(cancel);
            phone.send(cancel);
            const auto again = phone.response(cancel);
            phone.send(phone.ack());
            expect(again && again->status == first.status, "the copy got something else");
        })
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
        with_phone([](Phone& phone) {
            const auto options = phone.request("OPTIONS");
            phone.ask(options);
            expect_one_of(phone.ask(phone.cancel(options)), {200, 481});
            phone.expect_alive();
        })
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
