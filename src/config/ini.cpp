#include "config/ini.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace oavc::config {

namespace {

constexpr std::string_view blanks = " \t\r\f\v";

bool is_comment(std::string_view trimmed) noexcept {
    return trimmed.front() == '#' || trimmed.front() == ';';
}

/// Length of the UTF-8 sequence at the start of `text` (RFC 3629 §4), 0 when it is none.
std::size_t utf8_sequence(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto follows = [&](std::size_t count, unsigned low, unsigned high) {
        if (text.size() <= count) return false;
        if (byte(1) < low || byte(1) > high) return false;
        for (std::size_t i = 2; i <= count; ++i) {
            if ((byte(i) & 0xC0u) != 0x80u) return false;
        }
        return true;
    };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return follows(1, 0x80, 0xBF) ? 2 : 0;
    if (first == 0xE0) return follows(2, 0xA0, 0xBF) ? 3 : 0;
    if (first == 0xED) return follows(2, 0x80, 0x9F) ? 3 : 0;  // no surrogates
    if (first >= 0xE1 && first <= 0xEF) return follows(2, 0x80, 0xBF) ? 3 : 0;
    if (first == 0xF0) return follows(3, 0x90, 0xBF) ? 4 : 0;
    if (first >= 0xF1 && first <= 0xF3) return follows(3, 0x80, 0xBF) ? 4 : 0;
    if (first == 0xF4) return follows(3, 0x80, 0x8F) ? 4 : 0;
    return 0;
}

bool is_text(std::string_view line) noexcept {
    while (!line.empty()) {
        const std::size_t size = utf8_sequence(line);
        if (size == 0 || line.front() == '\0') return false;
        line.remove_prefix(size);
    }
    return true;
}

class Parser {
public:
    explicit Parser(const IniLimits& limits) noexcept : limits_{limits} {}

    IniDocument parse(std::string_view text) {
        if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
        if (text.size() > limits_.bytes) {
            problem(
                1,
                fmt::format("the file is larger than {} bytes; the rest is left out", limits_.bytes)
            );
            text = text.substr(0, limits_.bytes);
        }
        while (!text.empty() && !full_) {
            const std::size_t end = text.find('\n');
            ++line_;
            on_line(text.substr(0, end));
            text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        }
        finish_value();
        return std::move(document_);
    }

private:
    void problem(std::uint32_t line, std::string what) {
        if (document_.problems.size() + 1 < limits_.problems) {
            document_.problems.push_back({line, std::move(what)});
        } else if (document_.problems.size() < limits_.problems) {
            document_.problems.push_back({line, "more problems follow; these come first"});
        }
    }

    void on_line(std::string_view raw) {
        const std::string_view line = trim(raw);
        if (line.empty()) {
            if (open_ != none) ++blank_lines_;  // kept only when the value goes on below
            return;
        }
        if (is_comment(line)) return;
        if (!is_text(line)) {
            problem(line_, "this line is not UTF-8 text; save the file as UTF-8");
            return;
        }
        const std::size_t indent = raw.find_first_not_of(blanks);
        if (in_value_ && indent > indent_) {
            continue_value(line);
            return;
        }
        finish_value();
        indent_ = indent;
        if (line.front() == '[') {
            on_section(line);
        } else {
            on_key(line);
        }
    }

    void on_section(std::string_view line) {
        const std::string_view name = trim(line.substr(1, line.rfind(']') - 1));
        if (line.back() != ']' || name.empty()) {
            problem(line_, "a section is written [name] on a line of its own");
            section_known_ = false;  // its keys belong to nobody we know
            in_section_ = true;
            return;
        }
        in_section_ = true;
        section_known_ = true;
        const auto [found, fresh] =
            sections_.try_emplace(to_lower(name), document_.sections.size());
        other_spelling_ = !fresh && document_.sections[found->second].name != name;
        if (fresh) {
            document_.sections.push_back({std::string{name}, line_});
        } else if (!other_spelling_) {
            problem(
                line_,
                fmt::format(
                    "section [{}] was already opened in line {}; put its keys together",
                    name,
                    document_.sections[found->second].line
                )
            );
        }
        section_ = found->second;
    }

    void on_key(std::string_view line) {
        const std::size_t delimiter = line.find_first_of("=:");
        in_value_ = true;  // even of a broken line: what is indented below belongs to it
        if (delimiter == std::string_view::npos) {
            problem(line_, "expected `key = value`, `[section]`, or a comment that begins with #");
            return;
        }
        std::string key = to_lower(trim(line.substr(0, delimiter)));
        if (key.empty()) {
            problem(line_, fmt::format("there is no name before the '{}'", line[delimiter]));
            return;
        }
        if (!in_section_) {
            problem(line_, fmt::format("`{}` stands before the first [section]", key));
            return;
        }
        if (!section_known_) return;
        const auto [found, fresh] = keys_.try_emplace({section_, key}, document_.entries.size());
        if (!fresh) {
            const IniEntry& first = document_.entries[found->second];
            if (other_spelling_ && trim(line.substr(delimiter + 1)) == first.value) return;
            problem(
                line_, fmt::format("`{}` is given twice; the first is in line {}", key, first.line)
            );
            return;
        }
        if (document_.entries.size() >= limits_.entries) {
            problem(line_, fmt::format("more than {} keys; the rest is left out", limits_.entries));
            full_ = true;
            return;
        }
        open_ = document_.entries.size();
        document_.entries.push_back({document_.sections[section_].name, std::move(key), {}, line_});
        append(trim(line.substr(delimiter + 1)));
    }

    void continue_value(std::string_view line) {
        if (open_ == none) return;
        std::string separator(1 + blank_lines_, '\n');
        blank_lines_ = 0;
        if (document_.entries[open_].value.empty()) separator.clear();
        append(separator);
        append(line);
    }

    void append(std::string_view part) {
        std::string& value = document_.entries[open_].value;
        if (value.size() + part.size() > limits_.value) {
            if (!cut_) {
                problem(
                    document_.entries[open_].line,
                    fmt::format(
                        "a value may be at most {} bytes long; the rest is left out", limits_.value
                    )
                );
            }
            cut_ = true;
            return;
        }
        if (!cut_) value += part;
    }

    void finish_value() noexcept {
        open_ = none;
        in_value_ = false;
        blank_lines_ = 0;
        cut_ = false;
    }

    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    const IniLimits& limits_;
    IniDocument document_;
    std::map<std::string, std::size_t> sections_;                      ///< lower case → index
    std::map<std::pair<std::size_t, std::string>, std::size_t> keys_;  ///< (section, key) → entry
    std::uint32_t line_{0};
    std::size_t section_{0};
    std::size_t open_{none};  ///< the entry whose value may go on
    std::size_t indent_{0};   ///< of the key whose value may go on
    std::size_t blank_lines_{0};
    bool in_section_{false};
    bool section_known_{false};
    bool other_spelling_{false};  ///< this section was opened before, as [rtp] instead of [RTP]
    bool in_value_{false};
    bool cut_{false};
    bool full_{false};
};

}  // namespace

IniDocument parse_ini(std::string_view text, const IniLimits& limits) noexcept {
    return Parser{limits}.parse(text);
}

std::string to_lower(std::string_view text) {
    std::string lower{text};
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

std::string_view trim(std::string_view text) noexcept {
    constexpr std::string_view white = " \t\r\n\f\v";
    const std::size_t first = text.find_first_not_of(white);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(white) - first + 1);
}

}  // namespace oavc::config
