#include "transports/transport.hpp"

#include "transports/errors.hpp"

namespace oavc::transports {

std::string_view to_string(EndReason reason) noexcept {
    switch (reason) {
        case EndReason::caller_hung_up:
            return "caller_hung_up";
        case EndReason::we_hung_up:
            return "we_hung_up";
        case EndReason::transferred:
            return "transferred";
        case EndReason::cancelled:
            return "cancelled";
        case EndReason::media_timeout:
            return "media_timeout";
        case EndReason::carrier_lost:
            return "carrier_lost";
        case EndReason::protocol_error:
            return "protocol_error";
    }
    return "unknown";
}

asio::awaitable<Result<void>> Transport::transfer(std::string) {
    co_return CallControlErrc::not_supported;
}

asio::awaitable<Result<void>> Transport::transfer_attended(std::string, milliseconds) {
    co_return CallControlErrc::not_supported;
}

asio::awaitable<Result<void>> Transport::hold(bool) { co_return CallControlErrc::not_supported; }

asio::awaitable<Result<void>> Transport::send_digits(std::string) {
    co_return CallControlErrc::not_supported;
}

}  // namespace oavc::transports
