#pragma once

#include "base/result.hpp"

#include <chrono>
#include <string>

namespace oavc::net {

/// When the first of the certificates in a PEM file ends: a chain is refused as soon as one of its
/// links has (RFC 5280 §6.1.3). Errors: of the system, or OpenSSL's where no certificate is read.
Result<std::chrono::sys_seconds> certificate_expiry(const std::string& file);

}  // namespace oavc::net
