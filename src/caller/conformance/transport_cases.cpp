#include "caller/conformance/case_list.hpp"
#include "caller/conformance/checks.hpp"
#include "caller/conformance/phone.hpp"

#include <fmt/format.h>

#include <memory>

// SIP over TCP, and large requests.

namespace oavc::caller::conformance {

namespace {

void expect_tcp_ok(const std::optional<Heard>& heard, std::string_view what) {
    expect(heard.has_value(), fmt::format("no response {}", what));
    expect(heard->status == 200, fmt::format("{} {}", heard->what(), what));
}

}  // namespace

std::vector<Case> transport_cases() {
    CaseList list{"transport"};
    list.must(
        "tcp-options",
        "RFC 3261 §18",
        "OPTIONS over TCP is answered on its connection",
        with_tcp_phone([](Phone& phone) {
            expect(phone.ask(phone.request("OPTIONS")).status == 200, "not 200");
        })
    );
    list.must(
        "tcp-call",
        "RFC 3261 §18",
        "a call over TCP: INVITE, 200, ACK, BYE",
        with_tcp_phone([](Phone& phone) {
            phone.call();
            phone.hang_up();
        })
    );
    list.must(
        "tcp-two-in-one",
        "RFC 3261 §18.3",
        "two requests in one segment are both answered",
        with_tcp_phone([](Phone& phone) {
            const auto one = phone.request("OPTIONS");
            const auto two = phone.request("OPTIONS");
            phone.send_text(one.text() + two.text());
            expect_tcp_ok(phone.response(one), "to the first");
            expect_tcp_ok(phone.response(two), "to the second");
        })
    );
    list.must(
        "tcp-one-in-many",
        "RFC 3261 §18.3",
        "a request in many segments is put together",
        with_tcp_phone([](Phone& phone) {
            const auto invite = phone.invite();
            const auto text = invite.text();
            for (std::size_t at = 0; at < text.size(); at += 37) {
                phone.stream()->write(text.substr(at, 37));
                if (at % 111 == 0) phone.listen(Clock::now() + 2ms);
            }
            const auto heard = phone.final_response(invite);
            expect_tcp_ok(heard, "to the INVITE");
            phone.send(phone.ack());
            phone.hang_up();
        })
    );
    list.must(
        "tcp-leading-crlf",
        "RFC 3261 §7.5",
        "empty lines before a request are ignored",
        with_tcp_phone([](Phone& phone) {
            const auto options = phone.request("OPTIONS");
            phone.send_text("\r\n" + options.text());
            expect_tcp_ok(phone.response(options), "");
        })
    );
    list.should(
        "tcp-keep-alive",
        "RFC 5626 §4.4.1",
        "CRLF CRLF is answered CRLF",
        with_tcp_phone([](Phone& phone) {
            phone.stream()->write("\r\n\r\n");
            const auto pong = phone.stream()->read(Clock::now() + phone.target().timeout);
            expect(pong == "\r\n", pong.empty() ? "no pong" : "something else came");
        })
    );
    list.must(
        "tcp-no-length",
        "RFC 3261 §18.3, §20.14",
        "a request without Content-Length is refused, or read as having no body",
        with_tcp_phone([](Phone& phone) {
            const auto options = phone.request("OPTIONS");
            const auto text = options.text();
            const auto at = text.find("Content-Length:");
            phone.send_text(text.substr(0, at) + text.substr(text.find("\r\n", at) + 2));
            const auto heard = phone.response(options, Clock::now() + 2s);
            expect(
                !heard || heard->status == 400 || heard->status == 200, heard ? heard->what() : ""
            );
            phone.expect_alive();
        })
    );
    list.must(
        "tcp-junk",
        "RFC 3261 §18.3, §26.1",
        "junk on a connection does no harm to others",
        [](const Target& target) {
            Phone other{target, true};
            Phone phone{target, true};
            phone.stream()->write(random_bytes(20'000));
            expect(other.ask(other.request("OPTIONS")).status == 200, "another connection broke");
        }
    );
    list.must(
        "tcp-endless-header",
        "RFC 3261 §26.1",
        "a header without end is cut off: the connection is closed, others go on",
        with_tcp_phone([](Phone& phone) {
            phone.stream()->write("OPTIONS sip:x@y SIP/2.0\r\nSubject: ");
            const std::string more(64 * 1'024, 'x');
            const TimePoint until = Clock::now() + phone.target().timeout;
            for (int i = 0; i < 64 && !phone.stream()->ended(); ++i)
                phone.stream()->write(more);
            while (!phone.stream()->ended() && Clock::now() < until)
                static_cast<void>(phone.stream()->read(until));
            expect(phone.stream()->ended(), "4 MiB of header were taken");
            phone.expect_alive();
        })
    );
    list.must(
        "tcp-abrupt",
        "RFC 3261 §18.4",
        "a connection that breaks inside a request does no harm",
        with_tcp_phone([](Phone& phone) {
            const auto text = phone.invite().text();
            phone.stream()->write(text.substr(0, text.size() / 2));
            phone.stream()->reset();
            phone.expect_alive();
        })
    );
    list.must(
        "tcp-no-repeats",
        "RFC 3261 §17.2.1",
        "over TCP a refusal is not repeated",
        with_tcp_phone([](Phone& phone) {
            const auto invite = phone.invite(impossible_offer(phone));
            phone.send(invite);
            const auto heard = phone.final_response(invite);
            expect(heard && heard->status >= 300, "an impossible offer was not refused");
            expect(!phone.response(invite, Clock::now() + 1'200ms), "the refusal was repeated");
        })
    );
    list.must(
        "tcp-many",
        "RFC 3261 §18",
        "twenty connections at once are all answered",
        [](const Target& target) {
            std::vector<std::unique_ptr<Phone>> phones;
            std::vector<Written> asked;
            for (int i = 0; i < 20; ++i) {
                phones.push_back(std::make_unique<Phone>(target, true));
                asked.push_back(phones.back()->request("OPTIONS"));
                phones.back()->send(asked.back());
            }
            for (std::size_t i = 0; i < phones.size(); ++i)
                expect_tcp_ok(phones[i]->response(asked[i]), "on one of them");
        }
    );
    list.must(
        "udp-big",
        "RFC 3261 §18.1.1",
        "a request of 4 KB that comes by UDP all the same is taken",
        with_udp_phone([](Phone& phone) {
            auto invite = phone.invite();
            for (int i = 0; i < 4; ++i)
                invite.add("X-Large", std::string(900, 'l'));
            phone.call(invite);
            phone.hang_up();
        })
    );
    return list.take();
}

}  // namespace oavc::caller::conformance
