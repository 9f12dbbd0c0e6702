#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace oavc::media {

/// Signed way from `from` to `to` on a counter that wraps: wrap_distance<uint16_t>(65535, 1) == 2.
/// For RTP sequence numbers (16 bits), RTP timestamps and NTP middle bits (32 bits). Exactly half a
/// turn apart counts as backwards.
template <std::unsigned_integral T>
constexpr std::make_signed_t<T> wrap_distance(T from, std::type_identity_t<T> to) noexcept {
    return static_cast<std::make_signed_t<T>>(static_cast<T>(to - from));
}

/// The 64-bit number that is congruent to `value` and nearest to `reference`: a counter that wraps
/// becomes one that does not. May be negative near the start.
template <std::unsigned_integral T>
constexpr std::int64_t unwrap(std::int64_t reference, T value) noexcept {
    return reference + wrap_distance(static_cast<T>(reference), value);
}

static_assert(wrap_distance<std::uint16_t>(65535, 1) == 2);
static_assert(wrap_distance<std::uint16_t>(1, 65535) == -2);
static_assert(unwrap<std::uint16_t>(65'535, 1) == 65'537);
static_assert(unwrap<std::uint16_t>(65'537, 65535) == 65'535);
static_assert(unwrap<std::uint32_t>(0, 0xFFFF'FFFF) == -1);

}  // namespace oavc::media
