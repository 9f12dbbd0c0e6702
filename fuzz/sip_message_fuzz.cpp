#include "support/fuzz_sip_agent.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_sip_agent({reinterpret_cast<const char*>(data), size});
    return 0;
}
