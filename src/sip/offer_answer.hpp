#pragma once

#include "base/result.hpp"
#include "base/units.hpp"
#include "sip/sdes.hpp"
#include "sip/sdp.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::sip {

/// The codecs we speak (RFC 3551 §4.5, RFC 7587): G.711 at 8 kHz, G.722 and Opus at 16 kHz, L16 at
/// either.
enum class AudioCodec : std::uint8_t { pcmu, pcma, g722, opus, l16 };
/// As rtpmap has it: "PCMU", "opus".
std::string_view to_string(AudioCodec codec) noexcept;
/// Without regard to case.
std::optional<AudioCodec> audio_codec(std::string_view name) noexcept;

/// Whether media is encrypted (SDES; RFC 4568).
enum class SrtpPolicy : std::uint8_t {
    off,       ///< never: RTP/SAVP is refused, a=crypto is not looked at
    optional,  ///< wherever the other side offers it; our own offers are RTP/AVP with a=crypto
    required,  ///< plain RTP is refused; our own offers are RTP/SAVP
};

/// What we are willing to do in any call.
struct MediaPreferences {
    /// Ours, best first: the order of our offers.
    ///
    /// Wideband leads because a recogniser hears 16 kHz better than 8 kHz, and Opus because it also
    /// repairs losses. A PSTN trunk is not surprised: it offers no wideband, and where a PBX offers
    /// both for a call that came by PSTN, it says so by its order, which the answer keeps. L16 is
    /// last: 256 kbit/s is nothing that anybody should get without having asked for it.
    std::vector<AudioCodec> codecs{
        AudioCodec::opus, AudioCodec::g722, AudioCodec::pcmu, AudioCodec::pcma, AudioCodec::l16};
    bool ours_first{false};  ///< our order decides in answers too
    SrtpPolicy srtp{SrtpPolicy::off};
};

/// Our end of the one audio stream.
struct LocalMedia {
    std::string address;  ///< numeric, as the caller reaches it
    std::uint16_t port{0};
    std::uint64_t session_id{0};  ///< of o=: the same for the whole call
    std::uint64_t version{1};     ///< of o=: one more with each description that differs
    /// What we want: not sendrecv while we hold the call. What is agreed on is what both want.
    Direction direction{Direction::sendrecv};
    /// Random, one for each of srtp_suites (RFC 4568 §6.1: no two lines share a key); of one call.
    std::array<SrtpKey, srtp_suites.size()> srtp_keys{};
};

/// The keys of an encrypted stream: `local` for what we send.
struct SrtpParameters {
    SrtpSuite suite{SrtpSuite::aes_cm_128_hmac_sha1_80};
    std::uint32_t tag{1};
    SrtpKey local;
    SrtpKey remote;
    friend bool operator==(const SrtpParameters&, const SrtpParameters&) = default;
};

/// What one payload type means.
struct PayloadFormat {
    std::uint8_t payload_type{0};
    AudioCodec codec{AudioCodec::pcmu};
    std::uint32_t clock_rate{8'000};  ///< RTP's: G.722 says 8000 and samples at 16 kHz, Opus 48000
    friend bool operator==(const PayloadFormat&, const PayloadFormat&) = default;
};

/// Of the PCM behind it: 8 or 16 kHz.
constexpr SampleRate sample_rate(const PayloadFormat& format) noexcept {
    switch (format.codec) {
        case AudioCodec::pcmu:
        case AudioCodec::pcma:
            return narrowband;
        case AudioCodec::l16:
            return {format.clock_rate};
        case AudioCodec::g722:
        case AudioCodec::opus:
            break;
    }
    return wideband;
}

/// For the log: two of them are always equal, because they agree on nothing.
struct Note {
    std::string text;
    friend bool operator==(const Note&, const Note&) noexcept { return true; }
};

/// What both sides agreed on, seen from ours.
struct NegotiatedAudio {
    // What we send.
    AudioCodec codec{AudioCodec::pcmu};
    std::uint8_t payload_type{0};
    std::uint32_t clock_rate{8'000};                 ///< RTP's, see PayloadFormat
    std::optional<std::uint8_t> event_payload_type;  ///< telephone-event (RFC 4733)
    std::uint32_t event_clock_rate{8'000};           ///< its, usually the codec's
    unsigned ptime{20};  ///< ms per packet: what the caller asked for, 10 … 60

    // What may come. One entry after an answer of ours; after an offer of ours whatever the answer
    // took of it, under the payload types of our offer (RFC 3264 §5.1).
    std::vector<PayloadFormat> receives{PayloadFormat{}};
    std::optional<std::uint8_t> received_event_payload_type;
    std::optional<std::uint8_t> noise_payload_type;  ///< comfort noise (RFC 3389)

    Direction direction{Direction::sendrecv};  ///< ours
    /// Where the caller wants audio; port 0: not known yet (late offer), or nowhere (old hold).
    std::string remote_address;
    std::uint16_t remote_port{0};
    std::string remote_rtcp_address;
    std::uint16_t remote_rtcp_port{0};
    bool rtcp_mux{false};  ///< RTCP on the RTP port, both ways (RFC 5761)
    std::optional<SrtpParameters> srtp;
    Note offered;  ///< list_formats of the offer

    constexpr PayloadFormat format() const noexcept { return {payload_type, codec, clock_rate}; }
    friend bool operator==(const NegotiatedAudio&, const NegotiatedAudio&) = default;
};

struct Answer {
    Sdp sdp;
    NegotiatedAudio audio;
};

/// Answers an offer strictly from what it offers (RFC 3264 §6). The first audio stream that we can
/// take is taken, an encrypted one before a plain one if `preferences` allow encryption; every
/// other stream is refused with port 0 in its place.
///
/// The answer names one codec, the offerer's first that is among `preferences.codecs` (or our
/// first, `ours_first`), so that no packet can come at another rate than the one before without a
/// word in SDP; and with it telephone-event on the codec's clock (else on 8000, which many phones
/// say with Opus too) and comfort noise, each if offered and under the offer's payload type.
/// Direction is mirrored, c=0.0.0.0 counts as "receives nothing"; a=ptime repeats the offer's if we
/// can do it (20 otherwise); rtcp-mux is taken; ICE, BUNDLE and DTLS are not, and read over where
/// the profile does not demand them.
///
/// Errors, all to be answered 488: no_common_codec; no_common_security (the profile, a=crypto or
/// its absence does not fit the policy).
Result<Answer> make_answer(
    const Sdp& offer, const LocalMedia& local, const MediaPreferences& preferences = {}
);

/// Our first offer of a call: every codec of ours, telephone-event on each of their clocks, keys if
/// the policy has them.
Sdp make_offer(const LocalMedia& local, const MediaPreferences& preferences);

/// The same with `codec` alone, so that any answer settles it, and telephone-event on 101: for an
/// offer whose answer we may never see.
Sdp make_offer(
    const LocalMedia& local, AudioCodec codec, Direction direction = Direction::sendrecv
);

/// A later offer (hold, resume, a re-INVITE without an offer, a new address): what is in use and
/// nothing else, so that the answer cannot change it; streams that were refused stay in their
/// places (RFC 3264 §8). `ours`: the description that we sent last.
Sdp make_reoffer(const Sdp& ours, const LocalMedia& local, const NegotiatedAudio& current);

/// What we assume until the answer to `make_offer` with one codec is seen, if it ever is.
NegotiatedAudio assumed_audio(AudioCodec codec, Direction direction = Direction::sendrecv);

/// Reads the answer to our offer. Errors: bad_answer, no_common_codec, no_common_security.
Result<NegotiatedAudio> accept_answer(
    const Sdp& offer, const Sdp& answer, const MediaPreferences& preferences = {}
);

/// The audio formats of a description in one line for the log: "PCMU/8000 opus/48000 …". Bounded,
/// and of harmless characters whatever the peer wrote.
std::string list_formats(const Sdp& sdp);

/// The offers and answers of one dialog, in whatever order they come. Sans-I/O; owner and thread:
/// the call's; movable.
///
///     answer(offer) → our answer          accept follows nothing
///     offer()       → accept(answer)      or withdraw() when it was refused
class MediaNegotiation {
public:
    MediaNegotiation() = default;
    MediaNegotiation(LocalMedia local, MediaPreferences preferences);

    /// Answers their offer, the first or a later one. Our o= version grows only if our description
    /// changes, so a session refresh is told from a change by both sides (RFC 3264 §8). Theirs is
    /// not relied on: phones exist that change their mind without it. On an error (see make_answer)
    /// everything stays as it was.
    Result<std::string> answer(const Sdp& offer);

    /// Our offer: the first, or what is in use with the direction that we want now.
    std::string offer();
    /// Our offer because they asked for one (a re-INVITE without SDP): what is in use, so that
    /// nothing changes even if its answer, in the ACK, is not shown to us.
    std::string refresh();
    /// A first offer, of one codec, whose answer we may never see: until `accept` says more it
    /// counts as taken, and audio goes to where audio comes from.
    std::string offer_alone(AudioCodec codec);
    bool has_offered() const noexcept { return offered_.has_value(); }
    /// The answer to it. On an error what was agreed on before goes on.
    Result<void> accept(const Sdp& answer);
    void withdraw() noexcept { offered_.reset(); }
    /// Their 2xx without a readable answer: the stream stays where it is, in the direction that we
    /// offered.
    void assume_accepted() noexcept;

    /// Our wish for the next offer or answer: hold and resume.
    void set_direction(Direction wanted) noexcept { local_.direction = wanted; }

    /// What is agreed on, if anything is.
    const std::optional<NegotiatedAudio>& audio() const noexcept { return audio_; }

private:
    const Sdp& numbered(Sdp description);
    std::string sent(Sdp offer);

    LocalMedia local_;
    MediaPreferences preferences_;
    std::optional<Sdp> ours_;     ///< what we sent last
    std::optional<Sdp> offered_;  ///< of ours, without an answer yet
    std::optional<NegotiatedAudio> audio_;
};

}  // namespace oavc::sip
