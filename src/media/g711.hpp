#pragma once

#include "media/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

/// ITU-T G.711 between 16-bit linear PCM and 8-bit companded PCM, one byte per sample. Rounding of
/// 16-bit input to the 14 (µ-law) and 13 (A-law) bits of the standard is that of ITU-T G.191.
/// Arithmetic without tables, in vectors where spans are converted. No state, any thread.
namespace oavc::media::g711 {

inline constexpr std::byte ulaw_silence{0xFF};
inline constexpr std::byte alaw_silence{0xD5};

std::uint8_t ulaw_encode(Sample sample) noexcept;
std::uint8_t alaw_encode(Sample sample) noexcept;
Sample ulaw_decode(std::uint8_t code) noexcept;
Sample alaw_decode(std::uint8_t code) noexcept;

/// Whole spans, which do not overlap. Converts min(in.size(), out.size()) samples and returns how
/// many.
std::size_t ulaw_encode(Samples in, std::span<std::byte> out) noexcept;
std::size_t alaw_encode(Samples in, std::span<std::byte> out) noexcept;
std::size_t ulaw_decode(std::span<const std::byte> in, std::span<Sample> out) noexcept;
std::size_t alaw_decode(std::span<const std::byte> in, std::span<Sample> out) noexcept;

}  // namespace oavc::media::g711
