#pragma once

#include "observability/log.hpp"
#include "sip/offer_answer.hpp"

#include <cstdint>
#include <string>

namespace oavc::transports::rtp {

/// Our end of a new call's audio: `address` and `port` as the other side reaches them, with fresh
/// random numbers and keys.
sip::LocalMedia local_media(std::string address, std::uint16_t port);

/// One line for each agreement: what was offered, what was chosen, and where audio goes.
/// `port`: where it comes in.
void log_agreement(const log::Logger& log, const sip::NegotiatedAudio& audio, std::uint16_t port);

}  // namespace oavc::transports::rtp
