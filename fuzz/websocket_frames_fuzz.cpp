// What clients send into the server's WebSockets.
#include "support/fuzz_websocket.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_websocket_frames(std::as_bytes(std::span{data, size}));
    return 0;
}
