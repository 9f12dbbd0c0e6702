#pragma once

#include "base/result.hpp"
#include "sip/sdp.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace oavc::sip {

/// The codecs we speak (RFC 3551 §4.5.14), both 8 kHz.
enum class AudioCodec { pcmu, pcma };
std::string_view to_string(AudioCodec codec) noexcept;

/// Our end of the one audio stream.
struct LocalMedia {
    std::string address;  ///< numeric, as the caller reaches it
    std::uint16_t port{0};
    std::uint64_t session_id{0};  ///< of o=: the same for the whole call
    std::uint64_t version{1};     ///< of o=: one more with each description we send
};

/// What both sides agreed on, seen from ours.
struct NegotiatedAudio {
    AudioCodec codec{AudioCodec::pcmu};
    std::uint8_t payload_type{0};
    std::optional<std::uint8_t> event_payload_type;  ///< telephone-event (RFC 4733)
    Direction direction{Direction::sendrecv};        ///< ours
    unsigned ptime{20};  ///< ms per packet that we send: what the caller asked for, 10 … 60
    /// Where the caller wants audio; port 0: not known yet (late offer), or nowhere (old hold).
    std::string remote_address;
    std::uint16_t remote_port{0};
    std::uint16_t remote_rtcp_port{0};

    friend bool operator==(const NegotiatedAudio&, const NegotiatedAudio&) = default;
};

struct Answer {
    Sdp sdp;
    NegotiatedAudio audio;
};

/// Answers an offer strictly from what it offers (RFC 3264 §6): the first audio stream over plain
/// RTP with a codec of ours is taken, in the offerer's order of preference; its telephone-event
/// keeps the offer's payload type; direction is mirrored, and c=0.0.0.0 counts as "receives
/// nothing"; a=ptime repeats the offer's if we can do it (20 otherwise); every other stream is
/// refused with port 0.
/// Error: no_common_codec (answer 488).
Result<Answer> make_answer(const Sdp& offer, const LocalMedia& local);

/// Our own offer, when an INVITE has none (late offer) or one that we did not see: `codec` alone,
/// so that any answer settles it, and telephone-event on 101.
Sdp make_offer(
    const LocalMedia& local, AudioCodec codec, Direction direction = Direction::sendrecv
);

/// What we assume until the answer to `make_offer` is seen, if it ever is.
NegotiatedAudio assumed_audio(AudioCodec codec, Direction direction = Direction::sendrecv);

/// Reads the answer to our offer. Errors: bad_answer, no_common_codec.
Result<NegotiatedAudio> accept_answer(const Sdp& offer, const Sdp& answer);

}  // namespace oavc::sip
