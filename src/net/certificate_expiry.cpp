#include "net/certificate_expiry.hpp"

#include <boost/asio/ssl/error.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

namespace oavc::net {

namespace {

struct FreeBio {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
struct FreeCertificate {
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};

std::chrono::sys_seconds end_of(const X509* certificate) {
    std::tm ends{};
    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &ends);
    return std::chrono::sys_seconds{std::chrono::seconds{::timegm(&ends)}};
}

}  // namespace

Result<std::chrono::sys_seconds> certificate_expiry(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    if (!in) return error_code{errno, boost::system::system_category()};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    const std::unique_ptr<BIO, FreeBio> bio{
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
    std::optional<std::chrono::sys_seconds> first;
    for (;;) {
        const std::unique_ptr<X509, FreeCertificate> certificate{
            PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)};
        if (!certificate) break;
        const auto ends = end_of(certificate.get());
        first = first ? std::min(*first, ends) : ends;
    }
    const auto why = ::ERR_get_error();  // also at the end of a good file: no further one begins
    ::ERR_clear_error();
    if (first) return *first;
    return error_code{static_cast<int>(why), boost::asio::error::get_ssl_category()};
}

}  // namespace oavc::net
