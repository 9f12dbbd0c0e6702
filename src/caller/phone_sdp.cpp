#include "caller/phone_sdp.hpp"

#include "caller/errors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

namespace oavc::caller {

namespace {

/// Of the formats of an audio line, each behind a blank.
std::optional<std::uint8_t> first_g711(std::string_view formats) {
    while (formats.starts_with(' ')) {
        formats.remove_prefix(1);
        const auto format = formats.substr(0, formats.find(' '));
        if (format == "0") return std::uint8_t{0};
        if (format == "8") return std::uint8_t{8};
        formats.remove_prefix(format.size());
    }
    return std::nullopt;
}

/// Up to the m-line.
std::string session_part(std::string_view address, std::uint32_t version) {
    const std::string_view family = address.find(':') == std::string_view::npos ? "IP4" : "IP6";
    return fmt::format(
        "v=0\r\no=caller 100 {1} IN {2} {0}\r\ns=-\r\nc=IN {2} {0}\r\nt=0 0\r\n",
        address,
        version,
        family
    );
}

}  // namespace

Result<SdpAnswer, ParseError> parse_sdp_answer(std::string_view sdp) {
    SdpAnswer answer;
    bool in_audio = false;
    bool seen_audio = false;
    std::string_view rest = sdp;
    while (!rest.empty()) {
        const auto end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        const auto offset = static_cast<std::size_t>(line.data() - sdp.data());
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with("m=")) {
            in_audio = !seen_audio && line.starts_with("m=audio ");
            if (!in_audio) continue;
            seen_audio = true;
            // m=audio <port> <profile> <payload type> …
            line.remove_prefix(8);
            const auto [after_port, port_error] =
                std::from_chars(line.data(), line.data() + line.size(), answer.port);
            line.remove_prefix(static_cast<std::size_t>(after_port - line.data()));
            const auto profile = line.find(" RTP/AVP ");
            if (port_error != std::errc{} || profile != 0) {
                return ParseError{
                    CallerErrc::bad_sdp, offset, "the answer's audio line is not RTP/AVP"};
            }
            if (answer.port == 0) {
                return ParseError{CallerErrc::bad_sdp, offset, "the answer refuses the audio line"};
            }
            line.remove_prefix(8);
            const auto type = first_g711(line);
            if (!type) {
                return ParseError{
                    CallerErrc::bad_sdp, offset, "the answer chose a codec that was not offered"};
            }
            answer.payload_type = *type;
        } else if (line.starts_with("c=IN IP4 ") || line.starts_with("c=IN IP6 ")) {
            if (in_audio || !seen_audio) answer.address = line.substr(9);
        }
    }
    if (!seen_audio) return ParseError{CallerErrc::bad_sdp, 0, "the answer has no audio line"};
    if (answer.address.empty())
        return ParseError{CallerErrc::bad_sdp, 0, "the answer has no c= line"};
    return answer;
}

std::string make_sdp_offer(
    std::string_view address, std::uint16_t port, std::uint32_t version, std::string_view direction
) {
    return session_part(address, version) + fmt::format(
                                                "m=audio {} RTP/AVP 0 8 101\r\n"
                                                "a=rtpmap:0 PCMU/8000\r\n"
                                                "a=rtpmap:8 PCMA/8000\r\n"
                                                "a=rtpmap:101 telephone-event/8000\r\n"
                                                "a=fmtp:101 0-15\r\n"
                                                "a=ptime:20\r\n"
                                                "a={}\r\n",
                                                port,
                                                direction
                                            );
}

std::string make_sdp_answer(
    std::string_view address, std::uint16_t port, std::uint8_t payload_type
) {
    return session_part(address, 1) +
           fmt::format(
               "m=audio {0} RTP/AVP {1}\r\na=rtpmap:{1} {2}/8000\r\na=ptime:20\r\na=sendrecv\r\n",
               port,
               payload_type,
               payload_type == 8 ? "PCMA" : "PCMU"
           );
}

}  // namespace oavc::caller
