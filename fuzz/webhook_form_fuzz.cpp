// Webhook bodies; the first line is the URL that was signed.
#include "support/fuzz_twilio.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    oavc::test::fuzz_webhook_form(std::as_bytes(std::span{data, size}));
    return 0;
}
