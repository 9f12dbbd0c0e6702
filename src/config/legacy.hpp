#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace oavc::config {

/// How an old value becomes a new one.
enum class Rewrite {
    alias,  ///< another name of equal right: as same, but not spoken of
    same,
    milliseconds,  ///< 300 → 300ms
    seconds,       ///< 5.0 → 5.0s
    piper_url,     ///< a host → ws://HOST:8000/tts
    debug_level,   ///< true → debug, false: as if it were not there
    probability,   ///< 0 … 1 as it is; more was an amplitude of samples, and is left out
    ignored,       ///< accepted and noted; nothing here needs it
};

/// A key or environment variable of the predecessor and what it is called here. Requirements of the
/// migration: an existing deployment's file and environment work unmodified.
struct Legacy {
    std::string_view section;  ///< lower case; empty: an environment variable
    std::string_view name;     ///< "*": every key of the section
    std::string_view to_section;
    std::string_view to_name;
    Rewrite rewrite;
    std::string_view note;  ///< why it is ignored, or a warning's ending; may be empty
};

std::span<const Legacy> legacy_keys();
std::span<const Legacy> legacy_environment();

const Legacy* find_legacy(std::string_view section, std::string_view name);

/// What the predecessor had in its code, not in its files: whom callers met.
struct LegacyPersona {
    std::string_view name;  ///< of a key of [agent]
    std::string_view value;
};
std::span<const LegacyPersona> legacy_persona();

/// The value in today's terms; nothing: as if it had not been given.
std::optional<std::string> rewrite(const Legacy& legacy, std::string_view value);

}  // namespace oavc::config
