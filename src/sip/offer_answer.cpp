#include "sip/offer_answer.hpp"

#include "sip/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::sip {

namespace {

constexpr std::string_view event_encoding = "telephone-event";
constexpr std::string_view event_range = "0-15";  // digits, * # A–D (RFC 4733 §3.2)
constexpr std::string_view noise_encoding = "CN";
constexpr unsigned static_noise_payload_type = 13;  // at 8000 (RFC 3389 §4)
constexpr unsigned usual_ptime = 20;                // ms: one frame of this system; RFC 3551 §4.2
constexpr unsigned least_ptime = 10;                // ms, and the step
constexpr unsigned most_ptime = 60;

/// A codec as rtpmap describes it.
struct Encoding {
    AudioCodec codec;
    std::string_view name;
    std::uint32_t clock_rate;
    unsigned channels;
    std::optional<unsigned> static_payload_type;  // RFC 3551 §6
    std::uint8_t our_payload_type;                // in our offers
    std::string_view parameters;                  // a=fmtp, in what we send
    unsigned most_ptime;                          // a packet must fit Ethernet
    bool multiples_only;                          // ptime 10, 20, 40 or 60
};

/// We hear and speak 16 kHz mono, and want redundancy for what gets lost (RFC 7587 §6.1).
constexpr std::string_view opus_parameters =
    "maxplaybackrate=16000;sprop-maxcapturerate=16000;stereo=0;sprop-stereo=0;useinbandfec=1";

/// L16 has a static payload type for 44.1 kHz only, which is not ours.
constexpr std::array encodings{
    Encoding{AudioCodec::pcmu, "PCMU", 8'000, 1, 0, 0, {}, most_ptime, false},
    Encoding{AudioCodec::pcma, "PCMA", 8'000, 1, 8, 8, {}, most_ptime, false},
    Encoding{AudioCodec::g722, "G722", 8'000, 1, 9, 9, {}, most_ptime, false},
    Encoding{AudioCodec::opus, "opus", 48'000, 2, {}, 96, opus_parameters, most_ptime, true},
    Encoding{AudioCodec::l16, "L16", 16'000, 1, {}, 97, {}, 40, false},
    Encoding{AudioCodec::l16, "L16", 8'000, 1, {}, 98, {}, most_ptime, false},
};

/// telephone-event in our offers, by clock.
struct EventFormat {
    std::uint32_t clock_rate;
    std::uint8_t payload_type;
};
constexpr std::array our_events{
    EventFormat{8'000, 101}, EventFormat{48'000, 102}, EventFormat{16'000, 103}};

const SdpRtpMap* rtpmap_of(const SdpMedia& stream, unsigned payload_type) noexcept {
    for (const auto& map : stream.rtpmaps) {
        if (map.payload_type == payload_type) return &map;
    }
    return nullptr;
}

/// The codec behind a payload type: by its rtpmap, else by the static table.
const Encoding* encoding_of(const SdpMedia& stream, unsigned payload_type) noexcept {
    const auto* map = rtpmap_of(stream, payload_type);
    for (const auto& encoding : encodings) {
        if (map == nullptr) {
            if (encoding.static_payload_type == payload_type) return &encoding;
            continue;
        }
        // "opus/48000" without its channels is against RFC 7587 and means the same.
        const bool channels_fit = map->channels == encoding.channels ||
                                  (encoding.codec == AudioCodec::opus && map->channels == 1);
        if (equals_ignoring_case(map->encoding, encoding.name) &&
            map->clock_rate == encoding.clock_rate && channels_fit) {
            return &encoding;
        }
    }
    return nullptr;
}

const Encoding* encoding_of(const PayloadFormat& format) noexcept {
    for (const auto& encoding : encodings) {
        if (encoding.codec == format.codec && encoding.clock_rate == format.clock_rate) {
            return &encoding;
        }
    }
    return nullptr;
}

std::optional<std::uint8_t> payload_type(std::string_view format) noexcept {
    const auto number = parse_number<std::uint8_t>(format);
    return number && *number <= 127 ? number : std::nullopt;
}

/// The first format of that name and clock.
std::optional<std::uint8_t> find_format(
    const SdpMedia& stream, std::string_view name, std::uint32_t clock_rate
) noexcept {
    for (const auto& format : stream.formats) {
        const auto type = payload_type(format);
        const auto* map = type ? rtpmap_of(stream, *type) : nullptr;
        if (map != nullptr && equals_ignoring_case(map->encoding, name) &&
            map->clock_rate == clock_rate) {
            return type;
        }
    }
    return std::nullopt;
}

/// The payload type of digits: on the codec's clock, which RFC 4733 §2.1 wants, else on 8000.
std::optional<std::uint8_t> find_events(const SdpMedia& stream, std::uint32_t clock_rate) noexcept {
    if (const auto found = find_format(stream, event_encoding, clock_rate)) return found;
    return find_format(stream, event_encoding, 8'000);
}

std::optional<std::uint8_t> find_noise(const SdpMedia& stream, std::uint32_t clock_rate) noexcept {
    if (const auto found = find_format(stream, noise_encoding, clock_rate)) return found;
    const auto is_static = [&](const std::string& format) {
        return payload_type(format) == static_noise_payload_type;
    };
    const bool listed = std::any_of(stream.formats.begin(), stream.formats.end(), is_static);
    const bool mapped = rtpmap_of(stream, static_noise_payload_type) != nullptr;
    if (clock_rate != 8'000 || !listed || mapped) return std::nullopt;
    return std::uint8_t{static_noise_payload_type};
}

struct Choice {
    const Encoding* encoding{nullptr};
    std::uint8_t payload_type{0};
    std::optional<SrtpParameters> srtp;
};

/// The stream's format that is best by the offerer's order, or by ours.
std::optional<Choice> choose_codec(
    const SdpMedia& stream, const MediaPreferences& preferences
) noexcept {
    std::optional<Choice> best;
    std::size_t best_rank = 0;
    for (const auto& format : stream.formats) {
        const auto type = payload_type(format);
        const auto* encoding = type ? encoding_of(stream, *type) : nullptr;
        if (encoding == nullptr) continue;
        const auto& ours = preferences.codecs;
        const auto place = std::find(ours.begin(), ours.end(), encoding->codec);
        if (place == ours.end()) continue;
        const auto rank = static_cast<std::size_t>(place - ours.begin());
        if (best && (!preferences.ours_first || rank >= best_rank)) continue;
        best = Choice{encoding, *type, {}};
        best_rank = rank;
    }
    return best;
}

enum class Profile { plain, secure, foreign };

/// The feedback messages of AVPF and SAVPF are optional to use. DTLS (UDP/TLS/…) is not ours.
Profile profile_of(const SdpMedia& stream) noexcept {
    const auto is = [&](std::string_view name) {
        return equals_ignoring_case(stream.protocol, name);
    };
    if (is("RTP/AVP") || is("RTP/AVPF")) return Profile::plain;
    if (is("RTP/SAVP") || is("RTP/SAVPF")) return Profile::secure;
    return Profile::foreign;
}

std::optional<CryptoAttribute> first_crypto(const SdpMedia& stream) noexcept {
    for (const auto& value : stream.crypto) {
        if (auto crypto = parse_crypto(value)) return crypto;
    }
    return std::nullopt;
}

/// What of an offered stream we would take.
Result<Choice> consider(
    const SdpMedia& stream, const LocalMedia& local, const MediaPreferences& preferences
) {
    if (!equals_ignoring_case(stream.type, "audio") || stream.port == 0) {
        return SipErrc::no_common_codec;
    }
    const auto profile = profile_of(stream);
    if (profile == Profile::foreign) return SipErrc::no_common_security;
    auto choice = choose_codec(stream, preferences);
    if (!choice) return SipErrc::no_common_codec;
    if (preferences.srtp != SrtpPolicy::off) {
        if (const auto theirs = first_crypto(stream)) {
            const auto& key = local.srtp_keys[static_cast<std::size_t>(theirs->suite)];
            choice->srtp = SrtpParameters{theirs->suite, theirs->tag, key, theirs->key};
        }
    }
    const bool must = profile == Profile::secure || preferences.srtp == SrtpPolicy::required;
    if (must && !choice->srtp) return SipErrc::no_common_security;
    return *choice;
}

bool is_ipv6(std::string_view address) noexcept {
    return address.find(':') != std::string_view::npos;
}

/// The packet time to send: what was asked for, if we can do it, and not over the maximum.
unsigned packet_time(const SdpMedia& stream, const Encoding& encoding) noexcept {
    const auto most = std::min(
        encoding.most_ptime, std::max(least_ptime, stream.maxptime.value_or(encoding.most_ptime))
    );
    const auto possible = [&](unsigned ptime) {
        return ptime >= least_ptime && ptime <= most && ptime % least_ptime == 0 &&
               (!encoding.multiples_only || ptime == least_ptime || ptime % 20 == 0);
    };
    auto ptime = stream.ptime.value_or(usual_ptime);
    if (ptime < least_ptime || ptime > most_ptime || ptime % least_ptime != 0) ptime = usual_ptime;
    while (!possible(ptime))
        ptime -= least_ptime;
    return ptime;
}

/// Fills in where the peer of `stream` wants to receive.
void set_remote(NegotiatedAudio& audio, const Sdp& description, const SdpMedia& stream) {
    const auto* connection = description.connection_of(stream);
    if (connection == nullptr || connection->is_nowhere()) return;
    audio.remote_address = connection->address;
    audio.remote_port = stream.port;
    audio.remote_rtcp_address = connection->address;
    if (audio.rtcp_mux) {
        audio.remote_rtcp_port = stream.port;
        return;
    }
    if (stream.rtcp_connection && !stream.rtcp_connection->is_nowhere()) {
        audio.remote_rtcp_address = stream.rtcp_connection->address;
    }
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

Direction both_want(Direction a, Direction b) noexcept {
    return make_direction(sends(a) && sends(b), receives(a) && receives(b));
}

Sdp describe_ourselves(const LocalMedia& local) {
    Sdp sdp;
    const bool ipv6 = is_ipv6(local.address);
    sdp.origin = {"-", local.session_id, local.version, ipv6, local.address};
    sdp.connection = SdpConnection{ipv6, local.address};
    return sdp;
}

SdpMedia empty_stream(const LocalMedia& local, std::string protocol) {
    SdpMedia media;
    media.type = "audio";
    media.port = local.port;
    media.protocol = std::move(protocol);
    return media;
}

void add_format(SdpMedia& media, unsigned type, SdpRtpMap map, std::string_view parameters) {
    media.formats.push_back(std::to_string(type));
    map.payload_type = type;
    media.rtpmaps.push_back(std::move(map));
    if (!parameters.empty()) media.fmtps.push_back({type, std::string{parameters}});
}

void add_codec(SdpMedia& media, std::uint8_t type, const Encoding& encoding) {
    add_format(
        media,
        type,
        {0, std::string{encoding.name}, encoding.clock_rate, encoding.channels},
        encoding.parameters
    );
}

void add_events(SdpMedia& media, std::uint8_t type, std::uint32_t clock_rate) {
    add_format(media, type, {0, std::string{event_encoding}, clock_rate, 1}, event_range);
}

/// What was agreed on, as a stream of ours.
SdpMedia agreed_stream(
    const LocalMedia& local, std::string protocol, const NegotiatedAudio& audio
) {
    auto media = empty_stream(local, std::move(protocol));
    const auto& format = audio.receives.front();
    if (const auto* encoding = encoding_of(format)) {
        add_codec(media, format.payload_type, *encoding);
    }
    if (audio.noise_payload_type) {
        add_format(
            media,
            *audio.noise_payload_type,
            {0, std::string{noise_encoding}, format.clock_rate, 1},
            {}
        );
    }
    if (audio.received_event_payload_type) {
        add_events(media, *audio.received_event_payload_type, audio.event_clock_rate);
    }
    media.ptime = audio.ptime;
    media.direction = audio.direction;
    media.rtcp_mux = audio.rtcp_mux;
    if (audio.srtp) {
        media.crypto.push_back(write_crypto({audio.srtp->tag, audio.srtp->suite, audio.srtp->local})
        );
    }
    return media;
}

std::uint32_t clock_rate_of(const SdpMedia& stream, std::optional<std::uint8_t> type) noexcept {
    const auto* map = type ? rtpmap_of(stream, *type) : nullptr;
    return map != nullptr ? map->clock_rate : 8'000;
}

SdpMedia refused(const SdpMedia& offered) {
    SdpMedia media;
    media.type = offered.type;
    media.protocol = offered.protocol;
    media.formats = {offered.formats.front()};
    return media;
}

/// The stream to take: the first encrypted one if encryption is wanted, else the first.
Result<std::pair<std::size_t, Choice>> choose_stream(
    const Sdp& offer, const LocalMedia& local, const MediaPreferences& preferences
) {
    std::optional<std::pair<std::size_t, Choice>> chosen;
    auto why = make_error_code(SipErrc::no_common_codec);
    for (std::size_t i = 0; i < offer.media.size(); ++i) {
        const auto choice = consider(offer.media[i], local, preferences);
        if (!choice) {
            if (choice.error() == SipErrc::no_common_security) why = choice.error();
            continue;
        }
        if (!chosen || (choice->srtp && !chosen->second.srtp)) chosen.emplace(i, *choice);
    }
    if (!chosen) return why;
    return *chosen;
}

void add_offered_keys(SdpMedia& media, const LocalMedia& local) {
    std::uint32_t tag = 0;
    for (const auto suite : srtp_suites) {
        const auto& key = local.srtp_keys[static_cast<std::size_t>(suite)];
        media.crypto.push_back(write_crypto({++tag, suite, key}));
    }
}

/// The keys that an answer settled, none if it is a plain one.
Result<std::optional<SrtpParameters>> accept_keys(
    const SdpMedia& offered, const SdpMedia& answered, SrtpPolicy policy
) {
    if (answered.crypto.empty() || offered.crypto.empty()) {
        if (policy == SrtpPolicy::required || profile_of(answered) == Profile::secure) {
            return SipErrc::no_common_security;
        }
        return std::optional<SrtpParameters>{};
    }
    // Exactly one, which names one of ours (RFC 4568 §5.1.3).
    const auto theirs = parse_crypto(answered.crypto.front());
    if (!theirs || answered.crypto.size() != 1) return SipErrc::no_common_security;
    for (const auto& value : offered.crypto) {
        const auto ours = parse_crypto(value);
        if (ours && ours->tag == theirs->tag && ours->suite == theirs->suite) {
            return std::optional{SrtpParameters{ours->suite, ours->tag, ours->key, theirs->key}};
        }
    }
    return SipErrc::no_common_security;
}

bool is_token_character(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '+';
}

}  // namespace

std::string_view to_string(AudioCodec codec) noexcept {
    for (const auto& encoding : encodings) {
        if (encoding.codec == codec) return encoding.name;
    }
    return "unknown";
}

std::optional<AudioCodec> audio_codec(std::string_view name) noexcept {
    for (const auto& encoding : encodings) {
        if (equals_ignoring_case(encoding.name, name)) return encoding.codec;
    }
    return std::nullopt;
}

Result<Answer> make_answer(
    const Sdp& offer, const LocalMedia& local, const MediaPreferences& preferences
) {
    const auto chosen = choose_stream(offer, local, preferences);
    if (!chosen) return chosen.error();
    const auto& [index, choice] = *chosen;
    const auto& stream = offer.media[index];

    Answer answer{describe_ourselves(local), {}};
    auto& audio = answer.audio;
    audio.codec = choice.encoding->codec;
    audio.payload_type = choice.payload_type;
    audio.clock_rate = choice.encoding->clock_rate;
    audio.receives = {audio.format()};
    audio.event_payload_type = find_events(stream, audio.clock_rate);
    audio.received_event_payload_type = audio.event_payload_type;
    audio.event_clock_rate = clock_rate_of(stream, audio.event_payload_type);
    audio.noise_payload_type = find_noise(stream, audio.clock_rate);
    audio.ptime = packet_time(stream, *choice.encoding);
    audio.direction = both_want(mirrored(effective_direction(offer, stream)), local.direction);
    audio.rtcp_mux = stream.rtcp_mux;
    audio.srtp = choice.srtp;
    set_remote(audio, offer, stream);
    audio.offered = {list_formats(offer)};

    answer.sdp.start_time = offer.start_time;
    answer.sdp.stop_time = offer.stop_time;
    for (std::size_t i = 0; i < offer.media.size(); ++i) {
        answer.sdp.media.push_back(
            i == index ? agreed_stream(local, stream.protocol, audio) : refused(offer.media[i])
        );
    }
    return answer;
}

NegotiatedAudio assumed_audio(AudioCodec codec, Direction direction) {
    NegotiatedAudio audio;
    for (const auto& encoding : encodings) {
        if (encoding.codec != codec) continue;
        audio.codec = codec;
        audio.payload_type = encoding.our_payload_type;
        audio.clock_rate = encoding.clock_rate;
        break;
    }
    audio.receives = {audio.format()};
    audio.event_payload_type = our_events.front().payload_type;
    audio.received_event_payload_type = audio.event_payload_type;
    audio.direction = direction;
    audio.offered = {"unseen"};
    return audio;
}

Sdp make_offer(const LocalMedia& local, AudioCodec codec, Direction direction) {
    Sdp offer = describe_ourselves(local);
    offer.media.push_back(agreed_stream(local, "RTP/AVP", assumed_audio(codec, direction)));
    return offer;
}

Sdp make_offer(const LocalMedia& local, const MediaPreferences& preferences) {
    Sdp offer = describe_ourselves(local);
    const bool required = preferences.srtp == SrtpPolicy::required;
    auto media = empty_stream(local, required ? "RTP/SAVP" : "RTP/AVP");
    for (const auto codec : preferences.codecs) {
        for (const auto& encoding : encodings) {
            if (encoding.codec == codec) add_codec(media, encoding.our_payload_type, encoding);
        }
    }
    const auto codecs = media.rtpmaps;
    for (const auto& event : our_events) {
        const bool used = std::any_of(codecs.begin(), codecs.end(), [&](const SdpRtpMap& map) {
            return map.clock_rate == event.clock_rate;
        });
        if (used) add_events(media, event.payload_type, event.clock_rate);
    }
    media.ptime = usual_ptime;
    media.direction = local.direction;
    if (preferences.srtp != SrtpPolicy::off) add_offered_keys(media, local);
    offer.media.push_back(std::move(media));
    return offer;
}

Sdp make_reoffer(const Sdp& ours, const LocalMedia& local, const NegotiatedAudio& current) {
    Sdp offer = describe_ourselves(local);
    offer.start_time = ours.start_time;
    offer.stop_time = ours.stop_time;
    bool placed = false;
    for (const auto& stream : ours.media) {
        if (placed || stream.port == 0 || !equals_ignoring_case(stream.type, "audio")) {
            offer.media.push_back(refused(stream));
            continue;
        }
        placed = true;
        auto wanted = current;
        wanted.direction = local.direction;
        offer.media.push_back(agreed_stream(local, stream.protocol, wanted));
    }
    return offer;
}

Result<NegotiatedAudio> accept_answer(
    const Sdp& offer, const Sdp& answer, const MediaPreferences& preferences
) {
    if (answer.media.size() != offer.media.size()) return SipErrc::bad_answer;
    for (std::size_t i = 0; i < offer.media.size(); ++i) {
        const auto& offered = offer.media[i];
        const auto& stream = answer.media[i];
        if (!equals_ignoring_case(offered.type, "audio") || offered.port == 0) continue;
        if (!equals_ignoring_case(stream.type, "audio") || stream.port == 0) {
            return SipErrc::no_common_codec;
        }
        if (profile_of(stream) != profile_of(offered)) return SipErrc::no_common_security;

        NegotiatedAudio audio;
        audio.receives.clear();
        for (const auto& format : stream.formats) {
            const auto type = payload_type(format);
            const auto* encoding = type ? encoding_of(stream, *type) : nullptr;
            if (encoding == nullptr) continue;
            // Theirs is what we send; what they send has the number of our offer.
            for (const auto& our_format : offered.formats) {
                const auto our_type = payload_type(our_format);
                if (!our_type || encoding_of(offered, *our_type) != encoding) continue;
                if (audio.receives.empty()) {
                    audio.codec = encoding->codec;
                    audio.payload_type = *type;
                    audio.clock_rate = encoding->clock_rate;
                    audio.ptime = packet_time(stream, *encoding);
                }
                audio.receives.push_back({*our_type, encoding->codec, encoding->clock_rate});
                break;
            }
        }
        if (audio.receives.empty()) return SipErrc::no_common_codec;
        auto keys = accept_keys(offered, stream, preferences.srtp);
        if (!keys) return keys.error();
        audio.srtp = std::move(*keys);
        audio.event_payload_type = find_events(stream, audio.clock_rate);
        audio.event_clock_rate = clock_rate_of(stream, audio.event_payload_type);
        if (audio.event_payload_type) {
            audio.received_event_payload_type =
                find_format(offered, event_encoding, audio.event_clock_rate);
        }
        audio.noise_payload_type = find_noise(offered, audio.clock_rate)
                                       ? find_noise(stream, audio.clock_rate)
                                       : std::nullopt;
        audio.direction =
            both_want(offer.direction_of(offered), mirrored(effective_direction(answer, stream)));
        audio.rtcp_mux = offered.rtcp_mux && stream.rtcp_mux;
        set_remote(audio, answer, stream);
        audio.offered = {list_formats(offer)};
        return audio;
    }
    return SipErrc::bad_answer;
}

std::string list_formats(const Sdp& sdp) {
    constexpr std::size_t longest = 200;
    std::string list;
    for (const auto& stream : sdp.media) {
        if (!equals_ignoring_case(stream.type, "audio")) continue;
        for (const auto& format : stream.formats) {
            const auto type = payload_type(format);
            const auto* map = type ? rtpmap_of(stream, *type) : nullptr;
            const auto* encoding = type ? encoding_of(stream, *type) : nullptr;
            std::string name = encoding != nullptr ? std::string{encoding->name}
                               : map != nullptr    ? map->encoding
                                                   : format;
            if (map != nullptr) name += '/' + std::to_string(map->clock_rate);
            if (list.size() + name.size() > longest) return list + " …";
            if (!list.empty()) list += ' ';
            for (const char c : name)
                list += is_token_character(c) || c == '/' ? c : '?';
        }
    }
    return list;
}

MediaNegotiation::MediaNegotiation(LocalMedia local, MediaPreferences preferences)
    : local_{std::move(local)}, preferences_{std::move(preferences)} {}

/// Counts o= up if the description says anything new, and keeps it.
const Sdp& MediaNegotiation::numbered(Sdp description) {
    if (ours_) {
        description.origin.version = ours_->origin.version;
        if (write_sdp(description) != write_sdp(*ours_)) ++description.origin.version;
    }
    local_.version = description.origin.version;
    return ours_.emplace(std::move(description));
}

Result<std::string> MediaNegotiation::answer(const Sdp& offer) {
    auto made = make_answer(offer, local_, preferences_);
    if (!made) return made.error();
    audio_ = std::move(made->audio);
    offered_.reset();
    return write_sdp(numbered(std::move(made->sdp)));
}

std::string MediaNegotiation::sent(Sdp offer) {
    offered_ = numbered(std::move(offer));
    return write_sdp(*offered_);
}

std::string MediaNegotiation::offer() {
    if (!ours_ || !audio_) return sent(make_offer(local_, preferences_));
    return sent(make_reoffer(*ours_, local_, *audio_));
}

std::string MediaNegotiation::refresh() {
    if (!ours_ || !audio_) return offer();
    auto as_it_is = local_;
    as_it_is.direction = audio_->direction;
    return sent(make_reoffer(*ours_, as_it_is, *audio_));
}

std::string MediaNegotiation::offer_alone(AudioCodec codec) {
    audio_ = assumed_audio(codec, local_.direction);
    return sent(make_offer(local_, codec, local_.direction));
}

void MediaNegotiation::assume_accepted() noexcept {
    offered_.reset();
    if (audio_) audio_->direction = local_.direction;
}

Result<void> MediaNegotiation::accept(const Sdp& answer) {
    if (!offered_) return SipErrc::bad_answer;
    const auto offer = std::move(*offered_);
    offered_.reset();
    auto accepted = accept_answer(offer, answer, preferences_);
    if (!accepted) return accepted.error();
    audio_ = std::move(*accepted);
    return {};
}

}  // namespace oavc::sip
