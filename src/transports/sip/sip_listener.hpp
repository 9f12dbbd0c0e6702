#pragma once

#include "async/shard_pool.hpp"
#include "net/udp.hpp"
#include "observability/log.hpp"
#include "sip/user_agent.hpp"
#include "transports/listener.hpp"
#include "transports/rtp/config.hpp"
#include "transports/rtp/rtp_ports.hpp"
#include "transports/sip/config.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace oavc::transports::sip_ua {

/// Calls by SIP, both ways. Sockets, transactions and dialogs live on shard 0; calls' media on all
/// shards in turn, and only messages pass between them. Owner: the composition root.
class SipListener final : public Listener {
public:
    struct Stats {
        sip::UserAgent::Stats agent;
        std::uint64_t foreign{0};              ///< from addresses that are not allowed: ignored
        std::uint64_t calls{0};                ///< handed to the handler
        std::uint64_t refused_busy{0};         ///< 503 or redirected
        std::uint64_t connections{0};          ///< accepted
        std::uint64_t connections_refused{0};  ///< too many
        std::uint64_t broken_streams{0};       ///< closed: no SIP came in them
        std::uint64_t failed_handshakes{0};    ///< of TLS, theirs and ours
        std::size_t open_connections{0};
        bool registered{false};
    };

    /// Borrows everything but the configuration, which is copied; it outlives the listener. The
    /// shards must run when `stop` is called.
    SipListener(
        Config config,
        rtp::Config rtp,
        rtp::RtpPorts& ports,
        async::ShardPool& shards,
        CallHandler& handler,
        log::Logger log
    );
    ~SipListener() override;  ///< stops

    std::string_view name() const noexcept override { return "sip"; }
    void start() override;
    /// Calls are redirected or refused with 503 from now on, and OPTIONS says 503 too.
    void stop_accepting() override;
    void reload_certificates() override;
    std::vector<metrics::Count> counts() const override;
    void stop() override;
    Dialer* dialer() noexcept override;

    /// Where SIP is received: the port is the system's choice if the configured one is 0.
    net::UdpEndpoint udp_endpoint() const;
    std::uint16_t tcp_port() const;

    /// A snapshot. Thread: any but a shard's; waits for shard 0, which must run.
    Stats stats() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace oavc::transports::sip_ua
