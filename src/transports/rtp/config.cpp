#include "transports/rtp/config.hpp"

#include <boost/asio/ip/address.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace oavc::transports::rtp {

std::vector<std::string> Config::validate(std::size_t max_calls) const {
    std::vector<std::string> problems;
    const auto need_address = [&](const char* key, const std::string& value) {
        boost::system::error_code error;
        boost::asio::ip::make_address(value, error);
        if (error) {
            problems.push_back(fmt::format("{} = {}: must be a numeric IP address", key, value));
        }
    };
    need_address("bind_ip", bind_ip);
    if (!advertised_ip.empty()) need_address("advertised_ip", advertised_ip);
    if (media_timeout < std::chrono::seconds{1}) {
        problems.emplace_back("media_timeout must be at least 1 s");
    }
    for (const auto& codec : unknown_codecs()) {
        problems.push_back(
            fmt::format("codecs: \"{}\" is none of opus, g722, pcmu, pcma, l16", codec)
        );
    }
    if (media_preferences().codecs.empty()) problems.emplace_back("codecs names no codec");
    if (port_start == 0 || port_end < port_start) {
        problems.push_back(
            fmt::format("port_start = {} and port_end = {} are no range", port_start, port_end)
        );
    } else if (port_capacity() == 0) {
        problems.push_back(
            fmt::format("{}–{} holds no even port followed by an odd one", port_start, port_end)
        );
    } else if (port_capacity() < max_calls) {
        problems.push_back(fmt::format(
            "port_start–port_end ({}–{}) holds {} calls, but [limits] max_calls is {}: widen the "
            "range to {} ports or lower max_calls",
            port_start,
            port_end,
            port_capacity(),
            max_calls,
            2 * max_calls
        ));
    }
    return problems;
}

sip::MediaPreferences Config::media_preferences() const {
    sip::MediaPreferences preferences;
    preferences.codecs.clear();
    for (const auto& name : codecs) {
        const auto codec = sip::audio_codec(name);
        auto& chosen = preferences.codecs;
        if (codec && std::find(chosen.begin(), chosen.end(), *codec) == chosen.end()) {
            chosen.push_back(*codec);
        }
    }
    preferences.ours_first = codec_preference == "ours";
    preferences.srtp = srtp == "required"   ? sip::SrtpPolicy::required
                       : srtp == "optional" ? sip::SrtpPolicy::optional
                                            : sip::SrtpPolicy::off;
    return preferences;
}

}  // namespace oavc::transports::rtp
