#include "caller/conformance/run.hpp"
#include "caller/conformance/sip_text.hpp"
#include "caller/conformance/sockets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

namespace oavc::caller::conformance {
namespace {

TEST(Conformance, ReadsTargetsAndSaysWhatIsWrongWithThem) {
    const auto sip = parse_target("sip:bot@[::1]:8089;transport=tcp");
    EXPECT_EQ(sip.kind, Target::Kind::sip);
    EXPECT_EQ(sip.user, "bot");
    EXPECT_EQ(sip.host, "::1");
    EXPECT_EQ(sip.authority(), "[::1]:8089");
    EXPECT_TRUE(sip.tcp);
    EXPECT_EQ(parse_target("sip:pbx.example.com").port, 5060);

    const auto web = parse_target("https://voice.example.com/hook");
    EXPECT_EQ(web.kind, Target::Kind::twilio);
    EXPECT_TRUE(web.tls);
    EXPECT_EQ(web.port, 443);
    EXPECT_EQ(web.path, "/hook");
    EXPECT_EQ(parse_target("http://127.0.0.1:8088").path, "/");

    for (const std::string_view wrong :
         {"", "tel:123", "sip:", "sip:a@b:0", "sip:a@b:x", "sip:a@[::1", "sip:a@b;transport=tls"}) {
        EXPECT_THROW(static_cast<void>(parse_target(wrong)), std::invalid_argument) << wrong;
    }
}

TEST(Conformance, HasMoreThanAHundredCasesWithNamesOfTheirOwnAndSources) {
    std::set<std::string> names;
    std::size_t count = 0;
    for (const auto kind : {Target::Kind::sip, Target::Kind::twilio}) {
        for (const auto& one : cases_for(kind)) {
            ++count;
            EXPECT_TRUE(names.insert(one.name).second) << one.name << " stands twice";
            EXPECT_FALSE(one.source.empty()) << one.name;
            EXPECT_FALSE(one.holds.empty()) << one.name;
            EXPECT_NE(one.run, nullptr) << one.name;
        }
    }
    EXPECT_GE(count, 200U);
    EXPECT_GE(sip_cases().size(), 100U);
}

TEST(Conformance, GlobsChooseCases) {
    EXPECT_TRUE(matches("sdp.*", "sdp.ptime-20"));
    EXPECT_TRUE(matches("basic.call,sdp.ptime-?0", "sdp.ptime-20"));
    EXPECT_FALSE(matches("sdp.*", "media.sdp.x"));
    EXPECT_FALSE(matches("", "basic.call"));
}

TEST(Conformance, ReadsCompactAndFoldedHeaders) {
    const auto heard = read_message(
        "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1,\r\n SIP/2.0/UDP b;branch=z9hG4bK2\r\n"
        "t: \"x, \\\"y\" <sip:c@d;tag=no>;tag=yes\r\nCSeq: 7 INVITE\r\n\r\nbody"
    );
    EXPECT_EQ(heard.status, 200);
    EXPECT_EQ(heard.method, "INVITE");
    ASSERT_EQ(heard.all("Via").size(), 2U);
    EXPECT_EQ(parameter(heard.all("Via")[1], "branch"), "z9hG4bK2");
    EXPECT_EQ(parameter(heard.header("To"), "tag"), "yes");
    EXPECT_EQ(heard.body, "body");
}

TEST(Conformance, OnlyAFailureOfWhatMustHoldSpoilsTheExitStatus) {
    std::vector<Case> cases(4);
    const auto set = [&](std::size_t at, Need need, std::function<void(const Target&)> run) {
        cases[at].name = fmt::format("x.{}", at);
        cases[at].need = need;
        cases[at].run = std::move(run);
    };
    const auto fails = [](const Target&) { throw Failed{"because"}; };
    set(0, Need::must, [](const Target&) {});
    set(1, Need::should, fails);
    set(2, Need::must, [](const Target&) { throw NotOffered{"not here"}; });
    set(3, Need::must, [](const Target&) {});
    const auto nothing = [](const Finding&, std::size_t) {};
    auto findings = run_cases(cases, Target{}, 3, nothing);
    EXPECT_EQ(findings[0].outcome, Outcome::passed);
    EXPECT_EQ(findings[1].outcome, Outcome::failed);
    EXPECT_EQ(findings[2].outcome, Outcome::skipped);
    EXPECT_EQ(findings[2].why, "not here");
    EXPECT_EQ(exit_status(findings), 0);
    EXPECT_NE(table_of(findings, false).find("advice"), std::string::npos);

    set(3, Need::must, fails);
    findings = run_cases(cases, Target{}, 3, nothing);
    EXPECT_EQ(exit_status(findings), 1);
    EXPECT_NE(json_of(Target{}, findings).find("\"why\":\"because\""), std::string::npos);
}

TEST(Conformance, WhatMeasuresTimesRunsAloneAndMayBeLateTwice) {
    std::atomic<int> tries{0};
    std::atomic<bool> others{false};
    std::vector<Case> cases(2);
    cases[0].name = "x.alone";
    cases[0].alone = true;
    cases[0].run = [&](const Target&) {
        expect(others, "the other one still runs");
        expect(++tries == 3, "late");
    };
    cases[1].name = "x.other";
    cases[1].run = [&](const Target&) { others = true; };
    const auto findings = run_cases(cases, Target{}, 4, [](const Finding&, std::size_t) {});
    EXPECT_EQ(findings[0].outcome, Outcome::passed) << findings[0].why;
}

/// Answers every request "200 OK" with what it got, and nothing else of what a UA must do.
class YesSayer {
public:
    YesSayer() : socket_{resolve("127.0.0.1", 0)} {
        thread_ = std::jthread{[this](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                const auto datagram = socket_.receive(Clock::now() + 20ms);
                if (!datagram) continue;
                const auto heard = read_message(datagram->bytes);
                if (heard.status != 0 || heard.method == "ACK") continue;
                Written answer;
                answer.start_line = "SIP/2.0 200 OK";
                for (const std::string_view name : {"Via", "From", "To", "Call-ID", "CSeq"})
                    answer.add(std::string{name}, heard.header(name));
                socket_.send(answer.text(), datagram->from);
            }
        }};
    }
    Target target() const {
        auto out = parse_target(fmt::format("sip:yes@127.0.0.1:{}", socket_.address().port()));
        out.timeout = 2'000ms;
        return out;
    }

private:
    UdpSocket socket_;
    std::jthread thread_;
};

TEST(Conformance, FindsWhatABadTargetDoesWrong) {
    const YesSayer yes;
    auto cases = sip_cases();
    std::erase_if(cases, [](const Case& one) {
        return !matches(
            "basic.call,basic.to-tag,basic.contact,basic.require,dialog.unknown-bye,methods."
            "unknown,"
            "methods.options,sdp.codec-unknown,cancel.nothing,transport.tcp-options",
            one.name
        );
    });
    const auto findings = run_cases(cases, yes.target(), 4, [](const Finding&, std::size_t) {});
    ASSERT_EQ(findings.size(), 10U);
    for (const auto& finding : findings) {
        const auto& name = finding.which->name;
        auto expected = Outcome::failed;
        if (name == "basic.call" || name == "methods.options") expected = Outcome::passed;
        if (name == "transport.tcp-options") expected = Outcome::skipped;
        EXPECT_EQ(finding.outcome, expected) << name << ": " << finding.why;
    }
}

TEST(Conformance, ATargetThatFallsOverIsNotTriedFurther) {
    const auto here = resolve("127.0.0.1", 0);
    std::optional<UdpSocket> target{here};
    Target whom;
    whom.host = "127.0.0.1";
    whom.port = target->address().port();
    std::vector<Case> cases(3);
    cases[0].run = [](const Target&) { throw Failed{"wrong, but alive"}; };
    cases[1].run = [&](const Target&) {
        target.reset();
        throw Failed{"silence"};
    };
    cases[2].run = [](const Target&) {};
    const auto findings = run_cases(cases, whom, 1, [](const Finding&, std::size_t) {});
    EXPECT_EQ(findings[0].why, "wrong, but alive");
    EXPECT_EQ(findings[1].outcome, Outcome::failed);
    EXPECT_EQ(findings[1].why, "silence; now nobody is there any more");
    EXPECT_EQ(findings[2].outcome, Outcome::skipped);
}

TEST(Conformance, SilenceIsAFailureNotASkip) {
    const UdpSocket silent{resolve("127.0.0.1", 0)};
    auto target = parse_target(fmt::format("sip:x@127.0.0.1:{}", silent.address().port()));
    target.timeout = 300ms;
    auto cases = sip_cases();
    std::erase_if(cases, [](const Case& one) { return one.name != "methods.options"; });
    const auto findings = run_cases(cases, target, 1, [](const Finding&, std::size_t) {});
    ASSERT_EQ(findings.size(), 1U);
    EXPECT_EQ(findings[0].outcome, Outcome::failed);
    EXPECT_NE(findings[0].why.find("no final response"), std::string::npos) << findings[0].why;
}

}  // namespace
}  // namespace oavc::caller::conformance
