#include "media/detail/low_pass.hpp"

#include <cmath>
#include <numbers>

namespace oavc::media::detail {

double low_pass(double t) {
    constexpr double bandwidth = 0.917;
    constexpr double beta = 8;
    const double place = t / static_cast<double>(low_pass_reach);
    if (std::abs(place) >= 1) return 0;
    const double x = std::numbers::pi * t * bandwidth;
    const double window =
        std::cyl_bessel_i(0, beta * std::sqrt(1 - place * place)) / std::cyl_bessel_i(0, beta);
    return bandwidth * (t == 0 ? 1 : std::sin(x) / x) * window;
}

}  // namespace oavc::media::detail
