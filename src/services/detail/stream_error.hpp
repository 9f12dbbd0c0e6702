#pragma once

#include "net/errors.hpp"
#include "services/errors.hpp"

#include <boost/asio/error.hpp>

namespace oavc::services {

/// An error of the network as the services' interfaces tell it: cancelled, timed_out, rejected (a
/// 4xx that another attempt does not mend), overloaded (429, 503), else unavailable. The message
/// tells both.
inline error_code service_error(const error_code& error) noexcept {
    namespace failed = boost::asio::error;
    if (!error || error.category() == make_error_code(ServiceErrc::cancelled).category()) {
        return error;
    }
    if (error == failed::operation_aborted) return make_error_code(ServiceErrc::cancelled);
    if (error == failed::timed_out) return make_error_code(ServiceErrc::timed_out);
    if (error == net::NetErrc::bad_url) return make_error_code(ServiceErrc::configuration);
    const int status = net::http_status_of(error);
    if (status == 429 || status == 503) return with_cause(ServiceErrc::overloaded, error);
    if (status == 408 || status == 409) return with_cause(ServiceErrc::unavailable, error);
    if (status >= 400 && status < 500) return with_cause(ServiceErrc::rejected, error);
    return with_cause(ServiceErrc::unavailable, error);
}

}  // namespace oavc::services
