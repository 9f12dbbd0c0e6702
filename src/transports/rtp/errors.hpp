#pragma once

#include "base/error.hpp"

#include <string_view>

namespace oavc::transports::rtp {

enum class MediaErrc {
    no_ports = 1,  ///< every port pair of the RTP range is taken
};
std::string_view describe(MediaErrc code) noexcept;
OAVC_ERROR_CATEGORY(MediaErrc, "oavc.transports.rtp")

}  // namespace oavc::transports::rtp

OAVC_ERROR_CODE_ENUM(oavc::transports::rtp::MediaErrc)
