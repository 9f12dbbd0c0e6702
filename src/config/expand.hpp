#pragma once

#include "config/load.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::config {

/// A value with what its ${…} stand for in their place.
struct Expanded {
    std::string text;
    std::vector<std::string> problems;  ///< any: the text is not complete; nothing secret in them
};

/// Puts in what a value of the file refers to: `${NAME}` and `${NAME:-default}` from the
/// environment, `${file:PATH}` from a file, `${gcp-secret:NAME}` from Secret Manager; "$${" is a
/// plain "${".
class Expander {
public:
    /// Relative paths are relative to `folder`. `environment` and `gcp_secrets`, which may be
    /// empty, outlive us.
    Expander(
        std::filesystem::path folder,
        const Environment& environment,
        const SecretReader& gcp_secrets
    )
        : folder_{std::move(folder)}, environment_{environment}, gcp_secrets_{gcp_secrets} {}

    /// May block for seconds where `gcp_secrets` does.
    Expanded expand(std::string_view value) const;

    /// What a path in the file names: absolute, where the folder is known.
    std::string resolve(const std::string& path) const;

private:
    Result<std::string, SecretProblem> read(std::string_view reference) const;
    Result<std::string, SecretProblem> read_variable(std::string_view reference) const;
    Result<std::string, SecretProblem> read_file(std::string_view name) const;

    const std::filesystem::path folder_;
    const Environment& environment_;
    const SecretReader& gcp_secrets_;
};

/// Whether it refers to a file or to Secret Manager: what it stands for is never printed.
bool names_secret(std::string_view value) noexcept;

}  // namespace oavc::config
