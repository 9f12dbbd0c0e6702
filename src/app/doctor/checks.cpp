#include "app/doctor/checks.hpp"

#include "app/doctor/text.hpp"
#include "services/errors.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace oavc::app::doctor {

namespace {

/// At most about sixty letters of it, whole words.
std::string shortened(const std::string& text) {
    constexpr std::size_t enough = 60;
    if (text.size() <= enough) return text;
    return text.substr(0, text.rfind(' ', enough)) + " …";
}

}  // namespace

// ── configuration ───────────────────────────────────────────────────────────────────────────────

std::vector<Finding> check_configuration(const config::Loaded& loaded) {
    const std::string check = "configuration";
    std::vector<Finding> findings;
    const std::string advice =
        fmt::format("correct {}; docs/configuration.md explains every key", loaded.file);
    for (const auto& problem : loaded.problems) {
        if (problem.severity == config::Severity::error) {
            findings.push_back(fault(check, to_string(problem, loaded.file), advice));
        } else if (problem.severity == config::Severity::warning) {
            findings.push_back(warning(check, to_string(problem, loaded.file), advice));
        }
    }
    if (findings.empty()) findings.push_back(fine(check, loaded.file + " has no problems"));
    return findings;
}

// ── AI services ─────────────────────────────────────────────────────────────────────────────────

namespace {

std::string advice_for(const Service& facts) {
    const std::string section = fmt::format("[{}.{}]", facts.kind, facts.provider);
    const std::string page = fmt::format("docs/providers/{}.md", facts.provider);
    if (!facts.connection.empty()) {
        return fmt::format("start it, or correct {} url; see {}", section, page);
    }
    if (facts.error == services::ServiceErrc::rejected) {
        return fmt::format("correct the key or the model in {}; see {}", section, page);
    }
    return fmt::format("see {} and the server's own log", page);
}

}  // namespace

Finding check_service(const Service& facts) {
    const std::string check = facts.kind + (facts.fallback ? " fallback" : "");
    std::string who = facts.provider;
    if (!facts.where.empty()) who += " " + facts.where;
    if (!facts.made.empty()) {
        return fault(
            check,
            fmt::format("{} cannot be used: {}", who, facts.made),
            fmt::format("see docs/providers/{}.md", facts.provider)
        );
    }
    if (!facts.error) {
        return fine(
            check,
            facts.where.empty() ? who + " is ready, in this process"
                                : fmt::format("{} answers ({:.0f} ms)", who, facts.took.count())
        );
    }
    const std::string found = fmt::format(
        "{} does not answer: {}",
        who,
        facts.connection.empty() ? facts.error.message() : facts.connection
    );
    if (facts.fallback) return warning(check, found, advice_for(facts));
    if (facts.replaced) {
        return warning(check, found + "; the fallback does its work", advice_for(facts));
    }
    return fault(check, found, advice_for(facts));
}

Finding check_round_trip(const RoundTrip& facts) {
    const std::string check = facts.kind + " trial";
    if (facts.error) {
        return fault(
            check,
            fmt::format(
                "{} failed on \"{}\": {}", facts.provider, facts.asked, facts.error.message()
            ),
            fmt::format("see docs/providers/{}.md and its own log", facts.provider)
        );
    }
    if (facts.answered.empty()) {
        return warning(
            check,
            fmt::format("{} made nothing of \"{}\"", facts.provider, facts.asked),
            fmt::format(
                "see docs/providers/{}.md: is its model for [agent] language?", facts.provider
            )
        );
    }
    return fine(
        check,
        fmt::format(
            "{} made \"{}\" of \"{}\", beginning after {:.0f} ms",
            facts.provider,
            facts.answered,
            facts.asked,
            facts.first.count()
        )
    );
}

// ── a call ──────────────────────────────────────────────────────────────────────────────────────

std::vector<Finding> check_call(const Call& facts) {
    const std::string check = facts.via + " call";
    const auto& report = facts.report;
    if (!facts.error.empty() || !report.answered) {
        return {fault(
            check,
            "was not answered: " + (facts.error.empty() ? report.result : facts.error),
            "the lines above tell why; else see the server's log"
        )};
    }
    std::vector<Finding> findings;
    findings.push_back(fine(check, fmt::format("answered after {:.0f} ms", report.setup_ms)));

    const std::string out = "  to the caller";
    std::string heard;
    std::string understood;
    for (const auto& turn : report.turns) {
        if (heard.empty()) heard = turn.connector_said;
        if (understood.empty()) understood = turn.caller_said;
    }
    if (report.rtp.received == 0) {
        findings.push_back(fault(
            out,
            "no audio came",
            facts.rtp_to.empty() ? "see the server's log"
                                 : "let UDP out from " + facts.rtp_to + " to callers"
        ));
    } else if (report.heard_ms == 0) {
        findings.push_back(fault(
            out,
            fmt::format("{} packets came, all silent", report.rtp.received),
            "the lines about tts above tell why"
        ));
    } else if (!facts.rtp_to.empty() && !report.rtp.from.empty() &&
               host_of(report.rtp.from) != facts.rtp_to) {
        findings.push_back(warning(
            out,
            fmt::format("audio comes from {}, but SDP says {}", report.rtp.from, facts.rtp_to),
            "phones and firewalls may drop that: let the NAT send from the advertised address"
        ));
    } else {
        findings.push_back(fine(
            out,
            heard.empty() ? fmt::format("{:.1f} s of speech heard", report.heard_ms / 1000)
                          : fmt::format("heard \"{}\"", shortened(heard))
        ));
    }

    const std::string in = "  from the caller";
    if (understood.empty()) {
        findings.push_back(fault(
            in,
            fmt::format("nothing was understood of {} packets", report.rtp.sent),
            facts.rtp_to.empty()
                ? "the lines about stt above tell why"
                : fmt::format(
                      "UDP must come in at {}: firewall, port mapping, [telephony.rtp] "
                      "advertised_ip; if it does, see stt above",
                      facts.rtp_to
                  )
        ));
    } else {
        findings.push_back(fine(in, fmt::format("understood \"{}\"", understood)));
    }
    if (report.result != "ok" && count(findings, Finding::Verdict::fault) == 0) {
        findings.push_back(
            warning(check, report.result, "oavc call plays the same call and shows where time went")
        );
    }
    return findings;
}

}  // namespace oavc::app::doctor
