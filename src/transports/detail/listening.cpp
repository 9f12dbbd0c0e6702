#include "transports/detail/listening.hpp"

#include <boost/asio/error.hpp>

#include <fmt/format.h>

#include <exception>
#include <utility>

namespace oavc::transports::detail {

std::string cannot_bind(
    const Listening& wanted, const net::UdpEndpoint& local, const error_code& error
) {
    const auto where = net::to_string(local);
    if (error == boost::asio::error::address_in_use) {
        return fmt::format(
            "{} {} is in use: another server runs there, or set [{}] {} to a free port",
            wanted.protocol,
            where,
            wanted.section,
            wanted.port_key
        );
    }
    return fmt::format(
        "cannot receive {} on {} {}: {} (check [{}] {})",
        wanted.what,
        wanted.protocol,
        where,
        error.message(),
        wanted.section,
        wanted.address_key
    );
}

async::TaskGroup::ExceptionHandler log_exception(log::Logger log) {
    return [log = std::move(log)](const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            log.error("a call ended by an exception", log::kv("what", std::string_view{e.what()}));
        } catch (...) {
            log.error("a call ended by an exception");
        }
    };
}

}  // namespace oavc::transports::detail
