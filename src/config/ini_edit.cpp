#include "config/ini_edit.hpp"

#include "config/ini.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

namespace oavc::config {

namespace {

/// Each with its line ending.
std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
        lines.emplace_back(line);
        text.remove_prefix(line.size());
    }
    return lines;
}

std::string_view ending_of(std::string_view line) noexcept {
    return line.ends_with("\r\n") ? "\r\n" : "\n";
}

std::string_view indent_of(std::string_view line) noexcept {
    return line.substr(0, line.find_first_not_of(" \t"));
}

bool is_nothing(std::string_view line) noexcept {
    const auto text = trim(line);
    return text.empty() || text.front() == '#' || text.front() == ';';
}

void replace(std::vector<std::string>& lines, std::size_t at, std::string_view value) {
    const std::string line = lines[at];
    const auto delimiter = line.find_first_of("=:");
    const auto old = std::min(line.find_first_not_of(" \t", delimiter + 1), line.size());
    const bool nothing = trim(std::string_view{line}.substr(delimiter + 1)).empty();
    std::string changed = nothing ? line.substr(0, delimiter + 1) + ' ' : line.substr(0, old);
    changed += value;
    if (line.ends_with('\n')) changed += ending_of(line);
    // What was indented deeper belonged to the old value.
    const auto indent = indent_of(line).size();
    for (auto next = at + 1; next < lines.size();) {
        if (is_nothing(lines[next])) {
            ++next;
        } else if (indent_of(lines[next]).size() > indent) {
            lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(next));
        } else {
            break;
        }
    }
    lines[at] = std::move(changed);
}

}  // namespace

std::string with_ini_value(
    std::string_view ini, std::string_view section, std::string_view key, std::string_view value
) {
    const IniDocument document = parse_ini(ini);
    auto lines = lines_of(ini);
    const auto in_section = [&](const IniEntry& entry) {
        return to_lower(entry.section) == to_lower(section);
    };
    const auto entry = std::ranges::find_if(document.entries, [&](const IniEntry& e) {
        return in_section(e) && e.key == to_lower(key);
    });
    const auto found = std::ranges::find_if(document.sections, [&](const IniSection& s) {
        return to_lower(s.name) == to_lower(section);
    });
    if (entry != document.entries.end()) {
        replace(lines, entry->line - 1, value);
    } else if (found != document.sections.end()) {
        std::string& header = lines[found->line - 1];
        const std::string ending{ending_of(header)};
        if (!header.ends_with('\n')) header += ending;
        // As deep as its neighbours: they would continue its value otherwise.
        const auto neighbour = std::ranges::find_if(document.entries, in_section);
        std::string line;
        if (neighbour != document.entries.end()) line = indent_of(lines[neighbour->line - 1]);
        line.append(key).append(" = ").append(value).append(ending);
        lines.insert(lines.begin() + found->line, std::move(line));
    } else {
        const std::string ending{lines.empty() ? "\n" : ending_of(lines.front())};
        if (!lines.empty()) {
            if (!lines.back().ends_with('\n')) lines.back() += ending;
            lines.push_back(ending);
        }
        std::string added{"["};
        added.append(section).append("]").append(ending);
        added.append(key).append(" = ").append(value).append(ending);
        lines.push_back(std::move(added));
    }
    std::string out;
    for (const std::string& line : lines)
        out += line;
    return out;
}

}  // namespace oavc::config
