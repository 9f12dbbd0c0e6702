#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "base/time.hpp"
#include "net/tcp.hpp"
#include "net/tls.hpp"
#include "observability/log.hpp"
#include "sip/transaction_layer.hpp"
#include "sip/user_agent.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace oavc::transports::sip_ua {

/// The TCP and TLS connections of our SIP user agent, those opened to us and those that we open:
/// whole messages come out, messages go in (RFC 3261 §18). Thread: one shard's.
class SipStreams {
public:
    /// Told by plain calls; must not destroy the streams.
    class Owner {
    public:
        /// Whether that address may open a connection to us.
        virtual bool is_welcome(const std::string& address, std::uint16_t port) = 0;
        virtual void on_message(std::string_view bytes, const sip::Target& from) = 0;
        /// No further message is there just now.
        virtual void on_messages_read() = 0;
        /// Whose certificate must be shown at that address: the domain that it was looked up from,
        /// or the address itself.
        virtual std::string domain_of(const sip::Target& target) const = 0;
        /// A message was not sent; also from within `send`.
        virtual void on_not_sent(sip::TransactionId transaction) = 0;

    protected:
        ~Owner() = default;
    };
    struct Limits {
        std::size_t max_connections;  ///< beyond it they are closed at once
        std::chrono::seconds idle_timeout;
    };
    /// Cumulative.
    struct Stats {
        std::uint64_t accepted{0};
        std::uint64_t refused{0};  ///< too many
        std::uint64_t broken{0};   ///< closed: no SIP came in them
        std::uint64_t no_tls{0};   ///< handshakes that failed, theirs and ours
    };

    /// `shard`, `owner` and `tls` outlive it. `tls` null: no connection is opened by TLS.
    SipStreams(
        async::Shard& shard,
        Limits limits,
        Owner& owner,
        const net::TlsContext* tls,
        const log::Logger& log
    );
    SipStreams(const SipStreams&) = delete;
    SipStreams& operator=(const SipStreams&) = delete;
    ~SipStreams() = default;  ///< after `close`

    /// Begins to close what nobody uses, and to accept what `listener` gets.
    void start();
    void listen(std::unique_ptr<net::TcpListener> listener, sip::Protocol protocol);

    /// Sends over the connection that the target names, another to the same place, or a new one.
    void send(sip::UserAgent::Send send);

    /// Closes everything. Once; nothing is accepted or opened after it.
    asio::awaitable<void> close();

    const Stats& stats() const noexcept { return stats_; }
    std::size_t open() const noexcept { return connections_.size(); }

private:
    struct Connection {
        std::uint64_t id;
        sip::Target peer;
        std::unique_ptr<net::TcpStream> stream;  ///< null while connecting
        std::vector<sip::UserAgent::Send> waiting;
        TimePoint last_used;
    };

    Connection* find(const sip::Target& to);
    Connection& add(sip::Target peer, std::unique_ptr<net::TcpStream> stream);
    Connection* connect(const sip::Target& to);
    asio::awaitable<void> run_connecting(std::uint64_t id);
    asio::awaitable<void> accept(net::TcpListener* listener, sip::Protocol protocol);
    asio::awaitable<void> serve(std::uint64_t id);
    void report_no_tls(const sip::Target& peer, const error_code& why);
    bool take_messages(std::string& unread, Connection& connection);
    void watch_idle();

    // Given to us.
    async::Shard& shard_;
    const Limits limits_;
    Owner& owner_;
    const net::TlsContext* const tls_;
    const log::Logger log_;
    // Owned.
    std::vector<std::unique_ptr<net::TcpListener>> listeners_;
    async::TaskGroup tasks_;
    boost::asio::steady_timer idle_timer_;
    // State.
    std::unordered_map<std::uint64_t, Connection> connections_;
    std::uint64_t next_connection_{1};
    bool closed_{false};
    Stats stats_;
    log::RateLimit no_tls_limit_{std::chrono::seconds{10}};
};

}  // namespace oavc::transports::sip_ua
