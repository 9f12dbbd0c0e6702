#include "transports/transport.hpp"

#include "transports/dialer.hpp"
#include "transports/errors.hpp"

#include <boost/asio/error.hpp>

#include <utility>

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
        case EndReason::busy:
            return "busy";
        case EndReason::not_answered:
            return "not_answered";
        case EndReason::refused:
            return "refused";
    }
    return "unknown";
}

EndReason end_reason_of(const error_code& error, bool outgoing) noexcept {
    if (error == asio::error::operation_aborted) return EndReason::we_hung_up;
    if (error == CallControlErrc::gone) return EndReason::cancelled;
    if (!outgoing) return EndReason::carrier_lost;
    if (error == CallControlErrc::busy) return EndReason::busy;
    if (error == CallControlErrc::no_answer) return EndReason::not_answered;
    if (error == CallControlErrc::not_found || error == CallControlErrc::bad_target ||
        error == CallControlErrc::refused) {
        return EndReason::refused;
    }
    return EndReason::carrier_lost;
}

asio::awaitable<Result<void>> Transport::transfer(std::string) {
    co_return CallControlErrc::not_supported;
}

CallInfo call_info(
    const DialRequest& request, std::string_view via, std::string native_id, std::string from
) {
    CallInfo info;
    info.via = via;
    info.native_id = std::move(native_id);
    info.from = std::move(from);
    info.to = request.to;
    info.parameters = request.parameters;
    info.outgoing = true;
    info.agent = request.agent;
    info.id = request.id;
    return info;
}

asio::awaitable<Result<void>> Transport::transfer_attended(std::string, milliseconds) {
    co_return CallControlErrc::not_supported;
}

asio::awaitable<Result<void>> Transport::hold(bool) { co_return CallControlErrc::not_supported; }

asio::awaitable<Result<void>> Transport::send_digits(std::string) {
    co_return CallControlErrc::not_supported;
}

}  // namespace oavc::transports
