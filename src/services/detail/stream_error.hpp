#pragma once

#include "services/errors.hpp"

#include <boost/asio/error.hpp>

namespace oavc::services {

/// A cancelled wait is ServiceErrc::cancelled at the services' interfaces.
inline error_code as_service_error(const error_code& error) {
    return error == boost::asio::error::operation_aborted ? make_error_code(ServiceErrc::cancelled)
                                                          : error;
}

}  // namespace oavc::services
