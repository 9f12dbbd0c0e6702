#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace oavc::app::doctor {

/// What one check came to.
struct Finding {
    enum class Verdict {
        fine,
        skipped,  ///< could not be looked at, and why
        warning,  ///< works, or works for some
        fault,    ///< calls fail, or will
    };
    Verdict verdict{Verdict::fine};
    std::string check{};   ///< what was looked at: "events port"
    std::string found{};   ///< what was seen; never a secret
    std::string advice{};  ///< of warnings and faults: what to change, with key, file or command
};

Finding fine(std::string check, std::string found);
Finding skipped(std::string check, std::string why);
Finding warning(std::string check, std::string found, std::string advice);
Finding fault(std::string check, std::string found, std::string advice);

/// For a terminal: "✓ events port    UDP 0.0.0.0:8090 is free", the advice on a line of its own.
std::string to_text(const Finding& finding);

/// "3 faults, 1 warning: see ✗ and ! above", with a line end.
std::string summary(std::span<const Finding> findings);

/// One object: findings, faults, warnings. Without a line end.
std::string to_json(std::span<const Finding> findings);

std::size_t count(std::span<const Finding> findings, Finding::Verdict verdict) noexcept;

/// 0 fine, 2 a fault; 1 only warnings, and `strict`.
int exit_status(std::span<const Finding> findings, bool strict) noexcept;

}  // namespace oavc::app::doctor
