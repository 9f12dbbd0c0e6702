#include "support/fuzz_privacy.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_privacy({reinterpret_cast<const char*>(data), size});  // NOLINT
    return 0;
}
