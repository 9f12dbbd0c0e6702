#include "caller/conformance/sip_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

namespace oavc::caller::conformance {

namespace {

constexpr std::array<std::pair<char, std::string_view>, 12> compact_names{{
    {'v', "Via"},
    {'f', "From"},
    {'t', "To"},
    {'i', "Call-ID"},
    {'m', "Contact"},
    {'l', "Content-Length"},
    {'c', "Content-Type"},
    {'e', "Content-Encoding"},
    {'k', "Supported"},
    {'s', "Subject"},
    {'x', "Session-Expires"},
    {'r', "Refer-To"},
}};

std::string full_name(std::string_view name) {
    if (name.size() == 1) {
        for (const auto& [letter, full] : compact_names) {
            if (std::tolower(static_cast<unsigned char>(name[0])) == letter)
                return std::string{full};
        }
    }
    return std::string{name};
}

/// Cuts at `separator` outside of quotes and angle brackets.
std::vector<std::string> split_outside(std::string_view text, char separator) {
    std::vector<std::string> out(1);
    bool quoted = false;
    int angles = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted && c == '\\' && i + 1 < text.size()) {
            out.back() += c;
            out.back() += text[++i];
            continue;
        }
        if (c == '"') quoted = !quoted;
        if (!quoted && c == '<') ++angles;
        if (!quoted && c == '>') --angles;
        if (!quoted && angles <= 0 && c == separator) {
            out.emplace_back();
        } else {
            out.back() += c;
        }
    }
    for (auto& part : out)
        part = trimmed_text(part);
    return out;
}

/// Takes the next line off, without its end.
std::string_view take_line(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

}  // namespace

std::string trimmed_text(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return std::string{text.substr(first, text.find_last_not_of(blank) - first + 1)};
}

std::string lower(std::string_view text) {
    std::string out{text};
    for (char& c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

bool same_name(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
        return std::tolower(x) == std::tolower(y);
    });
}

namespace {

std::optional<std::string> find_parameter(std::string_view value, std::string_view name) {
    const auto parts = split_outside(value, ';');
    for (std::size_t i = 1; i < parts.size(); ++i) {
        const auto equals = std::min(parts[i].find('='), parts[i].size());
        if (!same_name(trimmed_text(std::string_view{parts[i]}.substr(0, equals)), name)) continue;
        if (equals == parts[i].size()) return std::string{};
        return trimmed_text(std::string_view{parts[i]}.substr(equals + 1));
    }
    return std::nullopt;
}

}  // namespace

std::string parameter(std::string_view value, std::string_view name) {
    return find_parameter(value, name).value_or("");
}
bool has_parameter(std::string_view value, std::string_view name) {
    return find_parameter(value, name).has_value();
}

std::string uri_of(std::string_view value) {
    const auto open = value.rfind('<');
    if (open != std::string_view::npos) {
        return std::string{value.substr(open + 1, value.find('>', open) - open - 1)};
    }
    return trimmed_text(value.substr(0, value.find(';')));
}

std::string Heard::header(std::string_view name) const {
    for (const auto& [known, value] : headers) {
        if (same_name(known, name)) return value;
    }
    return {};
}
bool Heard::has(std::string_view name) const {
    return std::any_of(headers.begin(), headers.end(), [name](const auto& header) {
        return same_name(header.first, name);
    });
}
std::vector<std::string> Heard::all(std::string_view name) const {
    std::vector<std::string> out;
    for (const auto& [known, value] : headers) {
        if (!same_name(known, name)) continue;
        for (auto& part : split_outside(value, ','))
            if (!part.empty()) out.push_back(std::move(part));
    }
    return out;
}
std::string Heard::what() const {
    if (status == 0) return method;
    return start_line.size() > 8 ? start_line.substr(8) : start_line;
}

Heard read_message(std::string_view text) {
    Heard out;
    out.start_line = take_line(text);
    if (out.start_line.starts_with("SIP/2.0 ")) {
        out.status = std::atoi(out.start_line.c_str() + 8);
    } else {
        out.method = out.start_line.substr(0, out.start_line.find(' '));
    }
    while (!text.empty()) {
        const auto line = take_line(text);
        if (line.empty()) break;
        if ((line.front() == ' ' || line.front() == '\t') && !out.headers.empty()) {
            out.headers.back().second += ' ' + trimmed_text(line);
            continue;
        }
        const auto colon = std::min(line.find(':'), line.size());
        out.headers.emplace_back(
            full_name(trimmed_text(line.substr(0, colon))),
            trimmed_text(line.substr(std::min(colon + 1, line.size())))
        );
    }
    out.body = text;
    if (out.status != 0) {
        const auto cseq = out.header("CSeq");
        out.method = trimmed_text(cseq.substr(std::min(cseq.find(' '), cseq.size())));
    }
    return out;
}

std::string Written::header(std::string_view name) const {
    for (const auto& [known, value] : headers) {
        if (same_name(known, name)) return value;
    }
    return {};
}
Written& Written::set(std::string_view name, std::string value) {
    for (auto& [known, old] : headers) {
        if (!same_name(known, name)) continue;
        old = std::move(value);
        return *this;
    }
    return add(std::string{name}, std::move(value));
}
Written& Written::add(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
}
Written& Written::put_first(std::string name, std::string value) {
    headers.emplace(headers.begin(), std::move(name), std::move(value));
    return *this;
}
Written& Written::remove(std::string_view name) {
    std::erase_if(headers, [name](const auto& header) { return same_name(header.first, name); });
    return *this;
}
std::string Written::text() const {
    std::string out = start_line + "\r\n";
    bool has_length = false;
    for (const auto& [name, value] : headers) {
        out += name + ": " + value + "\r\n";
        has_length = has_length || same_name(name, "Content-Length") || same_name(name, "l");
    }
    if (!has_length) out += fmt::format("Content-Length: {}\r\n", body.size());
    return out + "\r\n" + body;
}

std::optional<std::string> Description::Media::attribute(std::string_view name) const {
    // The medium's own stand after the session's: the last one counts.
    for (auto line = attributes.rbegin(); line != attributes.rend(); ++line) {
        if (*line == name) return std::string{};
        if (line->starts_with(name) && line->size() > name.size() && (*line)[name.size()] == ':') {
            return line->substr(name.size() + 1);
        }
    }
    return std::nullopt;
}

std::string Description::Media::codec(std::string_view format) const {
    for (const auto& line : attributes) {
        const std::string prefix = fmt::format("rtpmap:{} ", format);
        if (line.starts_with(prefix)) return line.substr(prefix.size());
    }
    if (format == "0") return "PCMU/8000";
    if (format == "8") return "PCMA/8000";
    if (format == "9") return "G722/8000";
    return {};
}

std::string Description::Media::direction() const {
    for (auto line = attributes.rbegin(); line != attributes.rend(); ++line) {
        if (*line == "sendrecv" || *line == "sendonly" || *line == "recvonly" ||
            *line == "inactive") {
            return *line;
        }
    }
    return "sendrecv";
}

const Description::Media* Description::audio() const {
    for (const auto& one : media) {
        if (one.kind == "audio" && one.port != 0) return &one;
    }
    return nullptr;
}

Description read_description(std::string_view text) {
    Description out;
    out.text = text;
    std::string connection;
    std::vector<std::string> session_attributes;
    while (!text.empty()) {
        const std::string line{take_line(text)};
        out.lines.push_back(line);
        if (line.size() < 2 || line[1] != '=') continue;
        const std::string value = line.substr(2);
        auto* medium = out.media.empty() ? nullptr : &out.media.back();
        switch (line[0]) {
            case 'o':
                out.origin = value;
                break;
            case 'c':
                (medium == nullptr ? connection : medium->connection) = value;
                break;
            case 'a':
                (medium == nullptr ? session_attributes : medium->attributes).push_back(value);
                break;
            case 'm': {
                const auto parts = split_outside(value, ' ');
                Description::Media next;
                if (!parts.empty()) next.kind = parts[0];
                if (parts.size() > 1) next.port = std::atoi(parts[1].c_str());
                if (parts.size() > 2) next.transport = parts[2];
                for (std::size_t i = 3; i < parts.size(); ++i)
                    next.formats.push_back(parts[i]);
                next.connection = connection;
                next.attributes = session_attributes;
                out.media.push_back(std::move(next));
                break;
            }
            default:
                break;
        }
    }
    return out;
}

}  // namespace oavc::caller::conformance
