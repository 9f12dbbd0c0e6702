#include "media/level.hpp"

#include <cstddef>
#include <cstdint>

namespace oavc::media {

double mean_square(Samples samples) noexcept {
    if (samples.empty()) return 0;
    const auto square = [&](std::size_t i) {
        return static_cast<std::uint32_t>(std::int32_t{samples[i]} * samples[i]);
    };
    // Two by two: two squares fit in 32 bits, and are one instruction for four such pairs.
    std::uint64_t energy = samples.size() % 2 == 0 ? 0 : square(samples.size() - 1);
    for (std::size_t i = 0; i + 1 < samples.size(); i += 2)
        energy += square(i) + square(i + 1);
    return static_cast<double>(energy) / static_cast<double>(samples.size());
}

}  // namespace oavc::media
