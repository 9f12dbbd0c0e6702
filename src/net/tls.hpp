#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "async/shard_pool.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/tcp.hpp"
#include "net/tls_identity.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::net {

/// An identity, loaded. Shared by connections, of several shards where it stays as it is. Throws
/// std::runtime_error that names the file and what is wrong with it.
class TlsContext {
public:
    explicit TlsContext(const TlsIdentity& identity);
    TlsContext(TlsContext&&) noexcept;
    TlsContext& operator=(TlsContext&&) = delete;
    ~TlsContext();

    /// From now on connections are made with what `fresh` loaded; open ones keep what they have.
    /// Thread: the connections'.
    void adopt(TlsContext fresh) noexcept;

    struct State;
    State& state() const noexcept { return *state_; }

private:
    std::unique_ptr<State> state_;
};

/// Reads an identity for the clients of all shards: HTTP and WebSocket connections to come are made
/// with it, open ones keep what they have. Without it the first connection reads it, on its shard,
/// and the others find it there. Throws as TlsContext does; nothing has changed then. Thread: any
/// but the shards'.
void load_client_identity(async::ShardPool& shards, const TlsIdentity& identity);
void load_client_identity(async::Shard& shard, const TlsIdentity& identity);  ///< of one

/// What a certificate says whose it is, of one kind each.
struct CertificateNames {
    std::vector<std::string> uris;       ///< "sip:example.com"
    std::vector<std::string> dns;        ///< "example.com"
    std::vector<std::string> addresses;  ///< "192.0.2.1", as inet_ntop writes it
    std::string common_name;
    bool has_alternative_names{false};  ///< then the common name does not count
};

/// Whether a certificate belongs to that SIP domain (RFC 5922 §7.1, §7.2): its SIP URIs if there
/// are any, else its DNS names, else its common name; no wildcards, and an address only by its
/// address. Pure.
bool is_sip_domain(const CertificateNames& names, std::string_view domain) noexcept;

/// Connects to tls://host:port as tcp_connect does. The certificate must chain to a trusted one and
/// belong to `sip_domain`. `limit` covers the handshake too. Errors: also OpenSSL's
/// (certificate verify failed). `context` outlives it.
asio::awaitable<Result<std::unique_ptr<TcpStream>>> tls_connect(
    async::Shard& shard,
    const TlsContext& context,
    std::string url,
    std::string sip_domain,
    Clock::duration limit,
    std::size_t max_queued_bytes = 1u << 20
);

/// Connects to tcp://host:port as tcp_connect does, or over TLS to tls://host:port, as `identity`:
/// the server's certificate must chain to a trusted one and hold the URL's name or address. `limit`
/// covers the handshake too. Errors: also CertificateErrc, and of files that cannot be used.
asio::awaitable<Result<std::unique_ptr<TcpStream>>> stream_connect(
    async::Shard& shard,
    std::string url,
    TlsIdentity identity,
    Clock::duration limit,
    std::size_t max_queued_bytes = 1u << 20
);

/// As tcp_listen. The handshake is made by the first `read` of a connection, within 10 s, so that a
/// slow one holds up nobody; what is sent before waits for it. `context` outlives it.
Result<std::unique_ptr<TcpListener>> tls_listen(
    async::Shard& shard,
    const TlsContext& context,
    const std::string& address,
    std::uint16_t port,
    std::size_t max_queued_bytes = 1u << 20
);

}  // namespace oavc::net
