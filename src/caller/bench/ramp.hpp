#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

namespace oavc::caller::bench {

/// Looks for the knee: the most calls that still get good service. Doubles until a step is bad,
/// then halves the rest until it is known to 5 %. Sans-I/O.
class Ramp {
public:
    /// `first`, `most`: calls, at least 1. Never tries more than `most`.
    Ramp(std::size_t first, std::size_t most) noexcept
        : most_{most}, next_{std::min(first, most)} {}

    /// Calls of the step to take now. Nothing: the knee is found.
    std::optional<std::size_t> next() const noexcept {
        if (next_ == 0) return std::nullopt;
        return next_;
    }

    /// How the step went.
    void on_step(bool good) noexcept {
        if (good) {
            knee_ = next_;
        } else {
            bad_ = next_;
        }
        if (!bad_) {
            next_ = knee_ == most_ ? 0 : std::min(most_, knee_ * 2);
            return;
        }
        const std::size_t rest = *bad_ - knee_;
        const std::size_t resolution = std::max<std::size_t>(1, *bad_ / 20);
        next_ = rest <= resolution ? 0 : knee_ + rest / 2;
    }

    /// Most calls that went well; 0: none did.
    std::size_t knee() const noexcept { return knee_; }
    /// The search ended because `most` went well: the knee is beyond.
    bool is_beyond() const noexcept { return next_ == 0 && !bad_; }

private:
    const std::size_t most_;
    std::size_t next_;
    std::size_t knee_{0};
    std::optional<std::size_t> bad_;
};

}  // namespace oavc::caller::bench
