#include "transports/sip/sip_streams.hpp"

#include "async/deadline.hpp"
#include "transports/detail/listening.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <utility>

namespace oavc::transports::sip_ua {

namespace {

using sip::Target;

constexpr std::size_t max_unread = sip::max_message_bytes + 16 * 1024;
constexpr std::chrono::seconds connect_limit{5};

}  // namespace

SipStreams::SipStreams(
    async::Shard& shard,
    Limits limits,
    Owner& owner,
    const net::TlsContext* tls,
    const log::Logger& log
)
    : shard_{shard},
      limits_{limits},
      owner_{owner},
      tls_{tls},
      log_{log},
      tasks_{shard.executor(), detail::log_exception(log)},
      idle_timer_{shard.context()} {}

void SipStreams::start() { watch_idle(); }

void SipStreams::listen(std::unique_ptr<net::TcpListener> listener, sip::Protocol protocol) {
    tasks_.spawn(accept(listener.get(), protocol));
    listeners_.push_back(std::move(listener));
}

asio::awaitable<void> SipStreams::close() {
    closed_ = true;
    idle_timer_.cancel();
    tasks_.cancel();
    co_await tasks_.join();
    connections_.clear();
    listeners_.clear();
}

void SipStreams::send(sip::UserAgent::Send send) {
    auto* connection = find(send.to);
    if (connection == nullptr) connection = connect(send.to);
    if (connection == nullptr) return owner_.on_not_sent(send.transaction);
    if (connection->stream == nullptr) {
        connection->waiting.push_back(std::move(send));
        return;
    }
    connection->last_used = Clock::now();
    if (!connection->stream->send(send.bytes)) owner_.on_not_sent(send.transaction);
}

SipStreams::Connection* SipStreams::find(const Target& to) {
    if (const auto known = connections_.find(to.connection); known != connections_.end())
        return &known->second;
    for (auto& [id, connection] : connections_) {
        const auto& peer = connection.peer;
        if (peer.protocol == to.protocol && peer.address == to.address && peer.port == to.port)
            return &connection;
    }
    return nullptr;
}

SipStreams::Connection& SipStreams::add(Target peer, std::unique_ptr<net::TcpStream> stream) {
    const auto id = next_connection_++;
    peer.connection = id;
    auto& connection = connections_[id];
    connection.id = id;
    connection.peer = std::move(peer);
    connection.stream = std::move(stream);
    connection.last_used = Clock::now();
    return connection;
}

SipStreams::Connection* SipStreams::connect(const Target& to) {
    if (to.protocol == sip::Protocol::tls && tls_ == nullptr) return nullptr;
    if (connections_.size() >= limits_.max_connections || closed_) return nullptr;
    auto& connection = add(to, nullptr);
    tasks_.spawn(run_connecting(connection.id));
    return &connection;
}

asio::awaitable<void> SipStreams::run_connecting(std::uint64_t id) {
    const auto peer = connections_.at(id).peer;
    const auto place = sip::host_port(peer.address, peer.port);
    const bool tls = peer.protocol == sip::Protocol::tls;
    auto connecting =
        tls ? net::tls_connect(
                  shard_, *tls_, "tls://" + place, owner_.domain_of(peer), connect_limit
              )
            : net::tcp_connect(shard_, "tcp://" + place, connect_limit);
    auto opened = co_await std::move(connecting);
    const auto found = connections_.find(id);
    if (found == connections_.end()) co_return;
    auto& connection = found->second;
    const auto waiting = std::exchange(connection.waiting, {});
    if (!opened) {
        if (tls && !closed_) report_no_tls(peer, opened.error());
        for (const auto& send : waiting)
            owner_.on_not_sent(send.transaction);
        connections_.erase(found);
        co_return;
    }
    connection.stream = std::move(*opened);
    for (const auto& send : waiting)
        connection.stream->send(send.bytes);
    co_await serve(id);
}

asio::awaitable<void> SipStreams::accept(net::TcpListener* listener, sip::Protocol protocol) {
    while (true) {
        auto accepted = co_await listener->accept();
        if (!accepted) {
            if (closed_) co_return;
            const bool waited = co_await async::sleep_for(milliseconds{100});
            if (!waited) co_return;
            continue;
        }
        if (!owner_.is_welcome(accepted->address, accepted->port)) continue;
        if (connections_.size() >= limits_.max_connections) {
            ++stats_.refused;
            continue;
        }
        ++stats_.accepted;
        Target peer{protocol, accepted->address, accepted->port, 0};
        const auto& connection = add(std::move(peer), std::move(accepted->stream));
        tasks_.spawn(serve(connection.id));
    }
}

/// Reads a connection until it ends.
asio::awaitable<void> SipStreams::serve(std::uint64_t id) {
    std::string unread;
    bool untouched = true;
    while (true) {
        auto connection = connections_.find(id);
        if (connection == connections_.end()) co_return;
        auto* stream = connection->second.stream.get();
        const auto bytes = co_await stream->read();
        connection = connections_.find(id);
        if (connection == connections_.end()) co_return;
        if (!bytes) {
            // Nothing ever came: the first read of a TLS connection is its handshake.
            const auto& peer = connection->second.peer;
            const bool ended = bytes.error() == boost::asio::error::eof || closed_;
            if (untouched && !ended && peer.protocol == sip::Protocol::tls)
                report_no_tls(peer, bytes.error());
            break;
        }
        untouched = false;
        connection->second.last_used = Clock::now();
        unread += *bytes;
        const bool good = take_messages(unread, connection->second);
        if (!good || unread.size() > max_unread) {
            ++stats_.broken;
            break;
        }
        owner_.on_messages_read();
    }
    connections_.erase(id);
}

void SipStreams::report_no_tls(const Target& peer, const error_code& why) {
    ++stats_.no_tls;
    if (!no_tls_limit_.allow(Clock::now())) return;
    const auto place = sip::host_port(peer.address, peer.port);
    log_.warn(
        "no TLS connection",
        log::kv("with", place),
        log::kv("why", why),
        log::kv("more", no_tls_limit_.suppressed())
    );
}

/// Takes whole messages off the front. False: what comes is no SIP.
bool SipStreams::take_messages(std::string& unread, Connection& connection) {
    std::size_t taken = 0;
    bool good = true;
    while (true) {
        const auto rest = std::string_view{unread}.substr(taken);
        const auto next = sip::next_in_stream(rest);
        if (!next) {
            good = false;
            break;
        }
        for (std::size_t i = 0; i < next->pings; ++i)
            connection.stream->send("\r\n");  // RFC 5626 §3.5.1
        taken += next->skipped;
        if (next->size == 0) break;
        owner_.on_message(rest.substr(next->skipped, next->size), connection.peer);
        taken += next->size;
    }
    unread.erase(0, taken);
    return good;
}

/// Closes connections that nobody uses. One with a call is used at least by session timers.
void SipStreams::watch_idle() {
    idle_timer_.expires_after(std::min(limits_.idle_timeout, std::chrono::seconds{30}));
    idle_timer_.async_wait([this](const error_code& error) {
        if (error || closed_) return;
        const auto now = Clock::now();
        std::erase_if(connections_, [&](const auto& one) {
            return one.second.stream && now - one.second.last_used > limits_.idle_timeout;
        });
        watch_idle();
    });
}

}  // namespace oavc::transports::sip_ua
