#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/udp.hpp"
#include "transports/opensips/mi_protocol.hpp"
#include "transports/opensips/ua_session.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

namespace oavc::transports::opensips {

/// Sends MI requests over an unconnected UDP socket and matches what comes back by id. Plain-text
/// answers carry no id and count for the oldest. The number under way is bounded; others wait in
/// order. Thread: the executor's.
class MiClient {
public:
    static constexpr std::size_t max_under_way = 128;
    static constexpr std::size_t max_waiting = 4096;

    /// Called once, never within `send`. Without a response: none came in time.
    using Callback = std::function<void(const MiOutcome&)>;

    struct Stats {
        std::uint64_t sent{0};
        std::uint64_t answered{0};
        std::uint64_t timeouts{0};
        std::uint64_t refused{0};  ///< the queue was full
        std::uint64_t ignored{0};  ///< from elsewhere, late, or no response
    };

    MiClient(
        boost::asio::any_io_executor executor, net::UdpEndpoint opensips, milliseconds timeout
    );
    MiClient(const MiClient&) = delete;
    MiClient& operator=(const MiClient&) = delete;

    /// Binds a port of the system's choice; on loopback if OpenSIPS is.
    Result<void> open();
    /// Begins to receive. Thread: the executor's.
    void start();
    void send(const MiCommand& command, Callback callback);
    /// Drops what is under way: no callback comes any more.
    void close();

    const Stats& stats() const noexcept { return stats_; }

private:
    struct Waiting {
        MiCommand command;
        Callback callback;
    };
    struct UnderWay {
        std::uint32_t id;
        TimePoint deadline;
        Callback callback;
    };

    void on_datagram(std::span<const std::byte> datagram, const net::UdpEndpoint& from);
    void pump();
    void arm();
    void expire();
    void post(Callback callback, MiOutcome outcome);

    const boost::asio::any_io_executor executor_;
    const net::UdpEndpoint opensips_;
    const milliseconds timeout_;
    std::unique_ptr<net::UdpSocket> socket_;
    boost::asio::steady_timer timer_;
    bool timer_armed_{false};
    bool closed_{false};
    std::uint32_t next_id_{1};
    std::deque<UnderWay> under_way_;  ///< oldest first
    std::deque<Waiting> waiting_;
    std::shared_ptr<const bool> alive_{
        std::make_shared<const bool>(true)};  ///< for posted callbacks
    Stats stats_;
};

}  // namespace oavc::transports::opensips
