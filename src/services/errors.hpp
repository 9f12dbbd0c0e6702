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
error_code make_error_code(ServiceErrc value) noexcept;

/// Equal to `value`, but its message also tells what was behind it: "service unavailable:
/// Connection refused". A bounded number of causes is remembered; further ones are not told.
error_code with_cause(ServiceErrc value, const error_code& cause) noexcept;

/// True when an adapter may try the same provider again. Failover acts on others too (README).
bool is_retryable(const error_code& error) noexcept;

}  // namespace oavc::services

OAVC_ERROR_CODE_ENUM(oavc::services::ServiceErrc)
