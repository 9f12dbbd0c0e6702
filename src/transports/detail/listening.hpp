#pragma once

#include "async/task_group.hpp"
#include "base/result.hpp"
#include "net/udp.hpp"
#include "observability/log.hpp"

#include <string>
#include <string_view>

namespace oavc::transports::detail {

/// What a listener wanted to bind, in the words of its configuration.
struct Listening {
    std::string_view what;         ///< "SIP"
    std::string_view protocol;     ///< "UDP"
    std::string_view section;      ///< "telephony.sip"
    std::string_view port_key;     ///< "port"
    std::string_view address_key;  ///< "bind_ip"
};

/// Why `local` could not be bound, and what to change.
std::string cannot_bind(
    const Listening& wanted, const net::UdpEndpoint& local, const error_code& error
);

/// For the tasks that run calls: says in the log what escaped one.
async::TaskGroup::ExceptionHandler log_exception(log::Logger log);

}  // namespace oavc::transports::detail
