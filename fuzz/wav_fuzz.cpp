// WAV files.
#include "support/fuzz_media.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_wav(std::as_bytes(std::span{data, size}));
    return 0;
}
