#pragma once

#include "base/time.hpp"
#include "sip/call.hpp"
#include "sip/registration.hpp"
#include "sip/transaction_layer.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

namespace oavc::sip {

/// A SIP user agent, sans-I/O: bytes and time in; bytes to send and what happens to calls out.
/// Answers by itself what needs no call: OPTIONS (200, or 503 while draining: dispatchers look
/// elsewhere), unknown methods (405), unknown dialogs (481), unknown extensions (420) and schemes
/// (416), merged requests (482), CANCEL. Owner and thread: the listener's, shard 0.
class UserAgent {
public:
    struct Settings {
        TransactionLayer::Settings layer;
        Call::Settings call;
    };

    // What comes out.
    using Send = TransactionLayer::Send;
    /// Somebody calls: `call(number)` waits for answer or reject.
    struct Incoming {
        std::uint64_t number;
    };
    struct Event {
        std::uint64_t number;
        Call::Action action;
    };
    /// Nothing of that call is left; `call(number)` is null from here on.
    struct Gone {
        std::uint64_t number;
    };
    using Action = std::variant<Send, Incoming, Event, Gone>;

    struct Stats {
        TransactionLayer::Stats transactions;
        std::uint64_t incoming{0};
        std::uint64_t refused{0};  ///< by us, without asking: 4xx and 5xx
        std::uint64_t outgoing{0};
        std::uint64_t options{0};
        std::size_t calls{0};
    };

    UserAgent(Settings settings, TransactionLayer::SentBy sent_by);

    void on_bytes(std::string_view bytes, const Target& from, TimePoint now);
    void on_send_failed(TransactionId id, TimePoint now);
    void on_time(TimePoint now);

    /// The call of that number, as long as something of it is left. Tell `touched` after a wish.
    Call* call(std::uint64_t number) noexcept;
    void touched(std::uint64_t number, TimePoint now);
    /// A call to be started. Its events come under the number.
    Call& dial(Call::Destination destination);
    void drain(bool draining) noexcept { draining_ = draining; }
    /// Registers, and stays so until `unregister`.
    void enrol(Registration::Settings settings, TimePoint now);
    void unregister(TimePoint now);
    const std::optional<Registration>& registration() const noexcept { return registration_; }

    std::optional<Action> next_action();
    std::optional<TimePoint> next_deadline() const;
    Stats stats() const;
    TransactionLayer& layer() noexcept { return layer_; }

private:
    struct Entry {
        std::unique_ptr<Call> call;
        std::string key;          ///< Call-ID and our tag
        std::string merged;       ///< of the INVITE: what tells a merged request (§8.2.2.2)
        std::uint64_t invite{0};  ///< its transaction, of an incoming call
        std::optional<TimePoint> scheduled;
    };

    void pump(TimePoint now);
    void on_request(TransactionLayer::Request request, TimePoint now);
    void on_new_request(TransactionLayer::Request request, TimePoint now);
    void on_invite(TransactionLayer::Request request, TimePoint now);
    void on_ack(const Message& ack, TimePoint now);
    bool refuse_unknown(const TransactionLayer::Request& request, TimePoint now);
    void reply(
        const TransactionLayer::Request& request,
        int status,
        std::string_view name,
        std::string_view value,
        TimePoint now
    );
    Entry* find(std::string_view call_id, std::string_view local_tag);
    void insert(std::uint64_t number, Entry entry);

    // Owned.
    const Settings settings_;
    TransactionLayer layer_;
    std::optional<Registration> registration_;
    // State.
    std::uint64_t next_number_{1};
    std::unordered_map<std::uint64_t, Entry> calls_;
    std::unordered_map<std::string, std::uint64_t> dialogs_;
    std::unordered_map<std::string, std::uint64_t> merged_;
    std::unordered_map<std::uint64_t, std::uint64_t> invites_;  ///< transaction → call
    std::set<std::pair<TimePoint, std::uint64_t>> deadlines_;
    std::deque<Action> actions_;
    bool draining_{false};
    Stats stats_;
};

}  // namespace oavc::sip
