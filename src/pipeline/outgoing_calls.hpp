#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/error.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "observability/log.hpp"
#include "pipeline/config.hpp"
#include "transports/dialer.hpp"
#include "transports/errors.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

/// Why a call was refused before any carrier was asked, or after all were.
enum class OutgoingErrc {
    off = 1,        ///< dial_allowed is empty
    not_allowed,    ///< no pattern of it matches
    no_such_agent,  ///< none of that name
    draining,       ///< no new calls
    no_carrier,     ///< none that is configured can place calls
    no_sign,        ///< no carrier gave a sign in time; what was asked is withdrawn
};
std::string_view describe(OutgoingErrc code) noexcept;
OAVC_ERROR_CATEGORY(OutgoingErrc, "oavc.outgoing")

/// `code`: OutgoingErrc, or the last carrier's CallControlErrc. `what`: a sentence that says what
/// to change, without the number.
struct DialProblem {
    error_code code;
    std::string what;
};

struct PlacedCall {
    std::string id;   ///< our session id
    std::string via;  ///< the carrier that took it
    std::string native_id;
};

/// The number without what people write between its digits, "tel:" left out; an address with its
/// scheme. Nothing: neither a number nor a SIP URI, or longer than anything real.
Result<std::string> canonical_target(std::string_view target);

/// Places calls: checks who may be called, then asks one carrier after the other. The next one is
/// asked when a carrier does not work (unavailable), has no place for the call (no_capacity),
/// cannot place calls, or gives no sign in its share of `longest_wait`; never when it says that the
/// callee is busy, does not exist or must not be called. A call that rings is not moved.
class OutgoingCalls {
public:
    static constexpr milliseconds longest_wait{12'000};  ///< for the first sign, all carriers
    static constexpr std::chrono::seconds shortest_patience{5};
    static constexpr std::chrono::seconds longest_patience{300};

    /// Throws std::regex_error on a pattern that is none (the configuration's check was skipped).
    OutgoingCalls(OutgoingConfig config, std::vector<std::string> agents, log::Logger log);
    ~OutgoingCalls();

    /// Carriers in the order in which they are asked; borrowed. Before the first call.
    void add_carrier(std::string name, transports::Dialer& dialer);
    bool has_carrier() const noexcept { return !carriers_.empty(); }

    /// From now on no call is placed. Thread: any.
    void begin_drain() noexcept { draining_.store(true); }

    /// No carrier is being asked. After begin_drain() this becomes true within `longest_wait`, and
    /// must be before the carriers go. Thread: any.
    bool idle() const noexcept { return under_way_.load() == 0; }

    /// Returns once a carrier gave a sign that the call is being placed; then it runs like any
    /// other. `request.id` is given here. The call lives on `shard`, where this runs. Cancellable:
    /// withdrawn.
    asio::awaitable<Result<PlacedCall, DialProblem>> place(
        async::Shard& shard, transports::DialRequest request
    );

private:
    struct Carrier {
        std::string name;
        transports::Dialer* dialer;
    };
    struct Patterns;

    const OutgoingConfig config_;
    const std::vector<std::string> agents_;
    std::vector<Carrier> carriers_;
    std::unique_ptr<Patterns> patterns_;
    std::atomic<bool> draining_{false};
    std::atomic<int> under_way_{0};
    log::Logger log_;
};

}  // namespace oavc::pipeline

OAVC_ERROR_CODE_ENUM(oavc::pipeline::OutgoingErrc)
