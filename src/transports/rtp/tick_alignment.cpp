#include "transports/rtp/tick_alignment.hpp"

#include <utility>

namespace oavc::transports::rtp {

namespace {

/// A tick this close behind a packet would miss it whenever it comes a little late.
constexpr Clock::duration margin = milliseconds{1};

/// Half phases that the average packet must gain, or nothing moves.
constexpr std::uint32_t worth_moving = 3;

}  // namespace

void TickAlignment::on_packet(TimePoint arrived, TimePoint deadline) noexcept {
    auto wait = (deadline - margin - arrived) % frame;
    if (wait < Clock::duration{0}) wait += frame;
    ++waits_[static_cast<std::size_t>(wait / async::TickWheel::phase_time)];
    ++seen_;
}

std::optional<TickAlignment::Move> TickAlignment::decide(const std::array<bool, phases>& has_room
) noexcept {
    const auto cost = [this](std::size_t later) {
        std::uint32_t sum = 0;
        for (std::size_t wait = 0; wait < phases; ++wait)
            sum += waits_[wait] * static_cast<std::uint32_t>((wait + later) % phases);
        return sum;
    };
    const auto stay = cost(0);
    auto best = stay;
    std::size_t steps = 0;
    for (std::size_t later = 1; later < phases; ++later) {
        if (!has_room[later] || cost(later) >= best) continue;
        best = cost(later);
        steps = later;
    }
    const bool worth = 2 * (stay - best) >= worth_moving * seen_;
    const bool first = !std::exchange(began_, true);
    waits_ = {};
    seen_ = 0;
    if (steps == 0 || !worth) return std::nullopt;
    return Move{steps, !first && steps <= phases / 2};
}

}  // namespace oavc::transports::rtp
