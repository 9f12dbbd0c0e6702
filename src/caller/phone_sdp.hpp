#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// The SDP of a simple phone: one stream, G.711.
namespace oavc::caller {

/// Where to send RTP and how, from an SDP answer.
struct SdpAnswer {
    std::string address;
    std::uint16_t port{0};
    std::uint8_t payload_type{0};
};

/// The part of an answer (or offer) that a phone needs: the first audio line, its address (`c=` at
/// either level), its first payload type that a phone with G.711 knows. Error: a sentence.
Result<SdpAnswer, ParseError> parse_sdp_answer(std::string_view sdp);

/// An offer of PCMU, PCMA and telephone-event, as phones make it.
std::string make_sdp_offer(
    std::string_view address,
    std::uint16_t port,
    std::uint32_t version,
    std::string_view direction = "sendrecv"
);

/// An answer that takes just that payload type, 0 or 8.
std::string make_sdp_answer(
    std::string_view address, std::uint16_t port, std::uint8_t payload_type
);

}  // namespace oavc::caller
