#include "sip/message.hpp"

#include "sip/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace oavc::sip {

namespace {

/// Compact forms (RFC 3261 §7.3.3 and the registry) and the spelling of the names we write.
constexpr std::array known_names{
    std::pair{'\0', std::string_view{"Accept"}},
    std::pair{'\0', std::string_view{"Allow"}},
    std::pair{'\0', std::string_view{"CSeq"}},
    std::pair{'\0', std::string_view{"Max-Forwards"}},
    std::pair{'\0', std::string_view{"Record-Route"}},
    std::pair{'\0', std::string_view{"Require"}},
    std::pair{'\0', std::string_view{"Route"}},
    std::pair{'a', std::string_view{"Accept-Contact"}},
    std::pair{'b', std::string_view{"Referred-By"}},
    std::pair{'c', std::string_view{"Content-Type"}},
    std::pair{'d', std::string_view{"Request-Disposition"}},
    std::pair{'e', std::string_view{"Content-Encoding"}},
    std::pair{'f', std::string_view{"From"}},
    std::pair{'i', std::string_view{"Call-ID"}},
    std::pair{'j', std::string_view{"Reject-Contact"}},
    std::pair{'k', std::string_view{"Supported"}},
    std::pair{'l', std::string_view{"Content-Length"}},
    std::pair{'m', std::string_view{"Contact"}},
    std::pair{'o', std::string_view{"Event"}},
    std::pair{'r', std::string_view{"Refer-To"}},
    std::pair{'s', std::string_view{"Subject"}},
    std::pair{'t', std::string_view{"To"}},
    std::pair{'u', std::string_view{"Allow-Events"}},
    std::pair{'v', std::string_view{"Via"}},
    std::pair{'x', std::string_view{"Session-Expires"}},
};

constexpr bool is_alphanumeric(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_token_char(char c) noexcept {
    return is_alphanumeric(c) || std::string_view{"-.!%*_+`'~"}.find(c) != std::string_view::npos;
}
bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}
/// Printable and none of what ends or quotes a URI.
bool is_uri_text(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return c > ' ' && c != 0x7F && c != '<' && c != '>' && c != '"';
    });
}
bool is_host(std::string_view text) noexcept {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
        text = text.substr(1, text.size() - 2);
        return std::all_of(text.begin(), text.end(), [](char c) {
            return is_alphanumeric(c) || c == ':' || c == '.' || c == '%';
        });
    }
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
    });
}

std::string long_name(std::string_view name) {
    for (const auto& [letter, known] : known_names) {
        if (name.size() == 1 ? letter != '\0' && to_lower(name[0]) == letter
                             : equals_ignoring_case(name, known)) {
            return std::string{known};
        }
    }
    return std::string{name};
}

std::string lower(std::string_view text) {
    std::string out;
    for (const char c : text)
        out += to_lower(c);
    return out;
}
std::string upper(std::string_view text) {
    std::string out;
    for (const char c : text)
        out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
}

/// Past the closing quote of the string that begins at `start`; npos: it has none.
std::size_t after_quoted(std::string_view text, std::size_t start) noexcept {
    for (std::size_t i = start + 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            return i + 1;
        }
    }
    return std::string_view::npos;
}

/// ";name", ";name=token", ";name="quoted"", ";name=host": none of them empty (RFC 4475 §3.1.2.1).
bool are_parameters(std::string_view text) noexcept {
    text = trim(text);
    while (!text.empty()) {
        if (text.front() != ';') return false;
        text = trim(text.substr(1));
        std::size_t end = 0;
        while (end < text.size() && is_token_char(text[end]))
            ++end;
        if (end == 0) return false;
        text = trim(text.substr(end));
        if (text.empty() || text.front() == ';') continue;
        if (text.front() != '=') return false;
        text = trim(text.substr(1));
        if (text.empty()) return false;
        end = 0;
        if (text.front() == '"') {
            end = after_quoted(text, 0);
            if (end == std::string_view::npos) return false;
        } else {
            while (end < text.size() && text[end] != ';' && !is_blank(text[end]))
                ++end;
            const auto value = text.substr(0, end);
            if (!is_token(value) && !is_host(value) && !is_uri_text(value)) return false;
            if (value.find(',') != std::string_view::npos) return false;
        }
        text = trim(text.substr(end));
    }
    return true;
}

/// The form of From, To, Contact and Route, as RFC 4475 §3.1.2 wants it judged. The scheme may be
/// any.
bool is_name_address(std::string_view value) noexcept {
    value = trim(value);
    if (value.empty()) return false;
    if (value.front() == '"') {
        const auto end = after_quoted(value, 0);
        if (end == std::string_view::npos) return false;
        value = trim(value.substr(end));
        if (value.empty() || value.front() != '<') return false;
    }
    const auto open = value.find('<');
    if (open == std::string_view::npos) {
        const auto semicolon = std::min(value.find(';'), value.size());
        const auto uri = trim(value.substr(0, semicolon));
        return is_uri_text(uri) && uri.find(':') != std::string_view::npos &&
               uri.find_first_of(",?") == std::string_view::npos &&
               are_parameters(value.substr(semicolon));
    }
    const auto name = trim(value.substr(0, open));
    const bool words = std::all_of(name.begin(), name.end(), [](char c) {
        return is_token_char(c) || is_blank(c) || static_cast<unsigned char>(c) >= 0x80;
    });
    const auto close = value.find('>', open);
    if (!words || close == std::string_view::npos) return false;
    const auto uri = value.substr(open + 1, close - open - 1);
    const auto colon = uri.find(':');
    return is_uri_text(uri) && colon != std::string_view::npos && is_token(uri.substr(0, colon)) &&
           are_parameters(value.substr(close + 1));
}

/// Takes one line off `rest`, with its folded continuations (§7.3.1). Nothing: no line end.
std::optional<std::string_view> take_line(std::string_view& rest) noexcept {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    auto line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
}

/// A null byte is text only where a backslash quotes it (§25.1 quoted-pair, RFC 4475 §3.1.1.2).
bool has_bare_null(std::string_view line) noexcept {
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\0' && (i == 0 || line[i - 1] != '\\')) return true;
    }
    return false;
}

ParseError bad(std::string_view whole, std::string_view rest, std::string what) {
    return {SipErrc::bad_message, whole.size() - rest.size(), std::move(what)};
}

/// "SIP/2.0", its case open; 0: no version at all, else 20 for 2.0.
int version_of(std::string_view text) noexcept {
    if (text.size() < 7 || !equals_ignoring_case(text.substr(0, 4), "SIP/")) return 0;
    const auto dot = text.find('.');
    if (dot == std::string_view::npos) return 0;
    const auto major = parse_number<unsigned>(text.substr(4, dot - 4));
    const auto minor = parse_number<unsigned>(text.substr(dot + 1));
    if (!major || !minor) return 0;
    return *major == 2 && *minor == 0 ? 20 : 1;
}

/// Once at most: a second one is a contradiction (RFC 4475 §3.3.8).
constexpr std::array single_names{
    std::string_view{"Call-ID"},
    std::string_view{"CSeq"},
    std::string_view{"From"},
    std::string_view{"To"},
    std::string_view{"Max-Forwards"},
    std::string_view{"Content-Length"},
    std::string_view{"Content-Type"},
};

std::optional<Flaw> find_flaw(const Message& message) {
    for (const auto name : single_names) {
        const auto same = [&](const HeaderField& field) {
            return equals_ignoring_case(field.name, name);
        };
        if (std::count_if(message.headers.begin(), message.headers.end(), same) > 1) {
            return Flaw{400, "More than one " + std::string{name}};
        }
    }
    if (const auto via = message.top_via(); via && !are_parameters(via->parameters)) {
        return Flaw{400, "Bad Via"};
    }
    for (const auto name : {"From", "To"}) {
        const auto* value = message.find(name);
        if (value == nullptr) return Flaw{400, std::string{"No "} + name};
        if (!is_name_address(*value)) return Flaw{400, std::string{"Bad "} + name};
    }
    const auto* call_id = message.find("Call-ID");
    if (call_id == nullptr || call_id->empty()) return Flaw{400, "No Call-ID"};
    if (call_id->find_first_of(" \t") != std::string::npos) return Flaw{400, "Bad Call-ID"};

    const auto* cseq = message.find("CSeq");
    if (cseq == nullptr) return Flaw{400, "No CSeq"};
    std::string_view rest{*cseq};
    const auto number = parse_number<std::uint32_t>(next_word(rest));
    const auto method = trim(rest);
    if (!number || *number > 0x7FFFFFFFu || !is_token(method)) return Flaw{400, "Bad CSeq"};
    if (message.is_request() && method != message.method) {
        return Flaw{400, "CSeq Does Not Match Method"};
    }
    if (const auto* hops = message.find("Max-Forwards");
        hops != nullptr && !parse_number<std::uint8_t>(*hops)) {
        return Flaw{400, "Bad Max-Forwards"};
    }
    for (const auto name : {"Contact", "Record-Route", "Route"}) {
        for (const auto& value : message.list(name)) {
            if (value != "*" && !is_name_address(value))
                return Flaw{400, std::string{"Bad "} + name};
        }
    }
    return std::nullopt;
}

/// Reads Content-Length and takes the body. False: the message contradicts its length.
bool take_body(Message& message, std::string_view rest) {
    const auto* length = message.find("Content-Length");
    if (length == nullptr) {
        message.body = rest;
        return true;
    }
    const auto size = parse_number<std::uint32_t>(*length);
    if (!size || *size > rest.size()) return false;
    message.body = rest.substr(0, *size);
    return true;
}

Result<ParsedMessage, ParseError> parse(std::string_view bytes) {
    if (bytes.size() > max_message_bytes) {
        return ParseError{SipErrc::too_long, max_message_bytes, "message is too long"};
    }
    auto rest = bytes;
    while (rest.starts_with("\r\n"))
        rest.remove_prefix(2);  // §7.5
    const auto start = take_line(rest);
    if (!start) return bad(bytes, rest, "no start line");

    ParsedMessage out;
    Message& message = out.message;
    const auto first_space = start->find(' ');
    if (first_space == std::string_view::npos) return bad(bytes, rest, "no start line");
    if (const int version = version_of(start->substr(0, first_space)); version != 0) {
        auto words = start->substr(first_space + 1);
        const auto status = parse_number<int>(words.substr(0, 3));
        if (version != 20 || !status || *status < 100 || *status > 699 ||
            (words.size() > 3 && words[3] != ' ')) {
            return bad(bytes, rest, "bad status line");
        }
        message.status = *status;
        if (words.size() > 4) message.reason = words.substr(4);
    } else {
        const auto method = start->substr(0, first_space);
        const auto last_space = start->rfind(' ');
        const auto written = start->substr(last_space + 1);
        if (!is_token(method)) return bad(bytes, rest, "bad method");
        message.method = method;
        if (last_space > first_space)
            message.uri = start->substr(first_space + 1, last_space - first_space - 1);
        const int request_version = version_of(written);
        if (request_version == 0) {
            if (start->find("SIP/") == std::string_view::npos)
                return bad(bytes, rest, "no start line");
            out.flaw = Flaw{400, "Bad Request Line"};
        } else if (request_version != 20) {
            out.flaw = Flaw{505, "Version Not Supported"};
        } else if (!is_uri_text(message.uri) || message.uri.find(':') == std::string::npos ||
                   message.uri.front() == ':') {
            out.flaw = Flaw{400, "Bad Request-URI"};
        }
    }

    const auto flawed = [&](std::string what) {
        if (!out.flaw) out.flaw = Flaw{400, std::move(what)};
    };
    bool ended = false;
    while (const auto line = take_line(rest)) {
        if (line->empty()) {
            ended = true;
            break;
        }
        if (has_bare_null(*line)) flawed("Null Byte");
        if (is_blank(line->front())) {
            const auto more = trim(*line);
            if (message.headers.empty()) {
                flawed("Bad Header");
            } else if (message.headers.back().value.size() + more.size() > max_header_bytes) {
                return ParseError{SipErrc::too_long, bytes.size() - rest.size(), "header too long"};
            } else if (!more.empty()) {
                auto& value = message.headers.back().value;
                if (!value.empty()) value += ' ';
                value += more;
            }
            continue;
        }
        const auto colon = line->find(':');
        const auto name = trim(line->substr(0, std::min(colon, line->size())));
        if (colon == std::string_view::npos || !is_token(name)) {
            flawed("Bad Header");
            continue;
        }
        const auto value = trim(line->substr(colon + 1));
        if (value.size() > max_header_bytes || message.headers.size() == max_message_headers) {
            return ParseError{SipErrc::too_long, bytes.size() - rest.size(), "too many headers"};
        }
        message.headers.push_back({long_name(name), std::string{value}});
    }
    if (!ended) {
        flawed("No Empty Line After Headers");
        rest = {};
    }
    if (!message.top_via()) return bad(bytes, bytes, "no Via to answer to");
    if (!take_body(message, rest)) flawed("Bad Content-Length");
    if (!out.flaw) out.flaw = find_flaw(message);
    if (out.flaw && !message.is_request()) return bad(bytes, bytes, out.flaw->what);
    return out;
}

}  // namespace

const std::string* Message::find(std::string_view name) const noexcept {
    for (const auto& field : headers) {
        if (equals_ignoring_case(field.name, name)) return &field.value;
    }
    return nullptr;
}

std::string_view Message::get(std::string_view name) const noexcept {
    const auto* value = find(name);
    return value == nullptr ? std::string_view{} : std::string_view{*value};
}

std::vector<std::string> Message::list(std::string_view name) const {
    std::vector<std::string> out;
    for (const auto& field : headers) {
        if (!equals_ignoring_case(field.name, name)) continue;
        for (auto& value : split_list(field.value))
            out.push_back(std::move(value));
    }
    return out;
}

bool Message::lists(std::string_view name, std::string_view token) const {
    const auto values = list(name);
    return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
        return equals_ignoring_case(value, token);
    });
}

void Message::add(std::string name, std::string value) {
    headers.push_back({std::move(name), std::move(value)});
}

void Message::set(std::string_view name, std::string value) {
    const auto found = std::find_if(headers.begin(), headers.end(), [&](const HeaderField& field) {
        return equals_ignoring_case(field.name, name);
    });
    if (found == headers.end()) return add(std::string{name}, std::move(value));
    found->value = std::move(value);
    headers.erase(
        std::remove_if(
            std::next(found),
            headers.end(),
            [&](const HeaderField& field) { return equals_ignoring_case(field.name, name); }
        ),
        headers.end()
    );
}

void Message::remove(std::string_view name) {
    std::erase_if(headers, [&](const HeaderField& field) {
        return equals_ignoring_case(field.name, name);
    });
}

void Message::set_body(std::string content_type, std::string content) {
    set("Content-Type", std::move(content_type));
    body = std::move(content);
}

CSeq Message::cseq() const {
    std::string_view rest = get("CSeq");
    CSeq out;
    out.number = parse_number<std::uint32_t>(next_word(rest)).value_or(0);
    out.method = trim(rest);
    return out;
}

NameAddress Message::from() const {
    auto parsed = parse_name_address(get("From"));
    return parsed ? std::move(*parsed) : NameAddress{};
}

NameAddress Message::to() const {
    auto parsed = parse_name_address(get("To"));
    return parsed ? std::move(*parsed) : NameAddress{};
}

std::optional<Via> Message::top_via() const {
    const auto* value = find("Via");
    if (value == nullptr) return std::nullopt;
    const auto values = split_list(*value);
    if (values.empty()) return std::nullopt;
    auto via = parse_via(values.front());
    if (!via) return std::nullopt;
    return std::move(*via);
}

std::string Message::transaction_method() const { return is_request() ? method : cseq().method; }

Result<ParsedMessage, ParseError> parse_message(std::string_view bytes) noexcept {
    return parse(bytes);
}

std::string write_message(const Message& message) {
    std::string out;
    out.reserve(512 + message.body.size());
    if (message.is_request()) {
        out.append(message.method).append(" ").append(message.uri).append(" SIP/2.0\r\n");
    } else {
        out.append("SIP/2.0 ").append(std::to_string(message.status)).append(" ");
        out.append(message.reason).append("\r\n");
    }
    for (const auto& field : message.headers) {
        if (equals_ignoring_case(field.name, "Content-Length")) continue;
        out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    out.append("Content-Length: ").append(std::to_string(message.body.size()));
    out.append("\r\n\r\n").append(message.body);
    return out;
}

Result<Via> parse_via(std::string_view value) noexcept {
    // "SIP / 2.0 / UDP host : port ;parameters": blanks may stand around each part.
    value = trim(value);
    const auto take_part = [&](char separator) {
        const auto end = std::min(value.find(separator), value.size());
        const auto part = trim(value.substr(0, end));
        value.remove_prefix(std::min(end + 1, value.size()));
        return part;
    };
    // Whoever speaks another version is told so with 505: not here.
    if (!equals_ignoring_case(take_part('/'), "SIP") || !is_token(take_part('/'))) {
        return SipErrc::bad_message;
    }
    Via via;
    value = trim(value);
    const auto transport = next_word(value);
    if (!is_token(transport)) return SipErrc::bad_message;
    via.transport = upper(transport);
    const auto semicolon = std::min(value.find(';'), value.size());
    auto sent_by = trim(value.substr(0, semicolon));
    via.parameters = trim(value.substr(semicolon));
    std::size_t host_end = sent_by.find(':');
    if (!sent_by.empty() && sent_by.front() == '[') {
        host_end = sent_by.find(']');
        if (host_end == std::string_view::npos) return SipErrc::bad_message;
        ++host_end;
    }
    const auto host = trim(sent_by.substr(0, std::min(host_end, sent_by.size())));
    if (!is_host(host)) return SipErrc::bad_message;
    via.host = lower(host);
    auto port = trim(sent_by.substr(std::min(host_end, sent_by.size())));
    if (!port.empty()) {
        via.port = parse_number<std::uint16_t>(trim(port.substr(1)));
        if (port.front() != ':' || !via.port) return SipErrc::bad_message;
    }
    via.branch = find_parameter(via.parameters, "branch").value_or("");
    via.received = find_parameter(via.parameters, "received").value_or("");
    via.maddr = find_parameter(via.parameters, "maddr").value_or("");
    if (const auto rport = find_parameter(via.parameters, "rport")) {
        via.asks_rport = true;
        via.rport = parse_number<std::uint16_t>(*rport);
    }
    return via;
}

std::vector<std::string> split_list(std::string_view value) {
    std::vector<std::string> out;
    std::size_t start = 0;
    bool in_brackets = false;
    const auto take = [&](std::size_t end) {
        const auto one = trim(value.substr(start, end - start));
        if (!one.empty()) out.emplace_back(one);
        start = end + 1;
    };
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '"' && !in_brackets) {
            const auto end = after_quoted(value, i);
            if (end == std::string_view::npos) break;
            i = end - 1;
        } else if (value[i] == '<') {
            in_brackets = true;
        } else if (value[i] == '>') {
            in_brackets = false;
        } else if (value[i] == ',' && !in_brackets) {
            take(i);
        }
    }
    if (start < value.size()) take(value.size());
    return out;
}

std::string_view reason_phrase(int status) noexcept {
    switch (status) {
        case 100:
            return "Trying";
        case 180:
            return "Ringing";
        case 183:
            return "Session Progress";
        case 200:
            return "OK";
        case 202:
            return "Accepted";
        case 302:
            return "Moved Temporarily";
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Unsupported URI Scheme";
        case 420:
            return "Bad Extension";
        case 422:
            return "Session Interval Too Small";
        case 480:
            return "Temporarily Unavailable";
        case 481:
            return "Call/Transaction Does Not Exist";
        case 482:
            return "Loop Detected";
        case 486:
            return "Busy Here";
        case 487:
            return "Request Terminated";
        case 488:
            return "Not Acceptable Here";
        case 491:
            return "Request Pending";
        case 500:
            return "Server Internal Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 505:
            return "Version Not Supported";
        case 513:
            return "Message Too Large";
        case 600:
            return "Busy Everywhere";
        case 603:
            return "Decline";
        default:
            return status < 200 ? "Progress" : status < 300 ? "OK" : "Rejected";
    }
}

Message make_response(
    const Message& request, int status, std::string_view to_tag, std::string_view reason
) {
    Message response;
    response.status = status;
    response.reason = reason.empty() ? reason_phrase(status) : reason;
    const bool dialog = status > 100 && status < 300;
    for (const auto& field : request.headers) {
        for (const std::string_view name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
            if (!equals_ignoring_case(field.name, name)) continue;
            response.headers.push_back(field);
            if (name == "To" && status > 100 && !to_tag.empty() && request.to().tag.empty()) {
                response.headers.back().value.append(";tag=").append(to_tag);
            }
        }
        const bool repeated = (dialog && equals_ignoring_case(field.name, "Record-Route")) ||
                              (status == 100 && equals_ignoring_case(field.name, "Timestamp"));
        if (repeated) response.headers.push_back(field);
    }
    return response;
}

Result<StreamMessage> next_in_stream(std::string_view bytes) noexcept {
    StreamMessage out;
    while (out.skipped < bytes.size() && (bytes[out.skipped] == '\r' || bytes[out.skipped] == '\n')
    ) {
        if (bytes.substr(out.skipped).starts_with("\r\n\r\n")) {
            ++out.pings;
            out.skipped += 4;
        } else if (bytes.size() - out.skipped < 4 && bytes.substr(out.skipped).starts_with("\r\n")) {
            return out;  // half a ping
        } else {
            ++out.skipped;
        }
    }
    const auto rest = bytes.substr(out.skipped);
    if (rest.empty()) return out;
    const auto end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        if (rest.size() > max_message_bytes) return SipErrc::too_long;
        return out;
    }
    const auto length = Headers{rest.substr(0, end + 2)}.find("content-length");
    if (!length) return SipErrc::bad_message;
    const auto body = parse_number<std::uint32_t>(*length);
    if (!body) return SipErrc::bad_message;
    const auto size = end + 4 + std::size_t{*body};
    if (size > max_message_bytes) return SipErrc::too_long;
    if (size <= rest.size()) out.size = size;
    return out;
}

}  // namespace oavc::sip
