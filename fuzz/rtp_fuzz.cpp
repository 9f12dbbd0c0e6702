// RTP datagrams, alone and as the stream of one leg on virtual time.
#include "support/fuzz_media.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_rtp(std::as_bytes(std::span{data, size}));
    return 0;
}
