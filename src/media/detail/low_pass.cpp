#include "media/detail/low_pass.hpp"

#include <cmath>
#include <numbers>

namespace oavc::media::detail {

namespace {

/// Modified Bessel function of order 0, by its power series: for the small arguments here twenty
/// times as fast as std::cyl_bessel_i, and a table has tens of thousands of them.
double bessel_i0(double x) {
    const double square = x * x / 4;
    double sum = 1;
    double term = 1;
    for (int k = 1; term > sum * 1e-17; ++k) {
        term *= square / (static_cast<double>(k) * k);
        sum += term;
    }
    return sum;
}

}  // namespace

double low_pass(double t) {
    constexpr double bandwidth = 0.917;
    constexpr double beta = 8;
    static const double full = bessel_i0(beta);
    const double place = t / static_cast<double>(low_pass_reach);
    if (std::abs(place) >= 1) return 0;
    const double x = std::numbers::pi * t * bandwidth;
    const double window = bessel_i0(beta * std::sqrt(1 - place * place)) / full;
    return bandwidth * (t == 0 ? 1 : std::sin(x) / x) * window;
}

}  // namespace oavc::media::detail
