#pragma once

#include "media/codec.hpp"
#include "media/detail/concealer.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <memory>
#include <span>

struct OpusDecoder;
struct OpusEncoder;
struct g722_decode_state_s;
struct g722_encode_state_s;

namespace oavc::media {

/// One stream's encoder for any codec. Allocates in the constructor and in set() only, for G.722
/// (300 bytes) and Opus (about 25 KB).
///
/// Opus: voice, 32 kbit/s, complexity 5, in-band FEC for 10 % loss, no DTX (a peer behind NAT wants
/// to see packets). Owner and thread: one stream's.
class AudioEncoder {
public:
    /// Longest packet: 60 ms of L16 at 16 kHz.
    static constexpr std::size_t max_payload = 1'920;

    /// `encoding`: one that is_supported() (OAVC_ASSERT). Throws std::bad_alloc.
    explicit AudioEncoder(Encoding encoding = {});

    /// Another encoding begins without a past; the same goes on. Throws std::bad_alloc.
    void set(Encoding encoding);

    Encoding encoding() const noexcept { return encoding_; }
    SampleRate rate() const noexcept { return sample_rate(encoding_); }

    /// One packet of PCM at rate(): 10, 20, 40 or 60 ms for Opus, whole milliseconds for the
    /// others. Returns the octets written. 0: not such a length, or `out` (max_payload) is too
    /// small.
    std::size_t encode(Samples in, std::span<std::byte> out) noexcept;

    /// The same of digital silence.
    std::size_t encode_silence(std::size_t samples, std::span<std::byte> out) noexcept;

private:
    struct Destroy {
        void operator()(OpusEncoder* encoder) const noexcept;
        void operator()(g722_encode_state_s* encoder) const noexcept;
    };

    Encoding encoding_;
    std::unique_ptr<OpusEncoder, Destroy> opus_;
    std::unique_ptr<g722_encode_state_s, Destroy> g722_;
};

/// One stream's decoder for any codec, and what it makes up for lost packets. Allocates in
/// prepare() only. Owner and thread: one stream's.
class AudioDecoder {
public:
    /// Longest packet of Opus: 120 ms (RFC 6716 §3.2.5), at 16 kHz.
    static constexpr std::size_t max_opus_samples = 1'920;

    /// Decodes `encoding` from now on.
    explicit AudioDecoder(Encoding encoding = {});

    /// Makes what `encoding` needs (OAVC_ASSERT: is_supported()), so that set() finds it. Throws
    /// std::bad_alloc.
    void prepare(Encoding encoding);

    /// A prepared encoding (OAVC_ASSERT). Another one begins without a past; the same goes on.
    void set(Encoding encoding) noexcept;

    /// Another sender of the same encoding: forgets what was heard.
    void reset() noexcept;

    Encoding encoding() const noexcept { return encoding_; }
    SampleRate rate() const noexcept { return sample_rate(encoding_); }

    /// PCM samples that a payload decodes to; 0: it holds none or is malformed. At 16 kHz always an
    /// even number, for the odd last sample of L16 is ignored.
    std::size_t samples_in(std::span<const std::byte> payload) const noexcept;

    /// The payload without the first `samples`, for codecs whose payload can be cut; Opus: all of
    /// it.
    std::span<const std::byte> skip(std::span<const std::byte> payload, std::size_t samples)
        const noexcept;

    /// Decodes as many samples as both hold and returns how many; an Opus payload is decoded whole
    /// or not at all (`out`: samples_in(payload) at least). 0 also where Opus finds it malformed.
    /// After a loss the beginning is blended with what was made up.
    std::size_t decode(std::span<const std::byte> payload, std::span<Sample> out) noexcept;

    /// Whether an Opus payload carries the packet before it a second time (RFC 6716 §2.1.7).
    bool carries_previous(std::span<const std::byte> payload) const noexcept;

    /// Fills `out` (2.5 … 60 ms, whole 2.5 ms), the end of a gap, from what the payload after it
    /// carries. The payload itself is still to be decoded. False: not possible, nothing written.
    bool recover(std::span<const std::byte> next_payload, std::span<Sample> out) noexcept;

    /// Makes up `out` for lost packets: fading within 100 ms of the last real sample, then silence.
    /// False: nothing but silence.
    bool conceal(std::span<Sample> out) noexcept;

private:
    struct Destroy {
        void operator()(OpusDecoder* decoder) const noexcept;
        void operator()(g722_decode_state_s* decoder) const noexcept;
    };

    Encoding encoding_;
    std::unique_ptr<OpusDecoder, Destroy> opus_;
    std::unique_ptr<g722_decode_state_s, Destroy> g722_;
    detail::Concealer concealer_;  ///< of all but Opus, which has its own
    std::size_t opus_made_up_{0};  ///< samples since the last real one
    bool opus_heard_{false};
};

}  // namespace oavc::media
