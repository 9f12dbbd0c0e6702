#include "net/detail/client_hello.hpp"

namespace oavc::net::detail {

namespace {

/// Where a connection says that it may go on.
int permission() noexcept {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

int on_client_hello(SSL* connection, int*, void*) noexcept {
    const bool permitted = SSL_get_ex_data(connection, permission()) != nullptr;
    return permitted ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_RETRY;
}

}  // namespace

void stop_at_client_hello(SSL_CTX* server) {
    SSL_CTX_set_client_hello_cb(server, on_client_hello, nullptr);
}

bool is_stopped_at_client_hello(const SSL* connection) noexcept {
    return SSL_want(connection) == SSL_CLIENT_HELLO_CB;
}

void go_on_from_client_hello(SSL* connection) noexcept {
    SSL_set_ex_data(connection, permission(), connection);
}

}  // namespace oavc::net::detail
