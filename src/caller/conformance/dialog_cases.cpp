#include "base/random.hpp"
#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>

// RFC 3261 §12, §14: what belongs to a call, and how it changes.

namespace oavc::caller::conformance {

std::vector<Case> dialog_cases() {
    CaseList list{"dialog"};
    for (const std::string method : {"BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"}) {
        list.must(
            "unknown-" + lower(method),
            "RFC 3261 §12.2.2",
            method + " of a dialog that does not exist gets 481",
            with_phone([method](Phone& phone) {
                phone.to_tag = "nobody-" + random_hex(4);
                const auto heard =
                    phone.ask(method == "INVITE" ? phone.invite() : phone.request(method));
                if (method == "UPDATE" || method == "INFO") {
                    expect_one_of(heard, {481, 405, 501});
                } else {
                    expect_status(heard, 481);
                }
            })
        );
    }
    list.must(
        "ended",
        "RFC 3261 §15.1.2",
        "after BYE the dialog is gone: 481",
        with_phone([](Phone& phone) {
            phone.call();
            phone.hang_up();
            expect_status(phone.ask(phone.request("BYE")), 481);
            expect_status(phone.ask(phone.invite()), 481);
        })
    );
    list.must(
        "other-to-tag",
        "RFC 3261 §12.2.2",
        "a BYE with another To tag does not end the call",
        in_call([](Phone& phone) {
            const auto tag = phone.to_tag;
            phone.to_tag = tag + "x";
            expect_status(phone.ask(phone.request("BYE")), 481);
            phone.to_tag = tag;
        })
    );
    list.must(
        "other-from-tag",
        "RFC 3261 §12.2.2",
        "a BYE with another From tag does not end the call",
        in_call([](Phone& phone) {
            const auto tag = phone.from_tag;
            phone.from_tag = tag + "x";
            expect_status(phone.ask(phone.request("BYE")), 481);
            phone.from_tag = tag;
        })
    );
    list.must(
        "cseq-lower",
        "RFC 3261 §12.2.2",
        "a request with a lower CSeq gets 500 and changes nothing",
        with_phone([](Phone& phone) {
            phone.cseq = 100;
            phone.call();
            phone.cseq = 50;
            expect_status(phone.ask(phone.request("BYE")), 500);
            phone.cseq = 200;
            phone.hang_up();
        })
    );
    list.must("cseq-gap", "RFC 3261 §12.2.2", "a CSeq may skip numbers", in_call([](Phone& phone) {
                  phone.cseq += 5'000;
                  expect_ok(phone.ask(phone.request("OPTIONS")));
              }));
    list.must(
        "cseq-great",
        "RFC 3261 §8.1.1.5",
        "a CSeq just below 2^31 is in order",
        with_phone([](Phone& phone) {
            phone.cseq = 2'147'483'600U;
            phone.call();
            phone.hang_up();
        })
    );
    list.must(
        "options", "RFC 3261 §11.2", "OPTIONS within the call gets 200", in_call([](Phone& phone) {
            expect_status(phone.ask(phone.request("OPTIONS")), 200);
        })
    );
    list.must(
        "bye-before-ack",
        "RFC 3261 §15",
        "BYE in place of the ACK ends the call and the repetition of the 200",
        with_udp_phone([](Phone& phone) {
            const auto invite = phone.invite();
            phone.call_without_ack(invite);
            phone.hang_up();
            static_cast<void>(phone.response(invite, Clock::now() + 50ms));
            expect(!phone.response(invite, Clock::now() + 1'200ms), "the 200 is still repeated");
        })
    );
    list.must(
        "reinvite",
        "RFC 3261 §14.2",
        "a re-INVITE with the same offer gets 200 with an answer and the dialog's To tag",
        with_phone([](Phone& phone) {
            const auto ok = phone.call();
            const auto again = phone.reinvite(phone.sdp());
            expect_status(again, 200);
            expect(to_tag_of(again) == to_tag_of(ok), "another To tag");
            expect(again.has("Contact"), "no Contact");
            expect(phone.answer().audio() != nullptr, "no audio in the answer");
            phone.hang_up();
        })
    );
    list.must(
        "reinvite-repeated",
        "RFC 3261 §17.2.1",
        "a repeated re-INVITE gets the same 200",
        in_udp_call([](Phone& phone) {
            const auto invite = phone.invite();
            const auto ok = phone.call_without_ack(invite);
            phone.send(invite);
            const auto again = phone.response(invite);
            phone.send(phone.ack());
            expect(again && again->status == 200, "no 200 to the copy");
            expect(again->body == ok.body, "another answer to the copy");
        })
    );
    list.must(
        "origin",
        "RFC 3264 §8",
        "the o= line of a later answer has the same session; its version grows by at most 1",
        with_phone([](Phone& phone) {
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
        })
    );
    list.must(
        "target-refresh",
        "RFC 3261 §12.2.2",
        "a re-INVITE with another Contact is taken",
        in_call([](Phone& phone) {
            auto invite = phone.invite();
            invite.set("Contact", fmt::format("<sip:moved@{}>", phone.local()));
            expect_status(phone.ask(invite), 200);
            phone.send(phone.ack());
        })
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
            in_call([hold](Phone& phone) {
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
            })
        );
    }
    list.must(
        "hold-old",
        "RFC 3264 §8.4",
        "hold in the old manner, c=0.0.0.0, is taken",
        in_call([](Phone& phone) {
            auto body = phone.sdp();
            const auto line = body.find("c=IN IP");
            if (body.compare(line, 8, "c=IN IP4") != 0) throw NotOffered{"the target is on IPv6"};
            body.replace(line, body.find("\r\n", line) - line, "c=IN IP4 0.0.0.0");
            expect_status(phone.reinvite(body), 200);
            expect(phone.answer().audio() != nullptr, "no audio in the answer");
        })
    );
    list.must(
        "resume",
        "RFC 3264 §8.4",
        "hold and back: the last answer is sendrecv",
        in_call([](Phone& phone) {
            expect_status(phone.reinvite(phone.sdp("0 8 101", "a=sendonly\r\n")), 200);
            expect_status(phone.reinvite(phone.sdp()), 200);
            const auto* audio = phone.answer().audio();
            expect(audio != nullptr && audio->direction() == "sendrecv", "not sendrecv");
        })
    );
    list.must(
        "codec-change",
        "RFC 3264 §8.3.2",
        "a re-INVITE may change the codec",
        with_phone([](Phone& phone) {
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
        })
    );
    list.must(
        "late-offer",
        "RFC 3261 §14.1, §13.2.1",
        "a re-INVITE without SDP gets an offer; the ACK brings the answer",
        in_call([](Phone& phone) {
            expect_status(phone.reinvite({}), 200);
            expect(phone.answer().audio() != nullptr, "no offer in the 200");
        })
    );
    list.must(
        "reinvite-refused",
        "RFC 3261 §14.2",
        "an impossible re-INVITE is refused, and the call goes on as it was",
        in_call([](Phone& phone) {
            const auto heard = phone.ask(phone.invite(impossible_offer(phone)));
            expect_one_of(heard, {488, 606, 415});
            expect_status(phone.reinvite(phone.sdp()), 200);
        })
    );
    list.must(
        "reinvite-damaged",
        "RFC 3261 §21.4.1, §21.4.26",
        "a re-INVITE with damaged SDP is refused, and the call goes on",
        in_call([](Phone& phone) {
            const auto heard = phone.ask(phone.invite("this is no session description"));
            expect_one_of(heard, {400, 415, 488, 606});
            expect_ok(phone.ask(phone.request("OPTIONS")));
        })
    );
    list.must(
        "reinvites-overlap",
        "RFC 3261 §14.2",
        "of two re-INVITEs at once both get a final response, and the call goes on",
        in_call([](Phone& phone) {
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
        })
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
