#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace oavc::test {

/// A client's WebSocket frame, byte by byte as RFC 6455 §5.2 draws it. `first`: the final bit, the
/// reserved bits and the opcode.
inline std::string masked_frame(unsigned first, std::string_view payload) {
    constexpr char key[4] = {'\x12', '\x34', '\x56', '\x78'};
    std::string frame;
    frame += static_cast<char>(first);
    const std::size_t size = payload.size();
    const unsigned width = size < 126 ? 0 : size < 65'536 ? 2 : 8;
    frame += static_cast<char>(0x80 | (width == 0 ? size : width == 2 ? 126 : 127));
    for (unsigned i = width; i-- > 0;)
        frame += static_cast<char>(size >> (8 * i) & 0xFF);
    frame.append(key, sizeof key);
    for (std::size_t i = 0; i < size; ++i)
        frame += static_cast<char>(payload[i] ^ key[i % 4]);
    return frame;
}

}  // namespace oavc::test
