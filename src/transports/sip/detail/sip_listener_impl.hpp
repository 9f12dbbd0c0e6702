#pragma once

#include "async/signal.hpp"
#include "net/tls.hpp"
#include "transports/detail/shard_calls.hpp"
#include "transports/dialer.hpp"
#include "transports/errors.hpp"
#include "transports/sip/sip_listener.hpp"
#include "transports/sip/sip_streams.hpp"
#include "transports/sip/sip_transport.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace oavc::transports::sip_ua {

struct SipListener::Impl final : Exchange, Dialer, SipStreams::Owner {
    /// Who waits in `dial`: on its own shard, told once.
    struct Dialling {
        explicit Dialling(async::Shard& s) : shard{s}, changed{s.executor()} {}
        async::Shard& shard;
        async::Signal changed;
        std::optional<Result<Dialled>> outcome;
        std::uint64_t number{0};  ///< shard 0's
    };
    /// A call as shard 0 knows it.
    struct Entry {
        sip::LocalMedia local;
        bool has_transport{false};
        bool transport_gone{false};
        // Without a transport: one that is being dialled, or that asks the target of a transfer.
        rtp::RtpPortPair ports;
        std::uint16_t own_port{0};
        AdmissionSlot slot;
        CallInfo info;
        std::shared_ptr<Dialling> dialling;
        std::unique_ptr<boost::asio::steady_timer> patience;
        std::uint64_t consults_for{0};  ///< the call that is to be joined with this one
        // While the target of a transfer is asked.
        std::uint64_t consult{0};
        bool swallow_hold{false};  ///< the hold under way was not the session's wish
        bool resume{false};        ///< when it is done
    };

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
    std::unique_ptr<net::TcpListener> bind_sockets();
    std::unique_ptr<net::TcpListener> bind_tls();
    net::TlsContext load_certificates() const;
    void reload_certificates();
    void find_servers();
    std::string look_up(const char* key, const std::string& host);
    sip::Registration::Settings registration() const;
    asio::awaitable<void> close();
    std::vector<std::uint64_t> numbers() const;
    void stop();
    void stop_accepting();
    Stats snapshot() const;  ///< thread: shard 0

    // --- Exchange; thread: the call's shard.
    void call_began(std::uint64_t number, SipTransport& transport) override;
    void wish(std::uint64_t number, Wish wish) override;
    void call_ended(std::uint64_t number, std::uint16_t port) override;

    // SipStreams::Owner
    bool is_welcome(const std::string& address, std::uint16_t port) override;
    void on_message(std::string_view bytes, const sip::Target& from) override;
    void on_messages_read() override { run(); }
    std::string domain_of(const sip::Target& target) const override;
    void on_not_sent(sip::TransactionId transaction) override;

    // --- Everything below: shard 0.
    std::string sent_by(const sip::Target& to) const;
    bool is_allowed(const boost::asio::ip::address& address, std::uint16_t port);
    void on_datagram(std::span<const std::byte> datagram, const net::UdpEndpoint& from);
    void run();

    // Calls.
    void on_incoming(std::uint64_t number);
    sip::LocalMedia local_media(const sip::Call& call, std::uint16_t port) const;
    void hand_over(std::uint64_t number, CallInfo info, rtp::RtpPortPair pair, AdmissionSlot slot);
    void refuse(std::uint64_t number, Refusal refusal, std::string_view why);
    void on_event(std::uint64_t number, sip::Call::Action action);
    void tell(std::uint64_t number, Event event);
    void on_gone(std::uint64_t number);
    void release_ports(Entry& entry);
    void on_wish(std::uint64_t number, Wish wish);
    static std::string host_of_peer(const sip::Call& call);

    // Outgoing calls.
    asio::awaitable<Result<Dialled>> dial(async::Shard& shard, DialRequest request) override;
    static void settle(const std::shared_ptr<Dialling>& dialling, Result<Dialled> outcome);
    static void settle(Entry& entry, CallControlErrc error);
    void give_up(std::uint64_t number);
    void begin_dial(const std::shared_ptr<Dialling>& dialling, const DialRequest& request);
    std::string caller(const std::string& wanted) const;
    std::optional<std::string> uri_of(const std::string& who) const;
    bool give_ports(const sip::Call& call, Entry& entry);
    void wait_for_answer(std::uint64_t number, Entry& entry, Clock::duration patience);
    bool on_dialling_event(std::uint64_t number, Entry& entry, const sip::Call::Action& action);

    // Attended transfer: the target is asked in a call of its own (RFC 5589 §7.3).
    Result<void> consult(
        std::uint64_t number, sip::Call& call, Entry& entry, const AttendedTransfer& wish
    );
    void on_consult_event(std::uint64_t other, Entry& asking, const sip::Call::Action& action);
    void end_consult(Entry& entry);
    void resume(std::uint64_t number, Entry& entry);
    void resume_later(std::uint64_t number);

    void transmit(sip::UserAgent::Send send);

    // Given to us.
    const Config config;
    const rtp::Config media;
    rtp::RtpPorts& ports;
    async::ShardPool& shards;
    CallHandler& handler;
    log::Logger log;
    async::Shard& home;  ///< shard 0
    // Owned; made by start().
    std::set<boost::asio::ip::address> allowed;
    std::unique_ptr<net::UdpSocket> udp;
    std::uint16_t tcp_port{0};  ///< 0: not served
    std::optional<sip::Target> proxy;
    std::optional<sip::Target> registrar;
    std::map<std::string, std::string> domains;  ///< of our servers, by address
    std::optional<net::TlsContext> tls;          ///< if anything speaks TLS
    std::optional<sip::UserAgent> agent;
    std::optional<detail::ShardCalls<SipTransport>> calls;
    std::optional<SipStreams> streams;
    boost::asio::steady_timer timer;
    // State.
    std::atomic<bool> accepting{true};
    std::atomic<bool> stopped{false};
    bool started{false};
    bool stopping{false};
    std::unordered_map<std::uint64_t, Entry> entries;  ///< by the agent's numbers
    async::Signal agent_idle;                          ///< a call is gone
    Stats stats;
    log::RateLimit foreign_limit{std::chrono::seconds{10}};
    log::RateLimit busy_limit{std::chrono::seconds{10}};
};

}  // namespace oavc::transports::sip_ua
