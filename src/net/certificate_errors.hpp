#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::net {

/// Why a client of ours does not believe a server. The descriptions say what to do.
enum class CertificateErrc {
    untrusted = 1,  ///< nobody that we believe signed the certificate
    wrong_name,     ///< it does not hold the name that we asked for
    out_of_date,    ///< it has expired, or is not valid yet
};
std::string_view describe(CertificateErrc code) noexcept;
OAVC_ERROR_CATEGORY(CertificateErrc, "oavc.certificate")

}  // namespace oavc::net

OAVC_ERROR_CODE_ENUM(oavc::net::CertificateErrc)
