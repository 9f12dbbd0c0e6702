#include "base/random.hpp"

#include "base/assert.hpp"

#include <sys/random.h>

#include <array>
#include <vector>

namespace oavc {

void random_bytes(std::span<std::byte> out) noexcept {
    while (!out.empty()) {
        const auto got = ::getrandom(out.data(), out.size(), 0);
        OAVC_ASSERT(got > 0);
        out = out.subspan(static_cast<std::size_t>(got));
    }
}

std::uint32_t random_u32() noexcept {
    std::array<std::byte, 4> bytes{};
    random_bytes(bytes);
    std::uint32_t value = 0;
    for (const std::byte b : bytes)
        value = value << 8 | std::to_integer<std::uint32_t>(b);
    return value;
}

Clock::duration with_jitter(Clock::duration wait) noexcept {
    return wait / 2 + wait / 2 * (random_u32() % 1000) / 1000;
}

std::string random_hex(std::size_t bytes) {
    constexpr auto digits = "0123456789abcdef";
    std::vector<std::byte> raw(bytes);
    random_bytes(raw);
    std::string text;
    text.reserve(bytes * 2);
    for (const std::byte b : raw) {
        text += digits[std::to_integer<unsigned>(b) >> 4];
        text += digits[std::to_integer<unsigned>(b) & 0x0F];
    }
    return text;
}

}  // namespace oavc
