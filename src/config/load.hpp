#pragma once

#include "base/result.hpp"
#include "config/config.hpp"
#include "config/schema.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::config {

/// Environment variables by name.
using Environment = std::map<std::string, std::string, std::less<>>;
Environment process_environment();

enum class Severity {
    error,    ///< the server does not start
    warning,  ///< probably not what was meant
    note,     ///< worth knowing: what an old name became, what is accepted but not used
};

/// Something to tell the operator. Never holds a secret.
struct Problem {
    Severity severity{Severity::error};
    std::string section;    ///< lower case; empty: the file as a whole
    std::uint32_t line{0};  ///< in the INI file; 0: not from a line of it
    std::string what;
};

/// Where a value came from.
struct Origin {
    enum class Kind { built_in, file, environment };
    Kind kind{Kind::built_in};
    std::uint32_t line{0};  ///< of the file
    std::string name;       ///< of the environment variable
    std::string legacy;     ///< the old name it was given under: "[rtp] min_port"; of a built-in
                            ///< value: not ours but the predecessor's
    bool secret{false};     ///< ${file:…} or ${gcp-secret:…} was in it: never print the value
};

/// One effective value.
struct Setting {
    const Key* key{nullptr};
    std::string section;  ///< as in the file: "agent.sales"
    std::string value;    ///< as it would stand in an INI file; secrets in clear: never print those
    Origin origin;
};

/// A configuration and how it came about. Usable only when `ok()`.
struct Loaded {
    std::string file;  ///< as it was named, for messages
    Config config;
    std::vector<Setting> settings;  ///< every key, in the order of the reference
    std::vector<Problem> problems;  ///< everything at once, in file order

    bool ok() const noexcept;
    std::size_t count(Severity severity) const noexcept;
    /// The setting of a key, or null.
    const Setting* find(std::string_view section, std::string_view name) const noexcept;
};

/// Why a secret cannot be had: a sentence, without anything secret.
struct SecretProblem {
    std::string what;
};
/// Fetches a secret by name. May block for seconds.
using SecretReader = std::function<Result<std::string, SecretProblem>(std::string_view name)>;

/// Reads, expands, overrides and checks. Precedence: `PORT` (for [api] port), `OAVC_SECTION_KEY`,
/// the predecessor's environment names, the file, the predecessor's names in the file, defaults.
/// `${NAME}` and `${NAME:-default}` in the file expand from `environment` ("$${" is a plain "${"),
/// `${file:PATH}` to what stands in that file, without the line feed at its end, and
/// `${gcp-secret:NAME}` to what `gcp_secrets` gives; without it such a name is a problem. Relative
/// paths in the file are relative to its folder.
Loaded load(
    const std::filesystem::path& file,
    const Environment& environment,
    const SecretReader& gcp_secrets = {}
);

/// The same for a text that is already read; `folder` is what relative paths are relative to.
Loaded load_text(
    std::string_view text,
    std::string file,
    const std::filesystem::path& folder,
    const Environment& environment,
    const SecretReader& gcp_secrets = {}
);

/// "OAVC_TELEPHONY_TWILIO_AUTH_TOKEN".
std::string environment_name(std::string_view section, std::string_view key);

/// "config/dev.ini:12: error: [api] port …", one line.
std::string to_string(const Problem& problem, std::string_view file);

}  // namespace oavc::config
