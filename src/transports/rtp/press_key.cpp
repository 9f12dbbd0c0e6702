#include "transports/rtp/press_key.hpp"

#include "async/deadline.hpp"
#include "base/time.hpp"
#include "media/telephone_event.hpp"
#include "transports/errors.hpp"

#include <boost/asio/error.hpp>

#include <string_view>
#include <utility>

namespace oavc::transports::rtp {

namespace {

constexpr milliseconds key_pause{500};  ///< a 'w' among digits

}  // namespace

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

asio::awaitable<Result<void>> press_keys(
    RtpLeg& leg,
    std::string digits,
    std::function<bool()> over,
    std::function<asio::awaitable<Result<void>>(char)> by_info
) {
    for (const char digit : digits) {
        if (digit == 'w') {
            const bool waited = co_await async::sleep_for(key_pause);
            if (!waited) co_return error_code{asio::error::operation_aborted};
            continue;
        }
        if (over()) co_return CallControlErrc::gone;
        auto pressing = leg.takes_digits() ? press_key(leg, digit) : by_info(digit);
        const auto pressed = co_await std::move(pressing);
        if (!pressed) co_return pressed.error();
    }
    co_return Result<void>{};
}

}  // namespace oavc::transports::rtp
