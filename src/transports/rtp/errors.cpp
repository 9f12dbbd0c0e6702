#include "transports/rtp/errors.hpp"

namespace oavc::transports::rtp {

std::string_view describe(MediaErrc code) noexcept {
    switch (code) {
        case MediaErrc::no_ports:
            return "no RTP ports are left";
    }
    return "unknown media error";
}

}  // namespace oavc::transports::rtp
