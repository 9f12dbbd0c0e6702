#pragma once

#include "caller/conformance/case.hpp"

#include <string>
#include <utility>
#include <vector>

namespace oavc::caller::conformance {

/// How the files of cases write theirs down.
class CaseList {
public:
    using Run = std::function<void(const Target&)>;

    explicit CaseList(std::string group) : group_{std::move(group)} {}

    Case& must(std::string name, std::string source, std::string holds, Run run) {
        cases_.push_back(
            {group_ + '.' + std::move(name),
             std::move(source),
             std::move(holds),
             Need::must,
             std::move(run),
             2,
             false}
        );
        return cases_.back();
    }
    Case& should(std::string name, std::string source, std::string holds, Run run) {
        auto& added = must(std::move(name), std::move(source), std::move(holds), std::move(run));
        added.need = Need::should;
        return added;
    }
    std::vector<Case> take() { return std::move(cases_); }

private:
    std::string group_;
    std::vector<Case> cases_;
};

// One function per group.
std::vector<Case> basic_cases();
std::vector<Case> retransmission_cases();
std::vector<Case> cancel_cases();
std::vector<Case> dialog_cases();
std::vector<Case> method_cases();
std::vector<Case> parsing_cases();
std::vector<Case> sdp_cases();
std::vector<Case> media_cases();
std::vector<Case> timer_cases();
std::vector<Case> transport_cases();
std::vector<Case> webhook_cases();
std::vector<Case> socket_cases();

}  // namespace oavc::caller::conformance
