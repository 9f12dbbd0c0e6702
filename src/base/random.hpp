#pragma once

#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace oavc {

/// Fills `out` from the kernel's generator (getrandom). For ids, tokens, SSRCs and RTP offsets
/// (RFC 3550 §5.1 wants the last two unpredictable). Aborts when the kernel has none.
void random_bytes(std::span<std::byte> out) noexcept;

std::uint32_t random_u32() noexcept;

/// Half to all of a wait before the next attempt, so that the calls of a dead server do not come
/// back in step.
Clock::duration with_jitter(Clock::duration wait) noexcept;

/// `bytes` random bytes as lower-case hexadecimal: 16 → 32 digits.
std::string random_hex(std::size_t bytes);

}  // namespace oavc
