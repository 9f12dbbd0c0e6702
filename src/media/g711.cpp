#include "media/g711.hpp"

#include "media/detail/g711_loops.hpp"

#include <algorithm>
#include <bit>

// Inlined into one loop per instruction set, which the compiler vectorises: whole frames at a time
// this is faster than tables, and a thousand calls leave the first-level cache to the audio.
#define OAVC_INLINE [[gnu::always_inline]] inline constexpr

namespace oavc::media {

namespace g711 {
namespace {

// A code is a small floating-point number: sign, three bits of exponent (the segment), four of
// mantissa (the step). So the processor's conversions to and from float find segment and step, and
// these seven bits are at the same place of a float, below an exponent of another bias.
constexpr int step_bit = 19;
constexpr std::uint32_t half_step = 1u << (step_bit - 1);
constexpr std::uint32_t exponent(unsigned power) { return (127u + power) << 23; }

/// Segment and step of a whole `level` whose segment 0 begins at 2^`power`.
OAVC_INLINE std::uint32_t compress(int level, unsigned power) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(level));
    return (bits - exponent(power)) >> step_bit;
}

/// The level in the middle of the interval that segment and step name.
OAVC_INLINE int expand(std::uint32_t code, unsigned power) noexcept {
    return static_cast<int>(
        std::bit_cast<float>(exponent(power) + ((code & 0x7F) << step_bit) + half_step)
    );
}

// Both laws work on sign and magnitude; a negative sample's magnitude is its one's complement, so
// that the steps left and right of zero are alike (G.191).
OAVC_INLINE int magnitude(Sample sample) noexcept { return sample ^ (sample >> 15); }

// G.711 table 2a, on its scale of 14 bits: 33 is the bias, segments double from 33 upwards.
OAVC_INLINE std::uint8_t encode_ulaw(Sample sample) noexcept {
    const int biased = std::min((magnitude(sample) >> 2) + 33, 8191);
    const auto sign = sample < 0 ? 0x80u : 0u;
    return static_cast<std::uint8_t>(~(sign | compress(biased, 5)));
}

// G.711 table 1a, on a scale of 12 bits: the first two segments share a step size; even bits of
// the code are inverted on the line.
OAVC_INLINE std::uint8_t encode_alaw(Sample sample) noexcept {
    const int level = magnitude(sample) >> 4;
    const auto bits = level < 16 ? static_cast<std::uint32_t>(level) : compress(level, 3);
    const auto sign = sample < 0 ? 0u : 0x80u;
    return static_cast<std::uint8_t>((sign | bits) ^ 0x55u);
}

OAVC_INLINE Sample decode_ulaw(std::uint8_t code) noexcept {
    const std::uint32_t bits = ~std::uint32_t{code};
    const int linear = 4 * (expand(bits, 5) - 33);
    return static_cast<Sample>((bits & 0x80) != 0 ? -linear : linear);
}

OAVC_INLINE Sample decode_alaw(std::uint8_t code) noexcept {
    const std::uint32_t bits = code ^ 0x55u;
    const auto in_first = static_cast<int>((bits & 0x0F) << 4 | 0x08);
    const int linear = (bits & 0x70) == 0 ? in_first : expand(bits, 7);
    return static_cast<Sample>((bits & 0x80) != 0 ? linear : -linear);
}

template <auto Encode>
[[gnu::always_inline]] inline void encode_all(
    const Sample* __restrict in, std::byte* __restrict out, std::size_t count
) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        out[i] = std::byte{Encode(in[i])};
}

template <auto Decode>
[[gnu::always_inline]] inline void decode_all(
    const std::byte* __restrict in, Sample* __restrict out, std::size_t count
) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        out[i] = Decode(std::to_integer<std::uint8_t>(in[i]));
}

template <auto Encode>
void encode_baseline(const Sample* in, std::byte* out, std::size_t count) noexcept {
    encode_all<Encode>(in, out, count);
}

template <auto Decode>
void decode_baseline(const std::byte* in, Sample* out, std::size_t count) noexcept {
    decode_all<Decode>(in, out, count);
}

#if defined(__x86_64__)
template <auto Encode>
[[gnu::target("avx2")]] void encode_avx2(
    const Sample* in, std::byte* out, std::size_t count
) noexcept {
    encode_all<Encode>(in, out, count);
}

template <auto Decode>
[[gnu::target("avx2")]] void decode_avx2(
    const std::byte* in, Sample* out, std::size_t count
) noexcept {
    decode_all<Decode>(in, out, count);
}

constexpr detail::G711Loops loops_avx2{
    encode_avx2<encode_ulaw>,
    encode_avx2<encode_alaw>,
    decode_avx2<decode_ulaw>,
    decode_avx2<decode_alaw>};
#endif

}  // namespace

std::uint8_t ulaw_encode(Sample sample) noexcept { return encode_ulaw(sample); }
std::uint8_t alaw_encode(Sample sample) noexcept { return encode_alaw(sample); }
Sample ulaw_decode(std::uint8_t code) noexcept { return decode_ulaw(code); }
Sample alaw_decode(std::uint8_t code) noexcept { return decode_alaw(code); }

std::size_t ulaw_encode(Samples in, std::span<std::byte> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    detail::g711_loops().ulaw_encode(in.data(), out.data(), count);
    return count;
}

std::size_t alaw_encode(Samples in, std::span<std::byte> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    detail::g711_loops().alaw_encode(in.data(), out.data(), count);
    return count;
}

std::size_t ulaw_decode(std::span<const std::byte> in, std::span<Sample> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    detail::g711_loops().ulaw_decode(in.data(), out.data(), count);
    return count;
}

std::size_t alaw_decode(std::span<const std::byte> in, std::span<Sample> out) noexcept {
    const auto count = std::min(in.size(), out.size());
    detail::g711_loops().alaw_decode(in.data(), out.data(), count);
    return count;
}

}  // namespace g711

namespace detail {

constexpr G711Loops g711_loops_baseline{
    g711::encode_baseline<g711::encode_ulaw>,
    g711::encode_baseline<g711::encode_alaw>,
    g711::decode_baseline<g711::decode_ulaw>,
    g711::decode_baseline<g711::decode_alaw>};

const G711Loops& g711_loops() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0) return g711::loops_avx2;
#endif
    return g711_loops_baseline;
}

}  // namespace detail
}  // namespace oavc::media
