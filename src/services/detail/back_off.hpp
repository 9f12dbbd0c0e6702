#pragma once

#include "base/random.hpp"
#include "base/time.hpp"

#include <algorithm>

namespace oavc::services {

/// How long to wait before connection number `losses` after one was lost: nothing before the
/// first, as the lost one may just have been old; then 100 ms, twice as long each time
/// up to `longest`; with_jitter().
inline Clock::duration back_off(unsigned losses, Clock::duration longest) {
    if (losses < 2) return {};
    const auto wait = std::min<Clock::duration>(longest, 100ms * (1u << std::min(losses - 2, 16u)));
    return with_jitter(wait);
}

}  // namespace oavc::services
