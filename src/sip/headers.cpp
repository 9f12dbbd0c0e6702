#include "sip/headers.hpp"

#include "sip/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::sip {

namespace {

constexpr std::array compact_names{
    std::pair{'a', std::string_view{"accept-contact"}},
    std::pair{'b', std::string_view{"referred-by"}},
    std::pair{'c', std::string_view{"content-type"}},
    std::pair{'e', std::string_view{"content-encoding"}},
    std::pair{'f', std::string_view{"from"}},
    std::pair{'i', std::string_view{"call-id"}},
    std::pair{'k', std::string_view{"supported"}},
    std::pair{'l', std::string_view{"content-length"}},
    std::pair{'m', std::string_view{"contact"}},
    std::pair{'o', std::string_view{"event"}},
    std::pair{'r', std::string_view{"refer-to"}},
    std::pair{'s', std::string_view{"subject"}},
    std::pair{'t', std::string_view{"to"}},
    std::pair{'u', std::string_view{"allow-events"}},
    std::pair{'v', std::string_view{"via"}},
    std::pair{'x', std::string_view{"session-expires"}},
};

bool is_name(std::string_view written, std::string_view wanted) noexcept {
    if (equals_ignoring_case(written, wanted)) return true;
    if (written.size() != 1) return false;
    for (const auto& [letter, name] : compact_names) {
        if (to_lower(written[0]) == letter) return equals_ignoring_case(name, wanted);
    }
    return false;
}

/// Takes one line, without its end, off `rest`.
std::string_view next_line(std::string_view& rest) noexcept {
    const auto end = std::min(rest.find_first_of("\r\n"), rest.size());
    const auto line = rest.substr(0, end);
    auto after = end;
    if (after < rest.size() && rest[after] == '\r') ++after;
    if (after < rest.size() && rest[after] == '\n') ++after;
    rest.remove_prefix(after);
    return line;
}

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = to_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
            hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// The digits of a telephone number without "visual separators" (RFC 3966 §5.1.1).
std::string telephone_number(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view{"-.() "}.find(c) == std::string_view::npos) out += c;
    }
    return out;
}

/// The end of a quoted string that begins at 0, past its closing quote; npos when it has none.
std::size_t end_of_quoted(std::string_view text) noexcept {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            return i + 1;
        }
    }
    return std::string_view::npos;
}

std::string unquoted(std::string_view quoted) {
    std::string out;
    for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
        if (quoted[i] == '\\' && i + 2 < quoted.size()) ++i;
        out += quoted[i];
    }
    return out;
}

/// Where the parameter that begins at 0 ends: the next semicolon outside quotes.
std::size_t end_of_parameter(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ';') return i;
        if (text[i] != '"') continue;
        const auto quoted = end_of_quoted(text.substr(i));
        if (quoted == std::string_view::npos) break;
        i += quoted - 1;
    }
    return text.size();
}

}  // namespace

bool is_sips(std::string_view uri) noexcept {
    return equals_ignoring_case(uri.substr(0, 5), "sips:");
}

std::optional<std::string> find_parameter(std::string_view parameters, std::string_view name) {
    while (!parameters.empty()) {
        parameters.remove_prefix(1);  // the semicolon
        const auto end = end_of_parameter(parameters);
        const auto one = parameters.substr(0, end);
        const auto equals = one.find('=');
        if (equals_ignoring_case(trim(one.substr(0, equals)), name)) {
            if (equals == std::string_view::npos) return std::string{};
            const auto value = trim(one.substr(equals + 1));
            if (!value.empty() && value.front() == '"') return unquoted(value);
            return std::string{value};
        }
        parameters.remove_prefix(end);
    }
    return std::nullopt;
}

std::optional<std::string> Headers::find(std::string_view name) const {
    auto rest = text_;
    for (std::size_t lines = 0; !rest.empty() && lines < max_lines; ++lines) {
        const auto line = next_line(rest);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos || (!line.empty() && is_blank(line[0]))) continue;
        if (!is_name(trim(line.substr(0, colon)), name)) continue;
        std::string value{trim(line.substr(colon + 1)).substr(0, max_value)};
        // Folded lines begin with a blank, which stands for one space (RFC 3261 §7.3.1).
        while (!rest.empty() && is_blank(rest[0]) && lines < max_lines) {
            const auto folded = trim(next_line(rest));
            ++lines;
            if (value.size() + 1 + folded.size() > max_value) break;
            if (!folded.empty()) value.append(1, ' ').append(folded);
        }
        return value;
    }
    return std::nullopt;
}

std::string Uri::address() const {
    if (user.empty()) return host;
    return host.empty() ? user : user + '@' + host;
}

bool Uri::is_anonymous() const noexcept {
    return equals_ignoring_case(user, "anonymous") ||
           equals_ignoring_case(host, "anonymous.invalid");
}

Result<Uri> parse_uri(std::string_view text) noexcept {
    text = trim(text);
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || text.size() > Headers::max_value) {
        return SipErrc::bad_address;
    }
    Uri uri;
    uri.text = text;
    for (const char c : text.substr(0, colon))
        uri.scheme += to_lower(c);
    auto rest = text.substr(colon + 1);
    if (uri.scheme == "tel") {
        uri.user = telephone_number(rest.substr(0, rest.find(';')));
        if (uri.user.empty()) return SipErrc::bad_address;
        return uri;
    }
    if (uri.scheme != "sip" && uri.scheme != "sips") return SipErrc::bad_address;
    // The user part may hold ';' and '?', so the '@' is looked for first (RFC 3261 §19.1.1).
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        auto user = rest.substr(0, at);
        user = user.substr(0, user.find(':'));  // a password
        user = user.substr(0, user.find(';'));  // ;phone-context=…
        uri.user = percent_decoded(user);
        rest.remove_prefix(at + 1);
    }
    auto host_port = rest.substr(0, rest.find_first_of(";?"));
    rest.remove_prefix(host_port.size());
    const auto question = std::min(rest.find('?'), rest.size());
    uri.parameters = rest.substr(0, question);
    if (question < rest.size()) uri.headers = rest.substr(question + 1);
    if (!host_port.empty() && host_port.front() == '[') {
        const auto bracket = host_port.find(']');
        if (bracket == std::string_view::npos) return SipErrc::bad_address;
        uri.host = host_port.substr(0, bracket + 1);
    } else {
        uri.host = host_port.substr(0, host_port.find(':'));
    }
    if (uri.host.empty()) return SipErrc::bad_address;
    host_port.remove_prefix(uri.host.size());
    if (!host_port.empty()) {
        uri.port = parse_number<std::uint16_t>(host_port.substr(1));
        if (host_port.front() != ':' || !uri.port) return SipErrc::bad_address;
    }
    return uri;
}

std::optional<std::string> Uri::parameter(std::string_view name) const {
    return find_parameter(parameters, name);
}

Result<NameAddress> parse_name_address(std::string_view value) noexcept {
    value = trim(value);
    NameAddress out;
    if (!value.empty() && value.front() == '"') {
        const auto end = end_of_quoted(value);
        if (end == std::string_view::npos) return SipErrc::bad_address;
        out.display_name = unquoted(value.substr(0, end));
        value = trim(value.substr(end));
        if (value.empty() || value.front() != '<') return SipErrc::bad_address;
    }
    const auto open = value.find('<');
    if (open == std::string_view::npos) {
        // Without brackets, parameters belong to the header, not to the URI (RFC 3261 §20.10).
        const auto semicolon = std::min(value.find(';'), value.size());
        auto uri = parse_uri(value.substr(0, semicolon));
        if (!uri) return uri.error();
        out.uri = std::move(*uri);
        out.parameters = value.substr(semicolon);
        out.tag = find_parameter(out.parameters, "tag").value_or("");
        return out;
    }
    if (out.display_name.empty()) out.display_name = trim(value.substr(0, open));
    const auto close = value.find('>', open);
    if (close == std::string_view::npos) return SipErrc::bad_address;
    auto uri = parse_uri(value.substr(open + 1, close - open - 1));
    if (!uri) return uri.error();
    out.uri = std::move(*uri);
    auto parameters = value.substr(close + 1);
    parameters.remove_prefix(std::min(parameters.find(';'), parameters.size()));
    out.parameters = parameters;
    out.tag = find_parameter(parameters, "tag").value_or("");
    return out;
}

std::string media_type(std::string_view content_type) {
    std::string out;
    for (const char c : trim(content_type.substr(0, content_type.find(';'))))
        out += to_lower(c);
    return out;
}

}  // namespace oavc::sip
