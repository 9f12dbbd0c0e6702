#include "sip/bodies.hpp"

#include "sip/headers.hpp"
#include "sip/text.hpp"

#include <algorithm>

namespace oavc::sip {

std::optional<char> parse_info_digit(std::string_view media_type, std::string_view body) noexcept {
    std::string_view value;
    if (media_type == "application/dtmf-relay") {
        // Lines of name=value; the order is the sender's.
        while (!body.empty() && value.empty()) {
            const auto end = std::min(body.find_first_of("\r\n"), body.size());
            const auto line = body.substr(0, end);
            body.remove_prefix(std::min(end + 1, body.size()));
            const auto equals = line.find('=');
            if (equals != std::string_view::npos &&
                equals_ignoring_case(trim(line.substr(0, equals)), "signal")) {
                value = trim(line.substr(equals + 1));
            }
        }
    } else if (media_type == "application/dtmf") {
        value = trim(body.substr(0, body.find_first_of("\r\n")));
    }
    if (value == "10") return '*';  // event numbers of RFC 4733 §3.2, as some senders write them
    if (value == "11") return '#';
    if (value.size() != 1) return std::nullopt;
    const char c =
        value[0] >= 'a' && value[0] <= 'd' ? static_cast<char>(value[0] - 'a' + 'A') : value[0];
    constexpr std::string_view keys = "0123456789*#ABCD";
    return keys.find(c) == std::string_view::npos ? std::nullopt : std::optional{c};
}

std::string write_info_digit(char digit, std::chrono::milliseconds duration) {
    return std::string{"Signal="} + digit + "\r\nDuration=" + std::to_string(duration.count()) +
           "\r\n";
}

int sipfrag_status(std::string_view body) noexcept {
    auto rest = trim(body.substr(0, body.find_first_of("\r\n")));
    if (!next_word(rest).starts_with("SIP/")) return 0;
    const auto status = parse_number<int>(next_word(rest)).value_or(0);
    return status >= 100 && status <= 699 ? status : 0;
}

std::optional<std::string> complete_target(std::string_view target, std::string_view host) {
    target = trim(target);
    const bool clean = std::all_of(target.begin(), target.end(), [](char c) {
        return c > ' ' && c < 0x7F && c != '<' && c != '>' && c != '"';
    });
    if (target.empty() || target.size() > 512 || !clean) return std::nullopt;
    if (parse_uri(target)) return std::string{target};
    if (target.find(':') != std::string_view::npos) return std::nullopt;  // another scheme
    std::string uri = "sip:" + std::string{target};
    if (target.find('@') == std::string_view::npos) {
        if (host.empty()) return std::nullopt;
        uri += '@' + std::string{host};
    }
    if (!parse_uri(uri)) return std::nullopt;
    return uri;
}

std::string escape_uri_header(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            const auto value = static_cast<unsigned char>(c);
            out += '%';
            out += hex[value >> 4U];
            out += hex[value & 15U];
        }
    }
    return out;
}

}  // namespace oavc::sip
