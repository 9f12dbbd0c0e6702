#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::config {

/// What an INI file may cost us at most; beyond it the rest is left out and reported.
struct IniLimits {
    std::size_t bytes{1 << 20};
    std::size_t entries{10'000};
    std::size_t value{64 * 1024};  ///< of one value, continuation lines included
    std::size_t problems{100};
};

/// One `key = value`. Key in lower case, section as written, value trimmed; continuation lines are
/// joined with '\n'.
struct IniEntry {
    std::string section;
    std::string key;
    std::string value;
    std::uint32_t line{0};  ///< of the key, from 1
};

struct IniSection {
    std::string name;  ///< as written, trimmed
    std::uint32_t line{0};
};

struct IniProblem {
    std::uint32_t line{0};
    std::string what;  ///< a sentence; never a value, which may be secret
};

struct IniDocument {
    std::vector<IniSection> sections;  ///< in file order, each name once
    std::vector<IniEntry> entries;     ///< in file order, each (section, key) once
    std::vector<IniProblem> problems;  ///< everything wrong, in file order
};

/// Parses the dialect of the predecessor's files (Python's configparser without interpolation):
/// `[section.name]`, `key = value` or `key: value`, comments from `#` or `;` at the start of a
/// line, lines indented deeper than their key continue its value. A byte order mark and CR LF are
/// accepted. Section and key names compare without case. A name given twice, text outside a section
/// and bytes that are not UTF-8 are problems; whatever is sound is returned all the same. One file
/// may have [rtp] and [RTP], as the predecessor's has: configparser tells them apart, so what
/// stands in both is a problem only where they disagree.
IniDocument parse_ini(std::string_view text, const IniLimits& limits = {}) noexcept;

/// ASCII only: names, not texts.
std::string to_lower(std::string_view text);
std::string_view trim(std::string_view text) noexcept;

}  // namespace oavc::config
