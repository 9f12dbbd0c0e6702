#include "services/errors.hpp"

namespace oavc::services {

std::string_view describe(ServiceErrc code) noexcept {
    switch (code) {
        case ServiceErrc::end_of_stream:
            return "end of stream";
        case ServiceErrc::unavailable:
            return "service unavailable";
        case ServiceErrc::timed_out:
            return "service timed out";
        case ServiceErrc::overloaded:
            return "service overloaded";
        case ServiceErrc::protocol:
            return "service broke its protocol";
        case ServiceErrc::rejected:
            return "service rejected the request";
        case ServiceErrc::configuration:
            return "service is not configured correctly";
        case ServiceErrc::cancelled:
            return "cancelled";
    }
    return "unknown service error";
}

bool is_retryable(const error_code& error) noexcept {
    return error != ServiceErrc::end_of_stream && error != ServiceErrc::rejected &&
           error != ServiceErrc::configuration && error != ServiceErrc::cancelled;
}

}  // namespace oavc::services
