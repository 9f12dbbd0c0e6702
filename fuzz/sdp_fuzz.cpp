#include "support/fuzz_sip.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_sdp({reinterpret_cast<const char*>(data), size});
    return 0;
}
