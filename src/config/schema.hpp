#pragma once

#include "base/result.hpp"
#include "config/config.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace oavc::config {

/// Where a key's value lives. `agent` is the agent that the section names.
struct Target {
    Config& config;
    pipeline::AgentConfig& agent;
};

/// A member of one of the typed structs.
using Field = std::variant<
    std::string*,
    std::vector<std::string>*,
    bool*,
    int*,
    std::uint16_t*,
    std::size_t*,
    double*,
    std::chrono::milliseconds*,
    std::chrono::seconds*,
    log::Level*,
    log::Format*>;

// What a key's text may be. Each rule is one line of the reference and of the JSON Schema.
struct Text {};      ///< any text, several lines allowed
struct Secret {};    ///< any text on one line; never printed
struct Path {};      ///< a file or folder; relative ones are meant relative to the INI file
struct Pattern {};   ///< an ECMAScript regular expression
struct Host {};      ///< a numeric address or a host name
struct List {};      ///< items separated by commas
struct Patterns {};  ///< ECMAScript regular expressions, separated by blanks or lines
struct Url {
    std::vector<std::string_view> schemes;  ///< "https://" …
};
struct Provider {
    std::string_view of;  ///< "telephony", "stt", "llm", "tts": whose factory knows the names
};
struct Choice {
    std::vector<std::string_view> names;
};
struct Boolean {};
struct Port {};
struct Integer {
    std::int64_t min;
    std::int64_t max;
};
struct Number {
    double min;
    double max;
};
struct Duration {
    std::chrono::milliseconds min;
    std::chrono::milliseconds max;
};
using Rule = std::variant<
    Text,
    Secret,
    Path,
    Pattern,
    Host,
    List,
    Patterns,
    Url,
    Provider,
    Choice,
    Boolean,
    Port,
    Integer,
    Number,
    Duration>;

/// One key of the INI file: the only place where its name, meaning and limits are written. The
/// parser, check-config, --explain, docs/configuration.md and its JSON Schema all read this table.
struct Key {
    std::string_view section;  ///< "telephony.opensips"; "agent" also stands for every [agent.NAME]
    std::string_view name;
    Field (*field)(Target);
    Rule rule;
    std::string_view help;  ///< sentences in Markdown, without the default
};

/// A section's own sentence, for the reference.
struct SectionHelp {
    std::string_view name;
    std::string_view help;
};

/// Every key, grouped by section in the order of the reference.
std::span<const Key> schema();
std::span<const SectionHelp> sections();

/// The key of that section (lower case; "agent.sales" finds the keys of "agent"), or null.
const Key* find_key(std::string_view section, std::string_view name);

/// "agent" for "agent.sales", else the section itself.
std::string_view schema_section(std::string_view section) noexcept;

bool is_secret(const Key& key) noexcept;

/// Writes `text` into the key's field. Returns "" or, in words, what is wrong with the text (which
/// is not repeated when it is secret). Paths are taken as they are.
std::string set_value(const Key& key, Target target, std::string_view text);

/// The field's value as it would stand in an INI file.
std::string get_value(const Key& key, const Config& config, const pipeline::AgentConfig& agent);

/// The key's default, from a fresh Config.
std::string default_value(const Key& key);

/// "one of webrtc, silero, auto", "1 … 65535", "a duration such as 500ms or 2s (10ms … 5s)".
std::string describe(const Rule& rule);

/// "500ms", "2s", "1.5s", "3min", "1h" in any case; a plain 0 needs no unit.
Result<std::chrono::milliseconds, std::string> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds duration);

/// Names that a Provider rule accepts.
std::span<const std::string_view> known_providers(std::string_view of);

}  // namespace oavc::config
