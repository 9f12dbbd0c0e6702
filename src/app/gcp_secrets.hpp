#pragma once

#include "base/result.hpp"
#include "config/load.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace oavc::app {

/// "projects/P/secrets/S" with "/versions/latest", or as it is with a version of its own. Error: a
/// sentence.
Result<std::string, config::SecretProblem> secret_version(std::string_view name);

/// The bytes in an answer of Secret Manager's `versions.access`, their CRC-32C checked.
Result<std::string, config::SecretProblem> secret_of(std::string_view answer);

/// CRC-32C (RFC 3720 appendix B.4).
std::uint32_t crc32c(std::string_view bytes) noexcept;

/// Reads ${gcp-secret:…} from Google's Secret Manager, with the token that the metadata server
/// gives to this machine's service account, once for all secrets. Blocks: five seconds per request
/// at most. `environment`: GCE_METADATA_HOST and OAVC_SECRET_MANAGER_URL lead elsewhere.
config::SecretReader gcp_secrets(const config::Environment& environment);

}  // namespace oavc::app
