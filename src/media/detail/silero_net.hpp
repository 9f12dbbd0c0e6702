#pragma once

#include "media/detail/silero_model.hpp"

#include <array>
#include <span>
#include <string_view>

namespace oavc::media::detail {

/// What one call remembers between windows: 1 KiB. Zeros: nothing heard yet.
struct SileroState {
    alignas(64) std::array<float, SileroModel::hidden> hidden{};
    alignas(64) std::array<float, SileroModel::hidden> cell{};
};

using SileroWindow = std::span<const float, SileroModel::window>;

/// Probability that the window (32 ms at 16 kHz, −1 … 1) holds speech. Updates `state`. About
/// 0.5 million multiplications; no allocation, no branch on data, 12 KB of stack.
using SileroNet = float (*)(const SileroModel&, SileroState&, SileroWindow) noexcept;

/// For the processor at hand: AVX2 and FMA where it has them.
SileroNet silero_net() noexcept;

/// For any processor of the architecture. Its sums are not fused, so that a probability may
/// differ from silero_net()'s in the sixth digit.
float silero_net_baseline(
    const SileroModel& model, SileroState& state, SileroWindow window
) noexcept;

}  // namespace oavc::media::detail
