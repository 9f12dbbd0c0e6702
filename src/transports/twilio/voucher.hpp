#pragma once

#include "base/time.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace oavc::transports::twilio {

/// What one instance's webhook tells another instance's media socket. Between them stands a load
/// balancer, and Twilio's sockets carry nothing by which it could keep a call together.
struct Vouched {
    std::string call_sid;
    std::string from;
    std::string to;
};

/// A token that every instance with the same secret (Twilio's auth token) can check: who calls
/// whom, until when, and HMAC-SHA256 over that and the CallSid. Shorter than 420 characters (Twilio
/// allows a parameter 500); of longer addresses the first 80 characters count.
std::string make_voucher(
    std::string_view secret, const Vouched& call, std::chrono::system_clock::time_point expires
);

/// What a voucher says, if it was made with one of `secrets` (empty ones are skipped) for this
/// CallSid and has not expired. Compares in constant time; anything may be in `voucher`.
std::optional<Vouched> read_voucher(
    std::span<const std::string> secrets,
    std::string_view call_sid,
    std::string_view voucher,
    std::chrono::system_clock::time_point now
);

/// Vouchers that were used here, so that none is used twice. Other instances do not know: there the
/// CallSid, the signed handshake and the short life stand against a replay. Thread: any.
class UsedVouchers {
public:
    UsedVouchers(Clock::duration ttl, std::size_t bound) : ttl_{ttl}, bound_{bound} {}

    /// False: it was used before, or so many were within `ttl` that it cannot be known.
    bool use(std::string_view voucher, TimePoint now);

private:
    const Clock::duration ttl_;
    const std::size_t bound_;
    std::mutex mutex_;
    std::map<std::string, TimePoint, std::less<>> used_;  ///< until when it must be known
};

}  // namespace oavc::transports::twilio
