#pragma once

#include <cstddef>
#include <string_view>

namespace oavc {

/// What `decode_utf8` makes of bytes that are no UTF-8, one byte at a time.
inline constexpr char32_t broken_utf8 = 0xFFFD;

struct Utf8Character {
    char32_t code;
    std::size_t size;  ///< bytes, at least 1
};

/// The first character of `text`, which is not empty (RFC 3629 §4).
Utf8Character decode_utf8(std::string_view text) noexcept;

}  // namespace oavc
