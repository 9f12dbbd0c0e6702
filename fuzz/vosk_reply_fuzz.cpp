// Replies of a Vosk server, within an utterance.

#include "support/fuzz_speech_streams.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_vosk_reply({reinterpret_cast<const char*>(data), size});  // NOLINT
    return 0;
}
