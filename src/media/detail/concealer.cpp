#include "media/detail/concealer.hpp"

#include <algorithm>
#include <cstdint>
#include <new>
#include <tuple>
#include <type_traits>

// The second needs the first.
// clang-format off
#include <spandsp/telephony.h>
#include <spandsp/plc.h>
// clang-format on

namespace oavc::media::detail {
namespace {

static_assert(std::is_trivially_copyable_v<plc_state_t> && alignof(plc_state_t) <= 8);

plc_state_t* library(std::span<std::byte> storage) noexcept {
    return std::launder(reinterpret_cast<plc_state_t*>(storage.data()));  // NOLINT
}

}  // namespace

Concealer::Concealer() noexcept {
    static_assert(sizeof(plc_state_t) <= state_size);
    static_assert(PLC_HISTORY_LEN <= history_size);
    static_assert(PLC_PITCH_OVERLAP_MAX <= std::tuple_size_v<decltype(stash_)>);
    plc_init(::new (state_.data()) plc_state_t{});
}

void Concealer::on_real(std::span<Sample> samples) noexcept {
    if (samples.empty()) return;
    if (run_ > 0) plc_rx(library(state_), samples.data(), static_cast<int>(samples.size()));
    run_ = 0;
    stashed_ = 0;
    const auto last = samples.last(std::min(samples.size(), history_size));
    std::shift_left(history_.begin(), history_.end(), static_cast<std::ptrdiff_t>(last.size()));
    std::ranges::copy(last, history_.end() - static_cast<std::ptrdiff_t>(last.size()));
}

bool Concealer::fill(std::span<Sample> out) noexcept {
    if (out.empty() || run_ == longest) {
        std::ranges::fill(out, Sample{0});
        return false;
    }
    if (run_ == 0) {
        // The library turns its ring of history with memcpy between places that overlap. Fed anew,
        // and with all of it at once, the ring begins at 0 and needs no turning.
        plc_init(library(state_));
        plc_rx(library(state_), history_.data(), static_cast<int>(history_.size()));
        // Its first blend writes up to a quarter pitch period, whatever it was asked for: the first
        // samples are made in a buffer that is long enough.
        plc_fillin(library(state_), stash_.data(), static_cast<int>(stash_.size()));
        stashed_ = stash_.size();
    }
    const auto from_stash = std::min(stashed_, out.size());
    const auto stashed = std::span{stash_}.last(stashed_).first(from_stash);
    std::ranges::copy(stashed, out.begin());
    stashed_ -= from_stash;
    run_ += from_stash;
    const auto made = std::min(out.size() - from_stash, longest - run_);
    if (made > 0) plc_fillin(library(state_), &out[from_stash], static_cast<int>(made));
    run_ += made;
    std::ranges::fill(out.subspan(from_stash + made), Sample{0});
    return true;
}

}  // namespace oavc::media::detail
