#pragma once

#include "base/units.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <span>

namespace oavc::media {

/// PCM that many calls keep for later, in few bytes: at 8 kHz one byte per sample (µ-law: what came
/// as PCMU is kept exactly, anything else with 38 dB of signal to noise, as telephony has it), at
/// other rates two, exactly.
class CompactPcm {
public:
    explicit CompactPcm(SampleRate rate) noexcept : rate_{rate} {}

    SampleRate rate() const noexcept { return rate_; }
    std::size_t bytes(std::size_t samples) const noexcept {
        return rate_ == narrowband ? samples : samples * sizeof(Sample);
    }

    /// `out`: exactly bytes(in.size()) (OAVC_ASSERT).
    void pack(Samples in, std::span<std::byte> out) const noexcept;
    /// `in`: exactly bytes(out.size()) (OAVC_ASSERT).
    void unpack(std::span<const std::byte> in, std::span<Sample> out) const noexcept;

private:
    SampleRate rate_;
};

}  // namespace oavc::media
