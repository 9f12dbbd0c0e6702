#pragma once

#include <compare>
#include <string>

namespace oavc::net {

/// Who we are and whom we believe, in PEM files. TLS 1.2 and newer.
struct TlsIdentity {
    std::string certificate_file;  ///< ours, with the chain behind it; empty: none
    std::string key_file;
    std::string ca_file;         ///< who may sign the other side's; empty: the system's store
    bool verify_clients{false};  ///< as a server: no connection without a certificate

    friend auto operator<=>(const TlsIdentity&, const TlsIdentity&) = default;
};

}  // namespace oavc::net
