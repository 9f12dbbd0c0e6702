#include "config/explain.hpp"

#include "config/legacy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace oavc::config {

namespace {

constexpr std::size_t widest_value = 48;

/// Characters, not bytes: UTF-8 continuation bytes do not count.
std::size_t columns(std::string_view text) noexcept {
    std::size_t count = 0;
    for (const char c : text)
        count += (static_cast<unsigned char>(c) & 0xC0u) != 0x80u ? 1 : 0;
    return count;
}

void pad(std::string& text, std::size_t width) {
    for (std::size_t have = columns(text); have < width; ++have)
        text += ' ';
}

/// On one line and not too wide.
std::string shown_value(const Setting& setting) {
    if (setting.value.empty()) return "(empty)";
    if (is_secret(*setting.key) || setting.origin.secret) return "****";
    std::string out;
    std::size_t width = 0;
    for (const char c : setting.value) {
        const bool starts_character = (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
        if (starts_character && ++width > widest_value) {
            return out + fmt::format("… ({} characters)", columns(setting.value));
        }
        if (c == '\n') {
            out += " / ";
            width += 2;
        } else {
            out += c;
        }
    }
    return out;
}

std::string shown_origin(const Setting& setting, std::string_view file) {
    const Origin& origin = setting.origin;
    switch (origin.kind) {
        case Origin::Kind::built_in:
            return origin.legacy.empty() ? "default" : "default (legacy file)";
        case Origin::Kind::environment:
            return fmt::format("environment {}", origin.name);
        case Origin::Kind::file:
            break;
    }
    std::string text = fmt::format("{}:{}", file, origin.line);
    if (!origin.legacy.empty()) text += fmt::format(" (legacy {})", origin.legacy);
    return text;
}

std::string plural(std::size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

std::string explain(const Loaded& loaded) {
    std::size_t key_width = 0;
    std::size_t value_width = 0;
    for (const Setting& setting : loaded.settings) {
        key_width = std::max(key_width, setting.key->name.size());
        value_width = std::max(value_width, columns(shown_value(setting)));
    }
    std::string out;
    std::string_view section;
    for (const Setting& setting : loaded.settings) {
        if (setting.section != section) {
            if (!out.empty()) out += '\n';
            out += fmt::format("[{}]\n", setting.section);
            section = setting.section;
        }
        std::string line = "  " + std::string{setting.key->name};
        pad(line, 2 + key_width + 2);
        line += shown_value(setting);
        pad(line, 2 + key_width + 2 + value_width + 2);
        out += line + shown_origin(setting, loaded.file) + '\n';
    }
    return out;
}

std::string list_problems(const Loaded& loaded, Severity least) {
    std::string out;
    for (const Problem& problem : loaded.problems) {
        if (problem.severity <= least) out += to_string(problem, loaded.file) + '\n';
    }
    if (loaded.problems.empty()) return out;
    std::vector<std::string> counts;
    if (const auto n = loaded.count(Severity::error); n > 0) counts.push_back(plural(n, "error"));
    if (const auto n = loaded.count(Severity::warning); n > 0) {
        counts.push_back(plural(n, "warning"));
    }
    if (const auto n = loaded.count(Severity::note); n > 0) counts.push_back(plural(n, "note"));
    return out + fmt::format("{}: {}\n", loaded.file, fmt::join(counts, ", "));
}

std::string reference() {
    std::string out = R"(# Configuration

One INI file, given with `oavc serve -c FILE`, else named by `OAVC_CONFIG_FILE` or `CONFIG_FILE`, else
`cfg/opensips-ai-voice-connector.ini`, else `config/dev.ini`. This page is printed from the same table
that reads the file: `oavc check-config --docs`; editors and pipelines take
[configuration.schema.json](configuration.schema.json), which comes from it as well.

- `oavc check-config FILE` lists every problem at once, with its line; `--explain` adds every value and
  where it came from. Secrets are never shown.
- `key = value` or `key: value`. A line that begins with `#` or `;` is a comment; a comment behind a
  value is not. A line that is indented deeper than its key continues the value.
- `${NAME}` takes the environment's value, `${NAME:-default}` has one of its own, `$${` is a plain `${`.
- The environment wins over the file: `OAVC_`, section, `_`, key, in capitals, everything else an
  underscore. `[telephony.twilio] auth_token` is `OAVC_TELEPHONY_TWILIO_AUTH_TOKEN`.
- Relative paths are relative to the INI file's folder.
- Durations have a unit: `500ms`, `2s`, `1.5s`, `10min`, `1h`.
- Names compare without case. Unknown keys are warned of, with the nearest known name.

A file of the predecessor works as it is; see [old names](#old-names) below.
)";
    for (const SectionHelp& section : sections()) {
        out += fmt::format("\n## [{}]\n\n{}\n\n", section.name, section.help);
        out += "| key | what | values | default |\n|---|---|---|---|\n";
        for (const Key& key : schema()) {
            if (key.section != section.name) continue;
            const std::string value = default_value(key);
            out += fmt::format(
                "| `{}` | {} | {} | {} |\n",
                key.name,
                key.help,
                describe(key.rule),
                value.empty() ? "" : fmt::format("`{}`", value)
            );
        }
    }
    out += R"(
## Old names

Sections, keys and environment variables of the predecessor are read under these names and reported
as notes. Where both are given, the new name wins within the file, and the environment over the file.

| old | now |
|---|---|
)";
    const auto row = [&](const Legacy& legacy, const std::string& old_name) {
        if (legacy.rewrite == Rewrite::ignored) {
            out += fmt::format("| `{}` | accepted, not used: {} |\n", old_name, legacy.note);
        } else {
            out += fmt::format(
                "| `{}` | `[{}] {}`{} |\n",
                old_name,
                legacy.to_section,
                legacy.to_name,
                legacy.rewrite == Rewrite::milliseconds  ? ", in milliseconds"
                : legacy.rewrite == Rewrite::seconds     ? ", in seconds"
                : legacy.rewrite == Rewrite::debug_level ? " = debug, when true"
                                                         : ""
            );
        }
    };
    for (const Legacy& legacy : legacy_keys()) {
        row(legacy, fmt::format("[{}] {}", legacy.section, legacy.name));
    }
    out += "| `[logging] format = structured` | `[logging] format = json` |\n";
    for (const Legacy& legacy : legacy_environment())
        row(legacy, std::string{legacy.name});
    out += "| `PORT` | `[api] port`, and it wins over everything |\n";
    return out;
}

}  // namespace oavc::config
