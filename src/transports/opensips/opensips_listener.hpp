#pragma once

#include "async/shard_pool.hpp"
#include "net/udp.hpp"
#include "observability/log.hpp"
#include "transports/listener.hpp"
#include "transports/opensips/config.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/rtp_ports.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace oavc::transports::opensips {

/// Calls from and, as a Dialer, through OpenSIPS in UA-session mode. The event socket, the MI
/// client and the subscription live on shard 0; calls live on all shards in turn, and only messages
/// pass between them. Owner: the composition root.
class OpensipsListener final : public Listener {
public:
    struct Stats {
        std::uint64_t events{0};          ///< understood
        std::uint64_t foreign_events{0};  ///< from addresses that are not allowed: ignored
        std::uint64_t broken_events{0};   ///< not understood: ignored
        std::uint64_t calls{0};           ///< handed to the handler
        std::uint64_t adopted{0};         ///< of these: found in the list, their event was lost
        std::uint64_t refused_offers{0};  ///< 415, 488
        std::uint64_t refused_busy{0};    ///< 503
        std::uint64_t placed{0};          ///< outgoing calls whose INVITE OpenSIPS has sent
        std::uint64_t orphans{0};         ///< outgoing calls that nobody waited for: hung up
        std::uint64_t calls_lost{0};      ///< to a restart of OpenSIPS
        std::uint64_t mi_requests{0};     ///< sent, repetitions included
        std::uint64_t mi_timeouts{0};
        std::uint64_t mi_ignored{0};  ///< datagrams from elsewhere, late, or no response
        std::size_t rtp_ports_in_use{0};
        bool subscribed{false};
    };

    /// Borrows `ports` (used on shard 0), `shards` and `handler`, which outlive it. The shards must
    /// run when `stop` is called.
    OpensipsListener(
        Config config,
        rtp::Config rtp,
        rtp::RtpPorts& ports,
        async::ShardPool& shards,
        CallHandler& handler,
        log::Logger log
    );
    ~OpensipsListener() override;  ///< stops

    std::string_view name() const noexcept override { return "opensips"; }
    void start() override;
    Dialer* dialer() noexcept override;
    void stop_accepting() override;
    std::vector<metrics::Count> counts() const override;
    void stop() override;

    /// Where events are received: the port is the system's choice if the configured one is 0.
    net::UdpEndpoint event_endpoint() const;

    /// A snapshot. Thread: any but a shard's; waits for shard 0, which must run.
    Stats stats() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace oavc::transports::opensips
