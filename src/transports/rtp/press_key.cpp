#include "transports/rtp/press_key.hpp"

#include "async/deadline.hpp"
#include "base/time.hpp"
#include "media/telephone_event.hpp"
#include "transports/errors.hpp"

#include <boost/asio/error.hpp>

#include <string_view>

namespace oavc::transports::rtp {

asio::awaitable<Result<void>> press_key(RtpLeg& leg, char key) {
    constexpr milliseconds longest{2'000};  // of a press and the pause behind it
    if (!media::event_of(key)) co_return CallControlErrc::bad_target;
    if (!leg.send_digits(std::string_view{&key, 1})) co_return CallControlErrc::wrong_state;
    for (milliseconds waited{0}; waited < longest; waited += frame_time) {
        const bool slept = co_await async::sleep_for(frame_time);
        if (!slept) co_return error_code{asio::error::operation_aborted};
        if (!leg.is_sending_digits()) co_return Result<void>{};
    }
    co_return CallControlErrc::wrong_state;
}

}  // namespace oavc::transports::rtp
