#include "media/audio_codec.hpp"

#include "base/assert.hpp"
#include "media/g711.hpp"

#include <opus/opus.h>
// spandsp's headers do not include what they need.
// clang-format off
#include <spandsp/telephony.h>
#include <spandsp/g722.h>
// clang-format on

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <utility>

namespace oavc::media {
namespace {

constexpr int g722_rate = 64'000;  // RFC 3551 §4.5.2 knows no other
constexpr std::size_t opus_step = oavc::samples_in(microseconds{2'500}, wideband);
constexpr std::size_t longest_made_up = oavc::samples_in(milliseconds{100}, wideband);
constexpr int opus_bit_rate = 32'000;   // wideband speech with room for its FEC
constexpr int opus_complexity = 5;      // a third of the CPU of 10, hardly to be heard in speech
constexpr int opus_expected_loss = 10;  // per cent
constexpr std::size_t opus_max_frame = 1'275;  // RFC 6716 §3.4

const unsigned char* octets(std::span<const std::byte> bytes) noexcept {
    return reinterpret_cast<const unsigned char*>(bytes.data());  // NOLINT
}

unsigned char* octets(std::span<std::byte> bytes) noexcept {
    return reinterpret_cast<unsigned char*>(bytes.data());  // NOLINT
}

opus_int32 length(std::span<const std::byte> bytes) noexcept {
    return static_cast<opus_int32>(bytes.size());
}

std::size_t l16_encode(Samples in, std::span<std::byte> out) noexcept {
    const auto count = std::min(in.size(), out.size() / 2);
    for (std::size_t i = 0; i < count; ++i) {
        const auto bits = static_cast<std::uint16_t>(in[i]);
        out[2 * i] = static_cast<std::byte>(bits >> 8);
        out[2 * i + 1] = static_cast<std::byte>(bits & 0xFF);
    }
    return 2 * count;
}

std::size_t l16_decode(std::span<const std::byte> in, std::span<Sample> out) noexcept {
    const auto count = std::min(in.size() / 2, out.size());
    for (std::size_t i = 0; i < count; ++i) {
        const auto high = std::to_integer<unsigned>(in[2 * i]);
        const auto low = std::to_integer<unsigned>(in[2 * i + 1]);
        out[i] = static_cast<Sample>(static_cast<std::uint16_t>(high << 8 | low));
    }
    return count;
}

/// G.722 makes one octet of two samples.
constexpr std::size_t even(std::size_t count) noexcept { return count & ~std::size_t{1}; }

}  // namespace

void AudioEncoder::Destroy::operator()(OpusEncoder* encoder) const noexcept {
    opus_encoder_destroy(encoder);
}

void AudioEncoder::Destroy::operator()(g722_encode_state_s* encoder) const noexcept {
    g722_encode_free(encoder);
}

AudioEncoder::AudioEncoder(Encoding encoding) { set(encoding); }

void AudioEncoder::set(Encoding encoding) {
    OAVC_ASSERT(is_supported(encoding));
    if (encoding == encoding_ && (opus_ || g722_)) return;
    opus_.reset();
    g722_.reset();
    if (encoding.codec == Codec::opus) {
        int error = OPUS_OK;
        opus_.reset(opus_encoder_create(
            static_cast<opus_int32>(wideband.hz), 1, OPUS_APPLICATION_VOIP, &error
        ));
        if (!opus_) throw std::bad_alloc{};
        opus_encoder_ctl(opus_.get(), OPUS_SET_BITRATE(opus_bit_rate));
        opus_encoder_ctl(opus_.get(), OPUS_SET_COMPLEXITY(opus_complexity));
        opus_encoder_ctl(opus_.get(), OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
        opus_encoder_ctl(opus_.get(), OPUS_SET_INBAND_FEC(1));
        opus_encoder_ctl(opus_.get(), OPUS_SET_PACKET_LOSS_PERC(opus_expected_loss));
        opus_encoder_ctl(opus_.get(), OPUS_SET_DTX(0));
    } else if (encoding.codec == Codec::g722) {
        g722_.reset(g722_encode_init(nullptr, g722_rate, 0));
        if (!g722_) throw std::bad_alloc{};
    }
    encoding_ = encoding;
}

std::size_t AudioEncoder::encode(Samples in, std::span<std::byte> out) noexcept {
    switch (encoding_.codec) {
        case Codec::pcmu:
            return in.size() <= out.size() ? g711::ulaw_encode(in, out) : 0;
        case Codec::pcma:
            return in.size() <= out.size() ? g711::alaw_encode(in, out) : 0;
        case Codec::l16:
            return in.size() <= out.size() / 2 ? l16_encode(in, out) : 0;
        case Codec::g722: {
            if (in.size() % 2 != 0 || in.size() / 2 > out.size()) return 0;
            const int size =
                g722_encode(g722_.get(), octets(out), in.data(), static_cast<int>(in.size()));
            return static_cast<std::size_t>(size);
        }
        case Codec::opus: {
            if (out.size() < opus_max_frame) return 0;  // it would send less of the sound
            const auto room = out.first(opus_max_frame);
            const auto size = opus_encode(
                opus_.get(), in.data(), static_cast<int>(in.size()), octets(room), length(room)
            );
            return static_cast<std::size_t>(std::max(size, 0));
        }
    }
    return 0;
}

std::size_t AudioEncoder::encode_silence(std::size_t samples, std::span<std::byte> out) noexcept {
    static constexpr std::array<Sample, oavc::samples_in(milliseconds{60}, wideband)> silence{};
    const bool g711 = encoding_.codec == Codec::pcmu || encoding_.codec == Codec::pcma;
    if (!g711) return encode(Samples{silence}.first(std::min(samples, silence.size())), out);
    if (samples > out.size()) return 0;
    const auto octet = encoding_.codec == Codec::pcmu ? g711::ulaw_silence : g711::alaw_silence;
    std::ranges::fill(out.first(samples), octet);
    return samples;
}

void AudioDecoder::Destroy::operator()(OpusDecoder* decoder) const noexcept {
    opus_decoder_destroy(decoder);
}

void AudioDecoder::Destroy::operator()(g722_decode_state_s* decoder) const noexcept {
    g722_decode_free(decoder);
}

AudioDecoder::AudioDecoder(Encoding encoding) {
    prepare(encoding);
    set(encoding);
}

void AudioDecoder::prepare(Encoding encoding) {
    OAVC_ASSERT(is_supported(encoding));
    if (encoding.codec == Codec::opus && !opus_) {
        int error = OPUS_OK;
        opus_.reset(opus_decoder_create(static_cast<opus_int32>(wideband.hz), 1, &error));
        if (!opus_) throw std::bad_alloc{};
    } else if (encoding.codec == Codec::g722 && !g722_) {
        g722_.reset(g722_decode_init(nullptr, g722_rate, 0));
        if (!g722_) throw std::bad_alloc{};
    }
}

void AudioDecoder::set(Encoding encoding) noexcept {
    if (encoding == encoding_) return;
    OAVC_ASSERT(encoding.codec != Codec::opus || opus_);
    OAVC_ASSERT(encoding.codec != Codec::g722 || g722_);
    // Between codecs of one rate what was heard goes on, so that a loss there is concealed as well;
    // what Opus heard is its own.
    const auto before = std::exchange(encoding_, encoding);
    const bool same_past = sample_rate(before) == rate() && before.codec != Codec::opus;
    if (!same_past) concealer_.reset(rate());
    if (encoding.codec == Codec::g722) g722_decode_init(g722_.get(), g722_rate, 0);
    if (encoding.codec == Codec::opus) {
        opus_decoder_ctl(opus_.get(), OPUS_RESET_STATE);
        opus_heard_ = false;
    }
}

void AudioDecoder::reset() noexcept {
    concealer_.reset(rate());
    if (encoding_.codec == Codec::g722) g722_decode_init(g722_.get(), g722_rate, 0);
    if (encoding_.codec == Codec::opus) opus_decoder_ctl(opus_.get(), OPUS_RESET_STATE);
    opus_heard_ = false;
}

std::size_t AudioDecoder::samples_in(std::span<const std::byte> payload) const noexcept {
    switch (encoding_.codec) {
        case Codec::pcmu:
        case Codec::pcma:
            return payload.size();
        case Codec::g722:
            return 2 * payload.size();
        case Codec::l16:
            return rate() == narrowband ? payload.size() / 2 : even(payload.size() / 2);
        case Codec::opus: {
            if (payload.empty()) return 0;
            const int samples = opus_packet_get_nb_samples(
                octets(payload), length(payload), static_cast<opus_int32>(wideband.hz)
            );
            return static_cast<std::size_t>(std::max(samples, 0));
        }
    }
    return 0;
}

std::span<const std::byte> AudioDecoder::skip(
    std::span<const std::byte> payload, std::size_t samples
) const noexcept {
    std::size_t bytes = samples;
    if (encoding_.codec == Codec::g722) bytes = samples / 2;
    if (encoding_.codec == Codec::l16) bytes = samples * 2;
    if (encoding_.codec == Codec::opus) bytes = 0;
    return payload.subspan(std::min(bytes, payload.size()));
}

std::size_t AudioDecoder::decode(
    std::span<const std::byte> payload, std::span<Sample> out
) noexcept {
    std::size_t count = 0;
    switch (encoding_.codec) {
        case Codec::pcmu:
            count = g711::ulaw_decode(payload, out);
            break;
        case Codec::pcma:
            count = g711::alaw_decode(payload, out);
            break;
        case Codec::l16:
            count = l16_decode(payload, out);
            break;
        case Codec::g722: {
            const auto in = payload.first(std::min(payload.size(), out.size() / 2));
            const int samples =
                g722_decode(g722_.get(), out.data(), octets(in), static_cast<int>(in.size()));
            count = static_cast<std::size_t>(samples);
            break;
        }
        case Codec::opus: {
            if (payload.empty()) return 0;
            const int samples = opus_decode(
                opus_.get(),
                octets(payload),
                length(payload),
                out.data(),
                static_cast<int>(out.size()),
                0
            );
            if (samples <= 0) return 0;
            opus_heard_ = true;
            opus_made_up_ = 0;
            return static_cast<std::size_t>(samples);
        }
    }
    concealer_.on_real(out.first(count));
    return count;
}

bool AudioDecoder::carries_previous(std::span<const std::byte> payload) const noexcept {
    if (encoding_.codec != Codec::opus || payload.empty()) return false;
    const unsigned toc = std::to_integer<unsigned>(payload[0]);
    if ((toc & 0x80) != 0) return false;  // CELT alone has no FEC
    std::array<const unsigned char*, 48> frames{};
    std::array<opus_int16, 48> sizes{};
    const int count = opus_packet_parse(
        octets(payload), length(payload), nullptr, frames.data(), sizes.data(), nullptr
    );
    if (count <= 0 || sizes[0] == 0) return false;
    // RFC 6716 §4.2.3: one bit of voice activity for each 20 ms of the frame, then the LBRR flag.
    const int samples = opus_packet_get_samples_per_frame(octets(payload), 48'000);
    const int voice_bits = std::max(1, samples / 960);
    return (*frames[0] >> (7 - voice_bits) & 1) != 0;
}

bool AudioDecoder::recover(
    std::span<const std::byte> next_payload, std::span<Sample> out
) noexcept {
    if (!carries_previous(next_payload)) return false;
    const auto frame = opus_packet_get_samples_per_frame(
        octets(next_payload), static_cast<opus_int32>(wideband.hz)
    );
    if (out.size() != static_cast<std::size_t>(frame)) return false;
    const int samples =
        opus_decode(opus_.get(), octets(next_payload), length(next_payload), out.data(), frame, 1);
    if (samples != frame) return false;
    opus_made_up_ = 0;
    opus_heard_ = true;
    return true;
}

bool AudioDecoder::conceal(std::span<Sample> out) noexcept {
    if (encoding_.codec != Codec::opus) return concealer_.fill(out);
    const auto wanted = opus_heard_ ? std::min(out.size(), longest_made_up - opus_made_up_) : 0;
    const auto possible = wanted - wanted % opus_step;
    std::size_t made = 0;
    if (possible > 0) {
        const int samples =
            opus_decode(opus_.get(), nullptr, 0, out.data(), static_cast<int>(possible), 0);
        made = static_cast<std::size_t>(std::max(samples, 0));
    }
    opus_made_up_ += std::min(wanted, out.size());
    std::ranges::fill(out.subspan(made), Sample{0});
    return made > 0;
}

}  // namespace oavc::media
