#pragma once

#include "net/tls.hpp"

#include <boost/asio/ssl/context.hpp>

namespace oavc::net {

/// Both sides of it: who is a server to some may be a client to others.
struct TlsContext::State {
    boost::asio::ssl::context server{boost::asio::ssl::context::tls_server};
    boost::asio::ssl::context client{boost::asio::ssl::context::tls_client};
};

}  // namespace oavc::net
