#include "sip/offer_answer.hpp"

#include "sip/text.hpp"

#include <algorithm>
#include <utility>

namespace oavc::sip {

namespace {

constexpr std::string_view event_encoding = "telephone-event";
constexpr std::string_view event_range = "0-15";  // digits, * # A–D (RFC 4733 §3.2)
constexpr std::uint8_t our_event_payload_type = 101;
constexpr unsigned usual_ptime = 20;  // ms: one frame of this system; RFC 3551 §4.2
constexpr unsigned least_ptime = 10;  // ms, and the step
constexpr unsigned most_ptime = 60;

const SdpRtpMap* rtpmap_of(const SdpMedia& stream, unsigned payload_type) noexcept {
    for (const auto& map : stream.rtpmaps) {
        if (map.payload_type == payload_type) return &map;
    }
    return nullptr;
}

/// The codec behind a payload type: by its rtpmap, else by the static table (RFC 3551 §6).
std::optional<AudioCodec> codec_of(const SdpMedia& stream, unsigned payload_type) noexcept {
    if (const auto* map = rtpmap_of(stream, payload_type)) {
        if (map->clock_rate != 8000 || map->channels != 1) return std::nullopt;
        if (equals_ignoring_case(map->encoding, "PCMU")) return AudioCodec::pcmu;
        if (equals_ignoring_case(map->encoding, "PCMA")) return AudioCodec::pcma;
        return std::nullopt;
    }
    if (payload_type == 0) return AudioCodec::pcmu;
    if (payload_type == 8) return AudioCodec::pcma;
    return std::nullopt;
}

/// The payload type of digits with the codec's clock rate (RFC 4733 §7.1.1).
std::optional<std::uint8_t> event_payload_type(const SdpMedia& stream) noexcept {
    for (const auto& format : stream.formats) {
        const auto payload_type = parse_number<unsigned>(format);
        if (!payload_type) continue;
        const auto* map = rtpmap_of(stream, *payload_type);
        if (map != nullptr && equals_ignoring_case(map->encoding, event_encoding) &&
            map->clock_rate == 8000) {
            return static_cast<std::uint8_t>(map->payload_type);
        }
    }
    return std::nullopt;
}

struct Choice {
    AudioCodec codec;
    std::uint8_t payload_type;
};

/// The offerer's most preferred codec that is ours, if the stream is one that we can take.
std::optional<Choice> choose_codec(const SdpMedia& stream) noexcept {
    // Feedback messages of AVPF are optional to use; encrypted profiles are not ours.
    const bool plain_rtp = equals_ignoring_case(stream.protocol, "RTP/AVP") ||
                           equals_ignoring_case(stream.protocol, "RTP/AVPF");
    if (!equals_ignoring_case(stream.type, "audio") || !plain_rtp || stream.port == 0) {
        return std::nullopt;
    }
    for (const auto& format : stream.formats) {
        const auto payload_type = parse_number<std::uint8_t>(format);
        if (!payload_type || *payload_type > 127) continue;
        if (const auto codec = codec_of(stream, *payload_type))
            return Choice{*codec, *payload_type};
    }
    return std::nullopt;
}

bool is_ipv6(std::string_view address) noexcept {
    return address.find(':') != std::string_view::npos;
}

/// The packet time to send: what was asked for, if we can do it, and not over the maximum.
unsigned packet_time(const SdpMedia& stream) noexcept {
    auto ptime = stream.ptime.value_or(usual_ptime);
    if (ptime < least_ptime || ptime > most_ptime || ptime % least_ptime != 0) ptime = usual_ptime;
    if (stream.maxptime && *stream.maxptime < ptime) {
        ptime = std::max(least_ptime, *stream.maxptime / least_ptime * least_ptime);
    }
    return ptime;
}

/// Fills in where the peer of `stream` wants to receive.
void set_remote(NegotiatedAudio& audio, const Sdp& description, const SdpMedia& stream) {
    const auto* connection = description.connection_of(stream);
    if (connection == nullptr || connection->is_nowhere()) return;
    audio.remote_address = connection->address;
    audio.remote_port = stream.port;
    audio.remote_rtcp_port = stream.rtcp_port.value_or(
        stream.port == 65535 ? std::uint16_t{0} : static_cast<std::uint16_t>(stream.port + 1)
    );
}

/// The stream's direction with c=0.0.0.0 taken for what it means.
Direction effective_direction(const Sdp& description, const SdpMedia& stream) noexcept {
    const auto stated = description.direction_of(stream);
    const auto* connection = description.connection_of(stream);
    const bool nowhere = connection == nullptr || connection->is_nowhere();
    return make_direction(sends(stated), receives(stated) && !nowhere);
}

Sdp describe_ourselves(const LocalMedia& local) {
    Sdp sdp;
    const bool ipv6 = is_ipv6(local.address);
    sdp.origin = {"-", local.session_id, local.version, ipv6, local.address};
    sdp.connection = SdpConnection{ipv6, local.address};
    return sdp;
}

SdpMedia audio_stream(const LocalMedia& local, std::string protocol, const NegotiatedAudio& audio) {
    SdpMedia media;
    media.type = "audio";
    media.port = local.port;
    media.protocol = std::move(protocol);
    media.formats.push_back(std::to_string(audio.payload_type));
    media.rtpmaps.push_back({audio.payload_type, std::string{to_string(audio.codec)}, 8000, 1});
    if (audio.event_payload_type) {
        media.formats.push_back(std::to_string(*audio.event_payload_type));
        media.rtpmaps.push_back({*audio.event_payload_type, std::string{event_encoding}, 8000, 1});
        media.fmtps.push_back({*audio.event_payload_type, std::string{event_range}});
    }
    media.ptime = audio.ptime;
    media.direction = audio.direction;
    return media;
}

SdpMedia refused(const SdpMedia& offered) {
    SdpMedia media;
    media.type = offered.type;
    media.protocol = offered.protocol;
    media.formats = {offered.formats.front()};
    return media;
}

}  // namespace

std::string_view to_string(AudioCodec codec) noexcept {
    return codec == AudioCodec::pcma ? "PCMA" : "PCMU";
}

Result<Answer> make_answer(const Sdp& offer, const LocalMedia& local) {
    Answer answer{describe_ourselves(local), {}};
    answer.sdp.start_time = offer.start_time;
    answer.sdp.stop_time = offer.stop_time;
    bool taken = false;
    for (const auto& stream : offer.media) {
        const auto choice = taken ? std::nullopt : choose_codec(stream);
        if (!choice) {
            answer.sdp.media.push_back(refused(stream));
            continue;
        }
        taken = true;
        answer.audio.codec = choice->codec;
        answer.audio.payload_type = choice->payload_type;
        answer.audio.event_payload_type = event_payload_type(stream);
        answer.audio.ptime = packet_time(stream);
        answer.audio.direction = mirrored(effective_direction(offer, stream));
        set_remote(answer.audio, offer, stream);
        answer.sdp.media.push_back(audio_stream(local, stream.protocol, answer.audio));
    }
    if (!taken) return SipErrc::no_common_codec;
    return answer;
}

NegotiatedAudio assumed_audio(AudioCodec codec, Direction direction) {
    NegotiatedAudio audio;
    audio.codec = codec;
    audio.payload_type = codec == AudioCodec::pcma ? 8 : 0;
    audio.event_payload_type = our_event_payload_type;
    audio.direction = direction;
    return audio;
}

Sdp make_offer(const LocalMedia& local, AudioCodec codec, Direction direction) {
    Sdp offer = describe_ourselves(local);
    offer.media.push_back(audio_stream(local, "RTP/AVP", assumed_audio(codec, direction)));
    return offer;
}

Result<NegotiatedAudio> accept_answer(const Sdp& offer, const Sdp& answer) {
    if (answer.media.size() != offer.media.size()) return SipErrc::bad_answer;
    for (std::size_t i = 0; i < offer.media.size(); ++i) {
        const auto& stream = answer.media[i];
        if (!equals_ignoring_case(offer.media[i].type, "audio")) continue;
        const auto choice = choose_codec(stream);
        if (!choice) return SipErrc::no_common_codec;
        NegotiatedAudio audio;
        audio.codec = choice->codec;
        audio.payload_type = choice->payload_type;
        audio.event_payload_type = event_payload_type(stream);
        audio.ptime = packet_time(stream);
        audio.direction = make_direction(
            sends(offer.direction_of(offer.media[i])) &&
                receives(effective_direction(answer, stream)),
            receives(offer.direction_of(offer.media[i])) &&
                sends(effective_direction(answer, stream))
        );
        set_remote(audio, answer, stream);
        return audio;
    }
    return SipErrc::bad_answer;
}

}  // namespace oavc::sip
