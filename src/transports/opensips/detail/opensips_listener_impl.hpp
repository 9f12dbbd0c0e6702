#pragma once

#include "async/signal.hpp"
#include "transports/detail/shard_calls.hpp"
#include "transports/dialer.hpp"
#include "transports/errors.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/mi_client.hpp"
#include "transports/opensips/opensips_listener.hpp"
#include "transports/opensips/opensips_transport.hpp"
#include "transports/opensips/subscription.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace oavc::transports::opensips {

struct OpensipsListener::Impl final : Exchange, Dialer {
    /// A call as shard 0 knows it.
    struct Entry {
        CallNumber number;
        TimePoint began;
    };
    /// A number and ports for a call to be placed, on their way from shard 0. Thread: the call's.
    struct Reservation {
        explicit Reservation(asio::any_io_executor executor) : ready{std::move(executor)} {}
        async::Signal ready;
        std::optional<Result<std::pair<CallNumber, rtp::RtpPortPair>>> outcome;
        bool abandoned{false};
    };
    /// Events of an outgoing call whose key OpenSIPS has not told us yet: the two are not ordered.
    struct Unclaimed {
        std::vector<UaEvent> events;
    };
    /// Requests that must still be sent, one after another, whatever the answers.
    struct Chore {
        std::vector<MiCommand> commands;
        std::size_t next{0};
        int attempts{0};
    };

    static constexpr int chore_attempts = 3;

    Impl(
        Config c,
        rtp::Config m,
        rtp::RtpPorts& p,
        async::ShardPool& s,
        CallHandler& h,
        log::Logger l
    );

    // --- Start and stop; thread: the caller's.
    void start();
    asio::awaitable<void> close_sockets();
    void stop();
    Stats snapshot() const;  ///< thread: shard 0

    // --- Exchange; thread: the call's shard.
    void call_began(CallNumber call, OpensipsTransport& transport) override;
    void send_mi(CallNumber call, std::uint32_t token, MiCommand command) override;
    void call_ended(CallNumber call, std::uint16_t port, std::vector<MiCommand> leftovers) override;

    // --- Dialer; thread: the call's shard.
    asio::awaitable<Result<Dialled>> dial(async::Shard& shard, DialRequest request) override;
    Result<OutgoingCall> outgoing_call(const DialRequest& request) const;
    asio::awaitable<Result<std::pair<CallNumber, rtp::RtpPortPair>>> reserve(async::Shard& shard);

    // --- Everything below: shard 0.
    void allocate(async::Shard& shard, const std::shared_ptr<Reservation>& reservation);
    std::string learn_key(CallNumber call, const MiOutcome& outcome);
    void replay_unclaimed(const std::string& key);
    void on_foreign_outgoing(UaEvent event);
    void hang_up_orphan(const std::string& key);
    void on_datagram(std::span<const std::byte> datagram, const net::UdpEndpoint& from);
    void on_event(UaEvent event);
    void on_invite(const UaEvent& event);
    void offer_call(UaSession session);
    void refuse(UaSession session, Refusal refusal, std::string_view why);

    // Requests of calls that nobody owns any more.
    void add_chore(std::vector<MiCommand> commands, int attempts = chore_attempts);
    void run_chore(std::shared_ptr<Chore> chore, int attempts_left);

    // The subscription.
    void run_subscription();
    std::string mi_address() const;
    void lose_calls(TimePoint before, const std::string& reason);
    void lose(const Entry& entry, const std::string& reason);
    void forget_old();
    void remember(const std::string& key, TimePoint now);
    void compare(const Subscription::Sessions& list);
    void settle();
    void adopt(const MiSession& session);

    // Given to us.
    const Config config;
    const rtp::Config media;
    const UaSession::Settings call_settings;
    rtp::RtpPorts& ports;
    async::ShardPool& shards;
    CallHandler& handler;
    log::Logger log;
    async::Shard& home;  ///< shard 0
    // Owned; made by start().
    std::set<boost::asio::ip::address> allowed;
    std::unique_ptr<net::UdpSocket> event_socket;
    std::unique_ptr<MiClient> mi;
    std::optional<Subscription> subscription;
    boost::asio::steady_timer subscription_timer;
    boost::asio::steady_timer settle_timer;
    std::optional<detail::ShardCalls<OpensipsTransport>> living;
    // State.
    std::atomic<bool> accepting{true};
    std::atomic<bool> stopped{false};
    bool started{false};
    bool stopping{false};
    std::uint64_t next_number{1};
    std::unordered_map<std::string, Entry> calls;         ///< by key
    std::unordered_map<std::uint64_t, std::string> keys;  ///< by number
    std::unordered_map<std::string, TimePoint> ended;     ///< keys of the last `remember_ended`
    std::unordered_map<std::string, MiSession> to_adopt;
    std::unordered_map<std::string, CallNumber> missing;
    std::set<std::uint64_t> placing;                       ///< numbers whose key is not known yet
    std::unordered_map<std::string, Unclaimed> unclaimed;  ///< by key
    std::size_t chores{0};
    async::Signal chores_done;
    Stats stats;
    log::RateLimit foreign_limit{std::chrono::seconds{10}};
    log::RateLimit broken_limit{std::chrono::seconds{10}};
    log::RateLimit busy_limit{std::chrono::seconds{10}};
    log::RateLimit blind_limit{std::chrono::minutes{10}};
};

}  // namespace oavc::transports::opensips
