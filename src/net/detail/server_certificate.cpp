#include "net/detail/server_certificate.hpp"

#include "net/certificate_errors.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

namespace oavc::net {

std::string_view describe(CertificateErrc code) noexcept {
    switch (code) {
        case CertificateErrc::untrusted:
            return "certificate verify failed: nobody trusted here signed the server's "
                   "certificate; name the certificate of its authority (ca_file, --ca)";
        case CertificateErrc::wrong_name:
            return "certificate verify failed: the server's certificate does not hold the name in "
                   "the URL; use one that it holds, or have one made for this name";
        case CertificateErrc::out_of_date:
            return "certificate verify failed: the server's certificate is not valid now; renew it "
                   "there, or set this machine's clock right";
    }
    return "unknown certificate error";
}

namespace detail {

namespace asio = boost::asio;

Result<void> expect_host(SSL* client, const std::string& host) {
    error_code not_numeric;
    asio::ip::make_address(host, not_numeric);
    // RFC 6066 §3: literal addresses are not names.
    const bool done =
        not_numeric ? SSL_set1_host(client, host.c_str()) == 1 &&
                          SSL_set_tlsext_host_name(client, host.c_str()) == 1
                    : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client), host.c_str()) == 1;
    if (done) return Result<void>{};
    return error_code{static_cast<int>(::ERR_get_error()), asio::error::get_ssl_category()};
}

error_code handshake_error(const SSL* client, const error_code& error) noexcept {
    if (error.category() != asio::error::get_ssl_category()) return error;
    switch (SSL_get_verify_result(client)) {
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return CertificateErrc::wrong_name;
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return CertificateErrc::out_of_date;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return CertificateErrc::untrusted;
        default:
            return error;
    }
}

}  // namespace detail

}  // namespace oavc::net
