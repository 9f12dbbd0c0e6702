#include "sip/sdp.hpp"

#include "sip/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::sip {

namespace {

constexpr std::array directions{
    std::pair{Direction::sendrecv, std::string_view{"sendrecv"}},
    std::pair{Direction::sendonly, std::string_view{"sendonly"}},
    std::pair{Direction::recvonly, std::string_view{"recvonly"}},
    std::pair{Direction::inactive, std::string_view{"inactive"}},
};

constexpr std::size_t max_token = 128;  ///< of an address, encoding, format or protocol

/// "IN IP4 192.0.2.1[/ttl[/count]]".
std::optional<SdpConnection> parse_connection(std::string_view value) {
    const auto network = next_word(value);
    const auto family = next_word(value);
    auto address = next_word(value);
    address = address.substr(0, address.find('/'));
    const bool ipv6 = equals_ignoring_case(family, "IP6");
    if (!equals_ignoring_case(network, "IN") || (!ipv6 && !equals_ignoring_case(family, "IP4")) ||
        address.empty() || address.size() > max_token) {
        return std::nullopt;
    }
    return SdpConnection{ipv6, std::string{address}};
}

/// Session ids are decimal but not always 64 bits; a longer one is kept as 0: we never compare it.
std::uint64_t number_or_zero(std::string_view text) noexcept {
    return parse_number<std::uint64_t>(text).value_or(0);
}

std::optional<SdpOrigin> parse_origin(std::string_view value) {
    const auto username = next_word(value);
    const auto id = next_word(value);
    const auto version = next_word(value);
    const auto connection = parse_connection(value);
    if (!connection || username.size() > max_token) return std::nullopt;
    return SdpOrigin{
        std::string{username},
        number_or_zero(id),
        number_or_zero(version),
        connection->ipv6,
        connection->address};
}

/// "audio 49170[/2] RTP/AVP 0 8 101".
std::optional<SdpMedia> parse_media(std::string_view value) {
    SdpMedia media;
    media.type = next_word(value);
    auto port = next_word(value);
    port = port.substr(0, port.find('/'));
    const auto number = parse_number<std::uint16_t>(port);
    media.protocol = next_word(value);
    if (!number || media.type.empty() || media.protocol.empty() || media.type.size() > max_token ||
        media.protocol.size() > max_token) {
        return std::nullopt;
    }
    media.port = *number;
    for (auto format = next_word(value); !format.empty(); format = next_word(value)) {
        if (media.formats.size() == max_sdp_formats || format.size() > max_token)
            return std::nullopt;
        media.formats.emplace_back(format);
    }
    if (media.formats.empty()) return std::nullopt;
    return media;
}

/// "101 telephone-event/8000[/1]".
std::optional<SdpRtpMap> parse_rtpmap(std::string_view value) {
    const auto payload_type = parse_number<unsigned>(next_word(value));
    const auto description = trim(value);
    const auto slash = description.find('/');
    if (!payload_type || *payload_type > 127 || slash == std::string_view::npos || slash == 0 ||
        slash > max_token) {
        return std::nullopt;
    }
    auto rate = description.substr(slash + 1);
    SdpRtpMap map{*payload_type, std::string{description.substr(0, slash)}, 0, 1};
    if (const auto next = rate.find('/'); next != std::string_view::npos) {
        map.channels = parse_number<unsigned>(trim(rate.substr(next + 1))).value_or(1);
        rate = rate.substr(0, next);
    }
    const auto clock_rate = parse_number<std::uint32_t>(trim(rate));
    if (!clock_rate) return std::nullopt;
    map.clock_rate = *clock_rate;
    return map;
}

/// Reads one attribute into the stream it belongs to, or the session. An attribute that we do not
/// know or cannot read is as if it were not there: RFC 8866 §5.13 asks for that.
void parse_attribute(std::string_view value, Sdp& sdp, SdpMedia* stream) {
    const auto colon = value.find(':');
    const auto name = trim(value.substr(0, colon));
    const auto rest =
        colon == std::string_view::npos ? std::string_view{} : trim(value.substr(colon + 1));
    for (const auto& [direction, text] : directions) {
        if (name == text) (stream != nullptr ? stream->direction : sdp.direction) = direction;
    }
    if (stream == nullptr) return;
    if (name == "rtpmap" && stream->rtpmaps.size() < max_sdp_formats) {
        if (auto map = parse_rtpmap(rest)) stream->rtpmaps.push_back(std::move(*map));
    } else if (name == "fmtp" && stream->fmtps.size() < max_sdp_formats) {
        auto parameters = rest;
        const auto payload_type = parse_number<unsigned>(next_word(parameters));
        if (payload_type && *payload_type <= 127) {
            stream->fmtps.push_back({*payload_type, std::string{trim(parameters)}});
        }
    } else if (name == "ptime") {
        // "20.0" and the like: the whole part is enough.
        stream->ptime = parse_number<unsigned>(rest.substr(0, rest.find('.')));
    } else if (name == "maxptime") {
        stream->maxptime = parse_number<unsigned>(rest.substr(0, rest.find('.')));
    } else if (name == "rtcp") {
        auto parameters = rest;
        stream->rtcp_port = parse_number<std::uint16_t>(next_word(parameters));
        stream->rtcp_connection = parse_connection(parameters);
    } else if (name == "rtcp-mux") {
        stream->rtcp_mux = true;
    } else if (name == "crypto" && stream->crypto.size() < max_sdp_crypto && !rest.empty()) {
        stream->crypto.emplace_back(rest);
    }
}

ParseError error_at(SipErrc code, std::size_t offset, const char* what) {
    return {make_error_code(code), offset, what};
}

std::string write_address(const SdpConnection& connection) {
    return (connection.ipv6 ? "IN IP6 " : "IN IP4 ") + connection.address;
}

void write_connection(std::string& out, const SdpConnection& connection) {
    out += "c=" + write_address(connection) + "\r\n";
}

void write_media(std::string& out, const SdpMedia& media) {
    out += "m=" + media.type + ' ' + std::to_string(media.port) + ' ' + media.protocol;
    for (const auto& format : media.formats)
        out += ' ' + format;
    out += "\r\n";
    if (media.connection) write_connection(out, *media.connection);
    for (const auto& map : media.rtpmaps) {
        out += "a=rtpmap:" + std::to_string(map.payload_type) + ' ' + map.encoding + '/' +
               std::to_string(map.clock_rate);
        if (map.channels != 1) out += '/' + std::to_string(map.channels);
        out += "\r\n";
    }
    for (const auto& fmtp : media.fmtps) {
        out += "a=fmtp:" + std::to_string(fmtp.payload_type) + ' ' + fmtp.parameters + "\r\n";
    }
    if (media.ptime) out += "a=ptime:" + std::to_string(*media.ptime) + "\r\n";
    if (media.maxptime) out += "a=maxptime:" + std::to_string(*media.maxptime) + "\r\n";
    if (media.rtcp_port) {
        out += "a=rtcp:" + std::to_string(*media.rtcp_port);
        if (media.rtcp_connection) out += ' ' + write_address(*media.rtcp_connection);
        out += "\r\n";
    }
    if (media.rtcp_mux) out += "a=rtcp-mux\r\n";
    for (const auto& crypto : media.crypto)
        out += "a=crypto:" + crypto + "\r\n";
    if (media.direction) {
        out += "a=";
        out += to_string(*media.direction);
        out += "\r\n";
    }
}

}  // namespace

std::string_view to_string(Direction direction) noexcept {
    for (const auto& [value, text] : directions) {
        if (value == direction) return text;
    }
    return "sendrecv";
}

Result<Sdp, ParseError> parse_sdp(std::string_view text) noexcept {
    if (text.size() > max_sdp_bytes) return error_at(SipErrc::too_long, 0, "more than 16 KiB");
    Sdp sdp;
    bool version_seen = false;
    SdpMedia* stream = nullptr;
    std::size_t lines = 0;
    std::size_t offset = 0;
    while (offset < text.size()) {
        const auto start = offset;
        const auto newline = std::min(text.find_first_of("\r\n", offset), text.size());
        auto line = text.substr(start, newline - start);
        offset = newline + 1;
        if (offset < text.size() && text[newline] == '\r' && text[offset] == '\n') ++offset;
        line = trim(line);
        if (line.empty()) continue;
        if (++lines > max_sdp_lines) return error_at(SipErrc::too_long, start, "too many lines");
        if (line.size() < 2 || line[1] != '=') {
            return error_at(SipErrc::bad_sdp, start, "a line is not of the form x=value");
        }
        const auto value = trim(line.substr(2));
        if (!version_seen) {
            if (line[0] != 'v' || value != "0") {
                return error_at(SipErrc::bad_sdp, start, "does not begin with v=0");
            }
            version_seen = true;
            continue;
        }
        switch (line[0]) {
            case 'o':
                if (auto origin = parse_origin(value)) {
                    sdp.origin = std::move(*origin);
                } else {
                    return error_at(SipErrc::bad_sdp, start, "o= cannot be read");
                }
                break;
            case 's':
                if (stream == nullptr) sdp.session_name = trim(value.substr(0, max_token));
                break;
            case 'c':
                if (auto connection = parse_connection(value)) {
                    (stream != nullptr ? stream->connection : sdp.connection) =
                        std::move(*connection);
                } else {
                    return error_at(SipErrc::bad_sdp, start, "c= cannot be read");
                }
                break;
            case 't':
                if (stream == nullptr) {
                    auto times = value;
                    sdp.start_time = number_or_zero(next_word(times));
                    sdp.stop_time = number_or_zero(next_word(times));
                }
                break;
            case 'm':
                if (sdp.media.size() == max_sdp_streams) {
                    return error_at(SipErrc::too_long, start, "too many streams");
                }
                if (auto media = parse_media(value)) {
                    stream = &sdp.media.emplace_back(std::move(*media));
                } else {
                    return error_at(SipErrc::bad_sdp, start, "m= cannot be read");
                }
                break;
            case 'a':
                parse_attribute(value, sdp, stream);
                break;
            default:
                break;  // i=, b=, k=, … have no meaning for us
        }
    }
    if (!version_seen) return error_at(SipErrc::bad_sdp, 0, "empty");
    for (const auto& media : sdp.media) {
        if (media.port != 0 && sdp.connection_of(media) == nullptr) {
            return error_at(SipErrc::no_connection, 0, "a stream has no c= at either level");
        }
    }
    return sdp;
}

std::string write_sdp(const Sdp& sdp) {
    std::string out =
        "v=0\r\no=" + sdp.origin.username + ' ' + std::to_string(sdp.origin.session_id) + ' ' +
        std::to_string(sdp.origin.version) + (sdp.origin.ipv6 ? " IN IP6 " : " IN IP4 ") +
        sdp.origin.address + "\r\ns=" + sdp.session_name + "\r\n";
    if (sdp.connection) write_connection(out, *sdp.connection);
    out += "t=" + std::to_string(sdp.start_time) + ' ' + std::to_string(sdp.stop_time) + "\r\n";
    if (sdp.direction) {
        out += "a=";
        out += to_string(*sdp.direction);
        out += "\r\n";
    }
    for (const auto& media : sdp.media)
        write_media(out, media);
    return out;
}

}  // namespace oavc::sip
