#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "observability/metrics.hpp"
#include "transports/dialer.hpp"
#include "transports/transport.hpp"

#include <chrono>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::transports {

/// A place among the calls this instance may carry. Giving it back is destroying it. Owner: the
/// call, from INVITE or webhook to its end. May be destroyed on any thread.
class AdmissionSlot {
public:
    class Owner {
    public:
        virtual void release_slot() noexcept = 0;

    protected:
        ~Owner() = default;
    };

    AdmissionSlot() = default;
    explicit AdmissionSlot(Owner& owner) noexcept : owner_{&owner} {}
    AdmissionSlot(AdmissionSlot&& other) noexcept : owner_{std::exchange(other.owner_, nullptr)} {}
    AdmissionSlot& operator=(AdmissionSlot&& other) noexcept {
        std::swap(owner_, other.owner_);
        return *this;
    }
    ~AdmissionSlot() {
        if (owner_ != nullptr) owner_->release_slot();
    }
    explicit operator bool() const noexcept { return owner_ != nullptr; }

private:
    Owner* owner_{nullptr};
};

/// Who asks for a place.
struct CallOffer {
    std::string_view from;  ///< as in CallInfo; empty: withheld, which is nobody in particular
    bool outgoing{false};   ///< ours: whom it is shown to come from does not count
};

/// Why a call is not taken.
enum class Refusal {
    full,        ///< [limits] max_calls
    caller,      ///< [limits] max_calls_per_caller
    overloaded,  ///< [limits] max_lag: calls that are in come first
    draining,    ///< the process is about to end
};
inline constexpr Refusal refusals[]{
    Refusal::full, Refusal::caller, Refusal::overloaded, Refusal::draining};

/// A word for metrics and programs: the enumerator's name.
std::string_view to_string(Refusal refusal) noexcept;
/// For a person: "every place is taken".
std::string_view describe(Refusal refusal) noexcept;
/// When trying again makes sense: RFC 3261 §20.33, RFC 9110 §10.2.3.
std::chrono::seconds retry_after(Refusal refusal) noexcept;

/// What listeners hand calls to: the pipeline. Thread: any for `admit`, the call's shard for
/// `run_call`.
class CallHandler {
public:
    /// Decides about one new call, atomically. Without a place: refuse politely (503, busy).
    virtual Result<AdmissionSlot, Refusal> admit(const CallOffer& offer) noexcept = 0;

    /// Carries one call from answer to end. Runs on `shard`, which is also the transport's. Returns
    /// when the call is over; cancelling it hangs up. Never throws.
    virtual asio::awaitable<void> run_call(
        async::Shard& shard, std::unique_ptr<Transport> transport, AdmissionSlot slot
    ) = 0;

protected:
    ~CallHandler() = default;
};

/// Brings calls from one kind of carrier. Owner: the composition root.
class Listener {
public:
    virtual ~Listener() = default;
    virtual std::string_view name() const noexcept = 0;

    /// Binds sockets and begins. Throws std::runtime_error that says what is wrong and what to do
    /// ("UDP 127.0.0.1:8090 is in use: …"). Thread: main, before the shards start or after.
    virtual void start() = 0;

    /// Places calls at this carrier; nothing when it cannot. Lives as long as the listener.
    virtual Dialer* dialer() noexcept { return nullptr; }

    /// Reads the files of its certificates again, for connections to come. Throws
    /// std::runtime_error that names the file: then the old ones go on. Thread: any but a shard's.
    virtual void reload_certificates() {}

    /// Takes no more calls (they are refused with 503); running ones go on. Thread: any.
    virtual void stop_accepting() = 0;

    /// What it counts itself, since start(), for metrics: always the same names. Thread: shard 0,
    /// from start() on.
    virtual std::vector<metrics::Count> counts() const = 0;

    /// Ends what is left, closes sockets and returns once no call is left. Thread: any but a
    /// shard's; blocks. After this the shards hold nothing of this listener.
    virtual void stop() = 0;
};

}  // namespace oavc::transports
