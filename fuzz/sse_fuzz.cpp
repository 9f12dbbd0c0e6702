// Server-sent events as OpenAI streams them: however the bytes are cut into reads, the reply is the
// same.

#include "support/fuzz_llm_streams.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_sse({reinterpret_cast<const char*>(data), size});  // NOLINT
    return 0;
}
