#include "net/detail/listen_http.hpp"

#include "base/error.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>

#include <fmt/format.h>

#include <stdexcept>

namespace oavc::net::detail {

namespace asio = boost::asio;
using asio::ip::tcp;

tcp::endpoint listen_http(
    tcp::acceptor& acceptor,
    const std::string& host,
    std::uint16_t port,
    std::string_view host_key,
    std::string_view port_key
) {
    const auto where = fmt::format("TCP {}:{}", host, port);
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error) {
        throw std::runtime_error{fmt::format(
            "'{}' is not a numeric address: set [api] {} to 0.0.0.0, 127.0.0.1 or an address of "
            "this machine",
            host,
            host_key
        )};
    }
    const tcp::endpoint endpoint{address, port};
    acceptor.open(endpoint.protocol(), error);
    // Lets a restart bind while old connections linger; two listeners still exclude each other.
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) acceptor.non_blocking(true, error);
    if (!error) return acceptor.local_endpoint();
    error_code ignored;
    acceptor.close(ignored);
    if (error == asio::error::address_in_use) {
        throw std::runtime_error{fmt::format(
            "{} is in use by another process: stop it or set [api] {}", where, port_key
        )};
    }
    if (error == asio::error::access_denied) {
        throw std::runtime_error{fmt::format(
            "{} may not be used by this user: set [api] {} to 1024 or more", where, port_key
        )};
    }
    throw std::runtime_error{fmt::format(
        "{} cannot be bound ({}): set [api] {} and {}", where, error.message(), host_key, port_key
    )};
}

}  // namespace oavc::net::detail
