#pragma once

#include "base/error.hpp"

namespace oavc::services {

enum class ServiceErrc {
    end_of_stream = 1,  ///< the normal end of a reply or stream
    unavailable,        ///< cannot connect, or the connection broke
    timed_out,          ///< a deadline passed
    overloaded,         ///< our queue, or theirs, is full
    protocol,           ///< the peer said what its protocol does not allow
    rejected,           ///< the peer refused this request; trying again does not help
    configuration,      ///< a model, voice or file is missing or unusable
    cancelled,          ///< we gave up on it
};
std::string_view describe(ServiceErrc code) noexcept;
OAVC_ERROR_CATEGORY(ServiceErrc, "oavc.service")

/// True when an adapter may try the same provider again. Failover acts on others too (README).
bool is_retryable(const error_code& error) noexcept;

}  // namespace oavc::services

OAVC_ERROR_CODE_ENUM(oavc::services::ServiceErrc)
