#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <cstdlib>

// Session timers (RFC 4028).

namespace oavc::caller::conformance {

std::vector<Case> timer_cases() {
    CaseList list{"timers"};
    const auto timed_invite = [](Phone& phone, const std::string& expires) {
        auto invite = phone.invite();
        invite.add("Supported", "timer");
        invite.add("Session-Expires", expires);
        return invite;
    };
    const auto agreed = [](const Heard& ok) {
        if (!ok.has("Session-Expires")) throw NotOffered{"the target keeps no session timer"};
        return ok.header("Session-Expires");
    };
    list.must(
        "agreed",
        "RFC 4028 §9",
        "a session timer that is asked for is agreed on: not longer, with its refresher",
        with_phone([=](Phone& phone) {
            const auto value = agreed(phone.call(timed_invite(phone, "1800")));
            const int seconds = std::atoi(value.c_str());
            expect(seconds > 0 && seconds <= 1'800, "Session-Expires: " + value);
            expect(!parameter(value, "refresher").empty(), "no refresher: " + value);
            phone.hang_up();
        })
    );
    list.must(
        "refresher-uac",
        "RFC 4028 §9",
        "a caller who wants to refresh may; the 200 then requires timer",
        with_phone([=](Phone& phone) {
            const auto ok = phone.call(timed_invite(phone, "1800;refresher=uac"));
            const auto value = agreed(ok);
            expect(parameter(value, "refresher") == "uac", "refresher changed: " + value);
            expect(ok.header("Require").find("timer") != std::string::npos, "no Require: timer");
            phone.hang_up();
        })
    );
    list.must(
        "refresher-uas",
        "RFC 4028 §9",
        "a caller who wants the called to refresh gets that",
        with_phone([=](Phone& phone) {
            const auto value = agreed(phone.call(timed_invite(phone, "1800;refresher=uas")));
            expect(parameter(value, "refresher") == "uas", "refresher changed: " + value);
            phone.hang_up();
        })
    );
    list.must(
        "too-small",
        "RFC 4028 §9, §6",
        "an interval below the minimum gets 422 with Min-SE",
        with_phone([=](Phone& phone) {
            const auto heard = phone.ask(timed_invite(phone, "30"));
            if (heard.status == 200) {
                phone.send(phone.ack());
                static_cast<void>(agreed(heard));
            }
            expect(heard.status == 422, heard.what() + " instead of 422");
            expect(std::atoi(heard.header("Min-SE").c_str()) >= 90, "no Min-SE of 90 or more");
        })
    );
    list.must(
        "not-asked",
        "RFC 4028 §9",
        "nobody who does not know session timers is required to",
        with_phone([](Phone& phone) {
            const auto ok = phone.call();
            expect(ok.header("Require").find("timer") == std::string::npos, "Require: timer");
            phone.hang_up();
        })
    );
    for (const std::string method : {"INVITE", "UPDATE"}) {
        list.must(
            "refresh-by-" + lower(method),
            "RFC 4028 §10",
            "a refresh by " + method + " gets 200 with Session-Expires",
            with_phone([=](Phone& phone) {
                static_cast<void>(agreed(phone.call(timed_invite(phone, "1800;refresher=uac"))));
                auto refresh = method == "INVITE" ? phone.invite() : phone.request("UPDATE");
                refresh.add("Supported", "timer");
                refresh.add("Session-Expires", "1800;refresher=uac");
                const auto heard = phone.ask(refresh);
                skip_unless_offered(heard, "UPDATE");
                expect(heard.status == 200, heard.what());
                if (method == "INVITE") phone.send(phone.ack());
                expect(heard.has("Session-Expires"), "the timer is gone");
                phone.hang_up();
            })
        );
    }
    return list.take();
}

}  // namespace oavc::caller::conformance
