#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

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

/// Tries the end of a search again: its last good step and its first bad one, and where one of them
/// turns out otherwise, its neighbour, until a good and a bad one lie side by side. No step twice.
/// Sans-I/O.
class KneeCheck {
public:
    /// `tried`: calls of the search's steps, ascending, each once. `knee`: the most that went well.
    KneeCheck(std::vector<std::size_t> tried, std::size_t knee)
        : tried_{std::move(tried)},
          again_(tried_.size()),
          good_{static_cast<std::size_t>(
              std::upper_bound(tried_.begin(), tried_.end(), knee) - tried_.begin()
          )} {}

    /// Calls of the step to take now. Nothing: the knee is known.
    std::optional<std::size_t> next() const noexcept {
        const auto index = next_index();
        if (!index) return std::nullopt;
        return tried_[*index];
    }

    /// How the step went.
    void on_step(bool good) noexcept {
        const auto index = next_index();
        if (!index) return;
        again_[*index] = true;
        if (*index < good_ && !good) good_ = *index;
        if (*index == good_ && good) ++good_;
    }

    /// Most calls that went well; 0: none did.
    std::size_t knee() const noexcept { return good_ == 0 ? 0 : tried_[good_ - 1]; }
    /// All that the search tried went well.
    bool is_beyond() const noexcept { return good_ == tried_.size(); }

private:
    std::optional<std::size_t> next_index() const noexcept {
        if (good_ > 0 && !again_[good_ - 1]) return good_ - 1;
        if (good_ < tried_.size() && !again_[good_]) return good_;
        return std::nullopt;
    }

    const std::vector<std::size_t> tried_;
    std::vector<bool> again_;
    std::size_t good_;  ///< so many of `tried_`, from the first
};

}  // namespace oavc::caller::bench
