#include "app/doctor/finding.hpp"

#include "net/json_text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace oavc::app::doctor {

namespace {

std::string_view name_of(Finding::Verdict verdict) noexcept {
    switch (verdict) {
        case Finding::Verdict::fine:
            return "fine";
        case Finding::Verdict::skipped:
            return "skipped";
        case Finding::Verdict::warning:
            return "warning";
        case Finding::Verdict::fault:
            return "fault";
    }
    return "fault";
}

std::string_view mark_of(Finding::Verdict verdict) noexcept {
    switch (verdict) {
        case Finding::Verdict::fine:
            return "✓";
        case Finding::Verdict::skipped:
            return "–";
        case Finding::Verdict::warning:
            return "!";
        case Finding::Verdict::fault:
            return "✗";
    }
    return "✗";
}

std::string counted(std::size_t number, std::string_view what) {
    return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

}  // namespace

Finding fine(std::string check, std::string found) {
    return {Finding::Verdict::fine, std::move(check), std::move(found), {}};
}

Finding skipped(std::string check, std::string why) {
    return {Finding::Verdict::skipped, std::move(check), std::move(why), {}};
}

Finding warning(std::string check, std::string found, std::string advice) {
    return {Finding::Verdict::warning, std::move(check), std::move(found), std::move(advice)};
}

Finding fault(std::string check, std::string found, std::string advice) {
    return {Finding::Verdict::fault, std::move(check), std::move(found), std::move(advice)};
}

std::string to_text(const Finding& finding) {
    auto text =
        fmt::format("{} {:<16} {}\n", mark_of(finding.verdict), finding.check, finding.found);
    if (!finding.advice.empty()) text += fmt::format("{:19}→ {}\n", "", finding.advice);
    return text;
}

std::size_t count(std::span<const Finding> findings, Finding::Verdict verdict) noexcept {
    return static_cast<std::size_t>(std::count_if(
        findings.begin(),
        findings.end(),
        [verdict](const Finding& finding) { return finding.verdict == verdict; }
    ));
}

std::string summary(std::span<const Finding> findings) {
    const auto faults = count(findings, Finding::Verdict::fault);
    const auto warnings = count(findings, Finding::Verdict::warning);
    if (faults + warnings == 0) return "nothing is wrong\n";
    return fmt::format("{}, {}\n", counted(faults, "fault"), counted(warnings, "warning"));
}

std::string to_json(std::span<const Finding> findings) {
    boost::json::array list;
    for (const auto& finding : findings) {
        boost::json::object entry{
            {"verdict", name_of(finding.verdict)},
            {"check", finding.check},
            {"found", finding.found},
        };
        if (!finding.advice.empty()) entry["advice"] = finding.advice;
        list.push_back(std::move(entry));
    }
    const boost::json::object document{
        {"faults", count(findings, Finding::Verdict::fault)},
        {"warnings", count(findings, Finding::Verdict::warning)},
        {"findings", std::move(list)},
    };
    std::string text;
    net::append_json(text, document);
    return text;
}

int exit_status(std::span<const Finding> findings, bool strict) noexcept {
    if (count(findings, Finding::Verdict::fault) > 0) return 2;
    return strict && count(findings, Finding::Verdict::warning) > 0 ? 1 : 0;
}

}  // namespace oavc::app::doctor
