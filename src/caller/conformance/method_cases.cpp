#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <algorithm>

// What each method is answered.

namespace oavc::caller::conformance {

std::vector<Case> method_cases() {
    CaseList list{"methods"};
    list.must(
        "options",
        "RFC 3261 §11.2",
        "OPTIONS gets 200 (or what an INVITE would get now: 486, 503)",
        with_phone([](Phone& phone) {
            expect_one_of(phone.ask(phone.request("OPTIONS")), {200, 486, 503});
        })
    );
    for (const std::string name : {"Allow", "Accept", "Supported"}) {
        list.should(
            "options-" + lower(name),
            "RFC 3261 §11.2",
            "the response to OPTIONS has " + name,
            with_phone([name](Phone& phone) {
                expect(phone.ask(phone.request("OPTIONS")).has(name), "no " + name);
            })
        );
    }
    list.should(
        "allow-invite",
        "RFC 3261 §20.5",
        "Allow names INVITE, ACK, BYE and CANCEL",
        with_phone([](Phone& phone) {
            const auto allowed = phone.ask(phone.request("OPTIONS")).all("Allow");
            for (const std::string_view method : {"INVITE", "ACK", "BYE", "CANCEL"}) {
                expect(
                    std::find(allowed.begin(), allowed.end(), method) != allowed.end(),
                    fmt::format("{} is missing: {}", method, fmt::join(allowed, ", "))
                );
            }
        })
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
            in_call([info](Phone& phone) {
                auto request = phone.request("INFO");
                request.add("Content-Type", info.type);
                request.body = info.body;
                const auto heard = phone.ask(request);
                skip_unless_offered(heard, "INFO");
                expect_status(heard, 200);
            })
        );
    }
    list.should(
        "info-empty", "RFC 2976 §2.2", "INFO without a body gets 200", in_call([](Phone& phone) {
            const auto heard = phone.ask(phone.request("INFO"));
            skip_unless_offered(heard, "INFO");
            expect_status(heard, 200);
        })
    );
    list.must(
        "info-unknown",
        "RFC 6086 §4.2.2",
        "INFO with an unknown body is refused without a server failure, and the call goes on",
        in_call([](Phone& phone) {
            auto request = phone.request("INFO");
            request.add("Content-Type", "application/unheard-of");
            request.body = "?";
            const auto heard = phone.ask(request);
            expect(heard.status < 500 || heard.status == 501, heard.what());
        })
    );
    list.should("update", "RFC 3311 §5.2", "UPDATE without SDP gets 200", in_call([](Phone& phone) {
                    const auto heard = phone.ask(phone.request("UPDATE"));
                    skip_unless_offered(heard, "UPDATE");
                    expect_status(heard, 200);
                }));
    list.should(
        "update-hold",
        "RFC 3311 §5.2",
        "UPDATE with an offer gets 200 with the answer",
        in_call([](Phone& phone) {
            auto update = phone.request("UPDATE");
            update.add("Content-Type", "application/sdp");
            update.body = phone.sdp("0 8 101", "a=sendonly\r\n");
            const auto heard = phone.ask(update);
            skip_unless_offered(heard, "UPDATE");
            expect_status(heard, 200);
            const auto answer = read_description(heard.body);
            expect(answer.audio() != nullptr, "no answer in the 200");
            expect(answer.audio()->direction() != "sendrecv", "the hold was not understood");
        })
    );
    list.must(
        "unknown",
        "RFC 3261 §8.2.1",
        "an unknown method gets 405 with Allow, or 501",
        with_phone([](Phone& phone) {
            const auto heard = phone.ask(phone.request("NOBODYKNOWS"));
            expect_one_of(heard, {405, 501});
            expect(heard.status == 501 || heard.has("Allow"), "405 without Allow");
        })
    );
    list.must(
        "unknown-in-dialog",
        "RFC 3261 §8.2.1",
        "an unknown method within the call gets 405 or 501, and the call goes on",
        in_call([](Phone& phone) {
            expect_one_of(phone.ask(phone.request("NOBODYKNOWS")), {405, 501});
        })
    );
    list.must(
        "case-sensitive",
        "RFC 3261 §7.1",
        "methods are case-sensitive: \"options\" is not OPTIONS",
        with_phone([](Phone& phone) {
            expect_one_of(phone.ask(phone.request("options")), {400, 405, 501});
        })
    );
    for (const std::string method :
         {"MESSAGE", "SUBSCRIBE", "REGISTER", "PUBLISH", "NOTIFY", "PRACK", "REFER"}) {
        list.must(
            lower(method),
            "RFC 3261 §8.2.1, §12.2.2",
            method + " outside of a call is answered by policy, not by a server failure",
            with_phone([method](Phone& phone) {
                auto request = phone.request(method);
                if (method == "REFER") request.add("Refer-To", "<sip:somebody@127.0.0.1>");
                if (method == "NOTIFY" || method == "SUBSCRIBE") request.add("Event", "presence");
                if (method == "PRACK") request.add("RAck", "1 1 INVITE");
                const auto heard = phone.ask(request);
                expect(heard.status < 500 || heard.status == 501, heard.what());
                if (method == "PRACK" || method == "NOTIFY") {
                    expect(heard.status >= 400, "taken though there is nothing it belongs to");
                }
            })
        );
    }
    list.must(
        "refer-in-dialog",
        "RFC 3515 §2.4.2",
        "REFER within the call is refused by policy, or taken and reported by NOTIFY",
        with_phone([](Phone& phone) {
            phone.call();
            auto refer = phone.request("REFER");
            refer.add("Refer-To", fmt::format("<sip:nobody@{}>", phone.local()));
            const auto heard = phone.ask(refer);
            expect(heard.status < 500 || heard.status >= 600 || heard.status == 501, heard.what());
            if (heard.status < 300) {
                const auto told = phone.requested("NOTIFY", Clock::now() + phone.target().timeout);
                expect(told.has_value(), "taken, but no NOTIFY came");
            } else {
                phone.hang_up();
            }
        })
    );
    list.must(
        "prack-in-dialog",
        "RFC 3262 §3",
        "PRACK that matches no reliable response gets 481 (405 or 501 without 100rel)",
        in_call([](Phone& phone) {
            auto prack = phone.request("PRACK");
            prack.add("RAck", "4711 1 INVITE");
            expect_one_of(phone.ask(prack), {481, 405, 501});
        })
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
