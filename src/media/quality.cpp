#include "media/quality.hpp"

#include <algorithm>

namespace oavc::media {
namespace {

constexpr double best_rating = 93.2;      // G.107 table 3: all defaults
constexpr double worst_equipment = 95.0;  // §7.2
constexpr double knee_ms = 177.3;         // from here on a delay disturbs the conversation

struct CodecQuality {
    double ie;   ///< what the codec alone costs
    double bpl;  ///< how well it stands losses, in per cent
};

constexpr CodecQuality quality_of(Codec) noexcept { return {0, 25.1}; }

}  // namespace

double burst_ratio(double missing, double gaps, double expected) noexcept {
    if (missing <= 0 || gaps <= 0 || expected <= missing) return 1;
    const double random_gap = 1 / (1 - missing / expected);
    return std::max(1.0, missing / gaps / random_gap);
}

double rating(const Impairment& impairment) noexcept {
    const double delay = std::max(0.0, to_ms(impairment.delay));
    const double id = 0.024 * delay + 0.11 * std::max(0.0, delay - knee_ms);
    const auto [ie, bpl] = quality_of(impairment.codec);
    const double loss = 100 * std::clamp(impairment.loss, 0.0, 1.0);
    const double burst = std::max(1.0, impairment.burst_ratio);
    const double ie_eff = ie + (worst_equipment - ie) * loss / (loss / burst + bpl);
    return std::clamp(best_rating - id - ie_eff, 0.0, best_rating);
}

double estimate_mos(const Impairment& impairment) noexcept {
    const double r = rating(impairment);
    return std::max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6);
}

}  // namespace oavc::media
