#pragma once

#include "base/time.hpp"
#include "sip/message.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

namespace oavc::sip {

enum class Protocol { udp, tcp, tls };
std::string_view to_string(Protocol protocol) noexcept;  ///< "UDP"
constexpr bool is_reliable(Protocol protocol) noexcept { return protocol != Protocol::udp; }

/// Where a message came from or goes to. Addresses are numeric.
struct Target {
    Protocol protocol{Protocol::udp};
    std::string address;  ///< IPv6 without brackets
    std::uint16_t port{5060};
    std::uint64_t connection{0};  ///< of a stream that is open; 0: any to that address

    friend bool operator==(const Target&, const Target&) = default;
};

/// "192.0.2.1:5060", "[2001:db8::1]:5060".
std::string host_port(std::string_view address, std::uint16_t port);

/// Names one transaction; never used twice.
struct TransactionId {
    std::uint64_t value{0};
    explicit operator bool() const noexcept { return value != 0; }
    friend auto operator<=>(const TransactionId&, const TransactionId&) = default;
};

/// The transactions of RFC 3261 §17 with RFC 6026's Accepted states, sans-I/O: messages and time
/// in, messages to send and events out. The retransmission of a 2xx until its ACK is the user's.
/// Written here because libosip2's machines ask the system's clock themselves and end a server
/// transaction at its 2xx. Owner and thread: the caller's.
class TransactionLayer {
public:
    struct Settings {
        milliseconds t1{500};                  ///< RFC 3261 §17.1.1.1
        milliseconds t2{4000};                 ///< §17.1.2.1
        milliseconds t4{5000};                 ///< §17.1.2.2
        std::size_t max_transactions{20'000};  ///< new requests beyond are dropped, counted
        std::size_t max_udp_request{1300};     ///< §18.1.1: longer ones go by TCP
        bool tcp{true};                        ///< may requests change to TCP?
        std::string user_agent{"oavc"};
    };
    /// Our "host:port" as `to` reaches it: the sent-by of Via.
    using SentBy = std::function<std::string(const Target& to)>;

    // What comes out.
    struct Send {
        Target to;
        std::string bytes;
        TransactionId transaction;  ///< whose it is; for on_send_failed
    };
    /// A new request. CANCEL: `cancels` is the INVITE it means, if that is still known.
    struct Request {
        TransactionId id;
        Message message;
        Target from;
        TransactionId cancels;
    };
    /// ACK of a 2xx.
    struct Ack {
        Message message;
    };
    struct Response {
        TransactionId id;
        std::uint64_t user;  ///< what `request` was given
        Message message;
        Target from;
    };
    /// No final response, or it could not be sent.
    struct Failed {
        TransactionId id;
        std::uint64_t user;
        bool timeout;
    };
    using Action = std::variant<Send, Request, Ack, Response, Failed>;

    struct Stats {
        std::uint64_t received{0};
        std::uint64_t broken{0};           ///< not even answerable
        std::uint64_t flawed{0};           ///< answered with 4xx or 5xx by the layer
        std::uint64_t retransmissions{0};  ///< ours
        std::uint64_t repeated{0};         ///< requests and responses that came again
        std::uint64_t stray{0};            ///< responses and ACKs of nothing
        std::uint64_t dropped{0};          ///< requests beyond max_transactions
        std::size_t open{0};
    };

    TransactionLayer(Settings settings, SentBy sent_by);

    /// One datagram, or one message of a stream.
    void on_bytes(std::string_view bytes, const Target& from, TimePoint now);
    /// The message of that transaction could not be sent.
    void on_send_failed(TransactionId id, TimePoint now);
    void on_time(TimePoint now);

    /// Sends a response of a server transaction. Without effect after a final one, but for a 2xx
    /// to INVITE, which may be repeated.
    void respond(TransactionId id, Message response, TimePoint now);

    /// Begins a client transaction: adds Via and sends. `user` comes back with its responses.
    TransactionId request(Message message, Target to, std::uint64_t user, TimePoint now);
    /// CANCELs an INVITE of ours that has had a provisional response (§9.1). 0: cannot.
    TransactionId cancel(TransactionId invite, TimePoint now);
    /// Sends a request outside transactions: the ACK of a 2xx. Returns what was sent, to repeat it.
    Send send_ack(Message ack, const Target& to);
    void send(Send message) { actions_.push_back(std::move(message)); }

    /// Our "host:port" as `to` reaches it.
    std::string sent_by(const Target& to) const { return sent_by_(to); }
    /// Where responses of that server transaction go.
    std::optional<Target> reply_target(TransactionId id) const;

    std::optional<Action> next_action();
    std::optional<TimePoint> next_deadline() const;
    Stats stats() const;
    const Settings& settings() const noexcept { return settings_; }

private:
    enum class State { trying, proceeding, completed, confirmed, accepted };
    struct Transaction {
        bool server;
        bool invite;
        std::uint64_t user{0};
        State state{State::trying};
        std::string key;
        Message request;
        Target peer;      ///< where what we send goes
        Target fallback;  ///< of a request that was changed to TCP
        bool has_fallback{false};
        std::string last_sent;  ///< request, response or ACK, as bytes
        milliseconds interval{0};
        std::optional<TimePoint> repeat;  ///< A, E, G
        std::optional<TimePoint> end;     ///< B, D, F, H, I, J, K, L, M
        std::optional<TimePoint> scheduled;
        bool cancelled{false};
    };

    void on_request(Message message, const Target& from, TimePoint now);
    void on_response(Message message, const Target& from, TimePoint now);
    void answer_flawed(const Message& request, const Flaw& flaw, const Target& from);
    void transmit(TransactionId id, Transaction& transaction);
    void repeat(TransactionId id, Transaction& transaction, TimePoint now);
    void on_end(TransactionId id, Transaction& transaction, TimePoint now);
    void acknowledge(TransactionId id, Transaction& transaction, const Message& response);
    void schedule(TransactionId id, Transaction& transaction);
    void finish(TransactionId id);
    Transaction* find(TransactionId id);
    void add_via(Message& message, const Target& to, std::string_view branch) const;
    std::string new_branch();

    // Given to us.
    const Settings settings_;
    const SentBy sent_by_;
    // State.
    std::uint64_t next_id_{1};
    std::unordered_map<std::uint64_t, Transaction> transactions_;
    std::unordered_map<std::string, TransactionId> keys_;
    std::set<std::pair<TimePoint, std::uint64_t>> deadlines_;
    std::deque<Action> actions_;
    Stats stats_;
};

}  // namespace oavc::sip
