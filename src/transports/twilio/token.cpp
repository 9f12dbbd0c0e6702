#include "transports/twilio/token.hpp"

#include <openssl/crypto.h>

namespace oavc::transports::twilio {

std::string make_token() {
    std::array<std::byte, 32> bytes{};
    random_bytes(bytes);
    return base64::encode_url(bytes);
}

bool same_token(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace oavc::transports::twilio
