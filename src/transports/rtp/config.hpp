#pragma once

#include "sip/offer_answer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace oavc::transports::rtp {

/// [telephony.rtp]: the media of every call that comes by SIP or through OpenSIPS.
struct Config {
    std::string bind_ip{"0.0.0.0"};  ///< where audio is received
    std::string advertised_ip;       ///< in SDP; empty: the address that routes to the caller
    std::uint16_t port_start{35000};
    std::uint16_t port_end{35500};  ///< inclusive; a call takes an even port and the next odd one
    /// No RTP for this long, while not held: the call ends.
    std::chrono::seconds media_timeout{30};
    /// Codecs of ours, best first: names of sip::AudioCodec in any case.
    std::vector<std::string> codecs{"opus", "g722", "pcmu", "pcma", "l16"};
    std::string codec_preference{"theirs"};  ///< whose order an answer keeps: theirs, ours
    std::string srtp{"off"};                 ///< off, optional, required
    /// Keys are heard in the audio of callers who have no telephone-event.
    bool inband_digits{false};

    /// Everything that is wrong, in sentences that say what to change. `max_calls`: what the port
    /// range must hold ([limits] max_calls); 0: not checked.
    std::vector<std::string> validate(std::size_t max_calls = 0) const;

    /// What `codecs` names and nobody knows.
    std::vector<std::string> unknown_codecs() const {
        std::vector<std::string> unknown;
        for (const auto& codec : codecs) {
            if (!sip::audio_codec(codec)) unknown.push_back(codec);
        }
        return unknown;
    }

    /// The same as offers and answers want it; what `validate` complains of is left out.
    sip::MediaPreferences media_preferences() const;

    /// Calls that the port range can carry at once.
    std::size_t port_capacity() const noexcept {
        const std::size_t first = (port_start + 1u) / 2;
        const std::size_t last = (port_end + 1u) / 2;
        return last > first ? last - first : 0;
    }
};

}  // namespace oavc::transports::rtp
