#pragma once

#include "media/frame.hpp"

#include <cmath>
#include <cstdint>
#include <span>

namespace oavc::media {

/// White noise at a low level, so that the line does not sound dead between utterances. Uniformly
/// distributed; deterministic from its seed. Never allocates.
class ComfortNoise {
public:
    /// `dbfs`: RMS of the noise against full scale, e.g. -66. Loud values are the caller's wish.
    ComfortNoise(double dbfs, std::uint32_t seed) noexcept : state_{seed | 1} { set_level(dbfs); }

    void set_level(double dbfs) noexcept {
        // a uniform distribution of ±a has an RMS of a / √3
        const double peak = 32'768.0 * std::pow(10.0, dbfs / 20.0) * 1.7320508;
        amplitude_ = static_cast<std::int32_t>(std::fmin(32'767.0, peak));
    }

    void fill(std::span<Sample> out) noexcept {
        for (Sample& sample : out) {
            state_ ^= state_ << 13;  // xorshift32
            state_ ^= state_ >> 17;
            state_ ^= state_ << 5;
            const auto uniform = static_cast<std::int32_t>(state_ >> 16) - 32'768;
            sample = static_cast<Sample>(uniform * amplitude_ / 32'768);
        }
    }

private:
    std::int32_t amplitude_{0};
    std::uint32_t state_;
};

}  // namespace oavc::media
