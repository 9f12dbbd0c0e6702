#include "caller/conformance/run.hpp"

#include "caller/conformance/case_list.hpp"
#include "caller/conformance/sockets.hpp"
#include "caller/report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <thread>

namespace oavc::caller::conformance {

namespace json = boost::json;

std::string Target::authority() const {
    const bool v6 = host.find(':') != std::string::npos;
    const std::string name = v6 ? '[' + host + ']' : host;
    return port == 0 ? name : fmt::format("{}:{}", name, port);
}

Target parse_target(std::string_view text) {
    Target out;
    out.text = text;
    const auto refuse = [&](std::string_view what) {
        throw std::invalid_argument{fmt::format("target \"{}\": {}", text, what)};
    };
    const auto take_authority = [&](std::string_view authority) {
        std::string_view port;
        if (authority.starts_with('[')) {
            const auto end = authority.find(']');
            if (end == std::string_view::npos) refuse("the bracket is not closed");
            out.host = authority.substr(1, end - 1);
            port = authority.substr(end + 1);
        } else {
            const auto colon = std::min(authority.find(':'), authority.size());
            out.host = authority.substr(0, colon);
            port = authority.substr(colon);
        }
        if (out.host.empty()) refuse("no host");
        if (port.empty()) return;
        port.remove_prefix(1);
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
        if (error != std::errc{} || end != port.data() + port.size() || out.port == 0)
            refuse("the port is no number from 1 to 65535");
    };
    if (text.starts_with("sip:")) {
        auto rest = text.substr(4);
        const auto parameters = std::min(rest.find(';'), rest.size());
        const auto transport = rest.substr(parameters);
        rest = rest.substr(0, parameters);
        const auto at = rest.rfind('@');
        out.user = at == std::string_view::npos ? "conformance" : std::string{rest.substr(0, at)};
        out.port = 5060;
        take_authority(at == std::string_view::npos ? rest : rest.substr(at + 1));
        if (transport == ";transport=tcp") {
            out.tcp = true;
        } else if (!transport.empty() && transport != ";transport=udp") {
            refuse("known transports are udp and tcp");
        }
        return out;
    }
    out.tls = text.starts_with("https://");
    if (!out.tls && !text.starts_with("http://")) {
        refuse("neither sip:user@host:port nor http(s)://host/path");
    }
    out.kind = Target::Kind::twilio;
    out.port = out.tls ? 443 : 80;
    const auto rest = text.substr(out.tls ? 8 : 7);
    const auto slash = std::min(rest.find('/'), rest.size());
    take_authority(rest.substr(0, slash));
    out.path = slash == rest.size() ? "/" : std::string{rest.substr(slash)};
    return out;
}

std::vector<Case> sip_cases() {
    std::vector<Case> out;
    for (auto* group :
         {basic_cases,
          retransmission_cases,
          cancel_cases,
          dialog_cases,
          method_cases,
          parsing_cases,
          sdp_cases,
          media_cases,
          timer_cases,
          transport_cases}) {
        auto cases = group();
        std::move(cases.begin(), cases.end(), std::back_inserter(out));
    }
    return out;
}

std::vector<Case> twilio_cases() {
    auto out = webhook_cases();
    auto more = socket_cases();
    std::move(more.begin(), more.end(), std::back_inserter(out));
    return out;
}

std::vector<Case> cases_for(Target::Kind kind) {
    return kind == Target::Kind::sip ? sip_cases() : twilio_cases();
}

namespace {

bool matches_one(std::string_view glob, std::string_view name) {
    if (glob.empty()) return name.empty();
    if (glob.front() == '*') {
        for (std::size_t skip = 0; skip <= name.size(); ++skip) {
            if (matches_one(glob.substr(1), name.substr(skip))) return true;
        }
        return false;
    }
    if (name.empty() || (glob.front() != '?' && glob.front() != name.front())) return false;
    return matches_one(glob.substr(1), name.substr(1));
}

Finding run_once(const Case& one, const Target& target) {
    Finding out;
    out.which = &one;
    const TimePoint began = Clock::now();
    try {
        one.run(target);
        out.outcome = Outcome::passed;
    } catch (const NotOffered& skipped) {
        out.outcome = Outcome::skipped;
        out.why = skipped.what();
    } catch (const std::exception& failed) {
        out.outcome = Outcome::failed;
        out.why = failed.what();
    }
    out.took = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
    return out;
}

bool is_gone(const Target& target) {
    try {
        const bool tcp = target.kind == Target::Kind::twilio || target.tcp;
        return nobody_at(resolve(target.host, target.port), tcp);
    } catch (const std::exception&) {
        return false;
    }
}

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::passed:
            return "passed";
        case Outcome::failed:
            return "failed";
        case Outcome::skipped:
            return "skipped";
    }
    return "";
}

std::string_view name_of(Need need) { return need == Need::must ? "must" : "should"; }

struct Totals {
    std::size_t passed{0};
    std::size_t failed{0};     ///< of those that must hold
    std::size_t should_be{0};  ///< failed, but only a SHOULD
    std::size_t skipped{0};
};
Totals totals_of(const std::vector<Finding>& findings) {
    Totals out;
    for (const auto& finding : findings) {
        if (finding.outcome == Outcome::passed) ++out.passed;
        if (finding.outcome == Outcome::skipped) ++out.skipped;
        if (finding.outcome != Outcome::failed) continue;
        ++(finding.which->need == Need::must ? out.failed : out.should_be);
    }
    return out;
}

}  // namespace

bool matches(std::string_view globs, std::string_view name) {
    while (!globs.empty()) {
        const auto comma = std::min(globs.find(','), globs.size());
        if (matches_one(globs.substr(0, comma), name)) return true;
        globs.remove_prefix(std::min(comma + 1, globs.size()));
    }
    return false;
}

std::vector<Finding> run_cases(
    const std::vector<Case>& cases,
    const Target& target,
    std::size_t parallel,
    const std::function<void(const Finding&, std::size_t done)>& on_finding
) {
    std::vector<Finding> findings(cases.size());
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        if (!cases[i].alone) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return cases[a].seconds > cases[b].seconds;
    });

    std::mutex reporting;
    std::size_t done = 0;
    const auto report = [&](std::size_t at, Finding finding) {
        const std::scoped_lock lock{reporting};
        findings[at] = std::move(finding);
        on_finding(findings[at], ++done);
    };
    // A target that has fallen over fails one case, and those that ran beside it; to try the
    // others would tell nothing.
    std::atomic<bool> gone{false};
    const auto run = [&](const Case& one) {
        if (gone) return Finding{&one, Outcome::skipped, "nobody is there any more", 0ms};
        auto finding = run_once(one, target);
        if (finding.outcome == Outcome::failed && is_gone(target)) {
            gone = true;
            finding.why += "; now nobody is there any more";
        }
        return finding;
    };
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t i = 0; (i = next++) < order.size();)
            report(order[i], run(cases[order[i]]));
    };
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < std::max<std::size_t>(parallel, 1); ++i)
            threads.emplace_back(work);
    }
    for (std::size_t i = 0; i < cases.size(); ++i) {
        if (!cases[i].alone) continue;
        Finding finding = run(cases[i]);
        // A busy machine may be late once; one that is late three times is.
        for (int more = 0; more < 2 && finding.outcome == Outcome::failed && !gone; ++more)
            finding = run(cases[i]);
        report(i, std::move(finding));
    }
    return findings;
}

int exit_status(const std::vector<Finding>& findings) {
    return totals_of(findings).failed == 0 ? 0 : 1;
}

std::string list_of(const std::vector<Case>& cases) {
    std::string out;
    for (const auto& one : cases) {
        out += fmt::format(
            "{:<32} {:<7} {:<42} {}\n", one.name, name_of(one.need), one.source, one.holds
        );
    }
    return out + fmt::format("{} cases\n", cases.size());
}

std::string table_of(const std::vector<Finding>& findings, bool colour) {
    const Style style{colour};
    std::string out;
    for (const auto& finding : findings) {
        const bool must = finding.which->need == Need::must;
        std::string word{name_of(finding.outcome)};
        if (finding.outcome == Outcome::failed && !must) word = "advice";
        std::string mark = fmt::format("{:<8}", word);
        if (finding.outcome == Outcome::passed) mark = style.good(mark);
        if (finding.outcome == Outcome::failed) mark = must ? style.bad(mark) : style.bold(mark);
        if (finding.outcome == Outcome::skipped) mark = style.dim(mark);
        out += fmt::format("{} {:<32} {}", mark, finding.which->name, finding.which->source);
        if (!finding.why.empty())
            out += fmt::format("\n         {}: {}", finding.which->holds, finding.why);
        out += '\n';
    }
    const auto totals = totals_of(findings);
    out += fmt::format(
        "\n{} cases: {} passed, {} failed, {} advised, {} skipped\n",
        findings.size(),
        totals.passed,
        totals.failed,
        totals.should_be,
        totals.skipped
    );
    return out;
}

std::string json_of(const Target& target, const std::vector<Finding>& findings) {
    json::array cases;
    for (const auto& finding : findings) {
        cases.push_back(json::object{
            {"name", finding.which->name},
            {"source", finding.which->source},
            {"holds", finding.which->holds},
            {"need", name_of(finding.which->need)},
            {"outcome", name_of(finding.outcome)},
            {"why", finding.why},
            {"took_ms", finding.took.count()},
        });
    }
    const auto totals = totals_of(findings);
    return json::serialize(json::object{
        {"target", target.text},
        {"passed", totals.passed},
        {"failed", totals.failed},
        {"advised", totals.should_be},
        {"skipped", totals.skipped},
        {"cases", std::move(cases)},
    });
}

int run_conformance(const Settings& settings, bool terminal) {
    auto cases = cases_for(settings.target.kind);
    if (!settings.only.empty()) {
        std::erase_if(cases, [&](const Case& one) { return !matches(settings.only, one.name); });
        if (cases.empty()) {
            throw std::invalid_argument{
                fmt::format("no case is called {}; --list shows all", settings.only)};
        }
    }
    if (settings.list) {
        fmt::print("{}", list_of(cases));
        return 0;
    }
    const bool progress = terminal && !settings.json;
    const auto findings = run_cases(
        cases,
        settings.target,
        settings.parallel,
        [&](const Finding& finding, std::size_t done) {
            if (!progress) return;
            fmt::print("\r\x1b[K{}/{} {}", done, cases.size(), finding.which->name);
            if (done == cases.size()) fmt::print("\r\x1b[K");
            std::fflush(stdout);
        }
    );
    if (settings.json) {
        fmt::print("{}\n", json_of(settings.target, findings));
    } else {
        fmt::print("{}", table_of(findings, terminal));
    }
    return exit_status(findings);
}

}  // namespace oavc::caller::conformance
