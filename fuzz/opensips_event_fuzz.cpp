#include "support/fuzz_opensips.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_opensips_event({reinterpret_cast<const char*>(data), size});
    return 0;
}
