#include "net/tls.hpp"

#include "async/deadline.hpp"
#include "net/detail/client_tls.hpp"
#include "net/detail/connect_tcp.hpp"
#include "net/detail/listen_tcp.hpp"
#include "net/detail/server_certificate.hpp"
#include "net/detail/tls_bytes.hpp"
#include "net/detail/tls_state.hpp"
#include "net/url.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/ssl/verify_context.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <utility>

namespace oavc::net {

namespace ssl = boost::asio::ssl;
using asio::ip::tcp;

namespace {

using detail::TlsBytes;
using Tls = TlsBytes::Tls;

constexpr milliseconds handshake_limit{10'000};

/// What is wrong with a file, for people and for programs.
class FileError : public std::runtime_error {
public:
    FileError(const error_code& error, const std::string& what)
        : std::runtime_error{what + ": " + error.message()}, code{error} {}
    const error_code code;
};

void check(const error_code& error, std::string_view what, const std::string& file) {
    if (error) throw FileError{error, std::string{what}.append(" ").append(file)};
}

void load(ssl::context& context, const TlsIdentity& identity) {
    error_code error;
    context.set_options(
        ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error
    );
    check(error, "cannot ask for", "TLS 1.2");
    if (!identity.certificate_file.empty()) {
        context.use_certificate_chain_file(identity.certificate_file, error);
        check(error, "cannot use the certificate", identity.certificate_file);
        context.use_private_key_file(identity.key_file, ssl::context::pem, error);
        check(error, "cannot use the private key", identity.key_file);
        // Asio is content with a key of another kind than the certificate's.
        if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
            error = {static_cast<int>(::ERR_get_error()), asio::error::get_ssl_category()};
            check(error, "cannot use the private key", identity.key_file);
        }
    }
    if (identity.ca_file.empty()) {
        context.set_default_verify_paths(error);
        check(error, "cannot read the system's", "trusted certificates");
    } else {
        context.load_verify_file(identity.ca_file, error);
        check(error, "cannot use the trusted certificates", identity.ca_file);
    }
}

/// What clients of one shard connect with: part of its io_context. Bound: `most_kept`.
class ClientContexts final : public asio::execution_context::service {
public:
    using key_type = ClientContexts;
    static inline asio::execution_context::id id;

    explicit ClientContexts(asio::execution_context& owner) : service{owner} {}

    std::shared_ptr<const TlsContext> get(const TlsIdentity& identity) {
        auto& kept = contexts_[identity];
        try {
            if (!kept) kept = std::make_shared<const TlsContext>(identity);
        } catch (...) {
            contexts_.erase(identity);
            throw;
        }
        return kept;
    }
    void keep(const TlsIdentity& identity, std::shared_ptr<const TlsContext> context) {
        if (contexts_.size() >= most_kept) contexts_.clear();  // of many configurations by now
        contexts_.insert_or_assign(identity, std::move(context));
    }

private:
    static constexpr std::size_t most_kept = 64;

    void shutdown() noexcept override { contexts_.clear(); }

    std::map<TlsIdentity, std::shared_ptr<const TlsContext>> contexts_;
};

std::string text_of(const ASN1_STRING* string) {
    const auto* bytes = ASN1_STRING_get0_data(string);
    return {
        reinterpret_cast<const char*>(bytes),  // NOLINT: OpenSSL's text
        static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string address_of(const ASN1_OCTET_STRING* octets) {
    const auto bytes = text_of(octets);
    if (bytes.size() == 4) {
        asio::ip::address_v4::bytes_type v4;
        std::copy(bytes.begin(), bytes.end(), v4.begin());
        return asio::ip::make_address_v4(v4).to_string();
    }
    if (bytes.size() == 16) {
        asio::ip::address_v6::bytes_type v6;
        std::copy(bytes.begin(), bytes.end(), v6.begin());
        return asio::ip::make_address_v6(v6).to_string();
    }
    return {};
}

CertificateNames names_of(X509* certificate) {
    CertificateNames names;
    auto* const alternatives = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)
    );
    names.has_alternative_names = alternatives != nullptr;
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
        const auto* name = sk_GENERAL_NAME_value(alternatives, i);
        if (name->type == GEN_URI) {
            names.uris.push_back(text_of(name->d.uniformResourceIdentifier));
        } else if (name->type == GEN_DNS) {
            names.dns.push_back(text_of(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            names.addresses.push_back(address_of(name->d.iPAddress));
        }
    }
    GENERAL_NAMES_free(alternatives);
    const auto* subject = X509_get_subject_name(certificate);
    if (const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); at >= 0) {
        names.common_name = text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
    return names;
}

bool equal(std::string_view a, std::string_view b) noexcept {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) {
        return lower(x) == lower(y);
    });
}

class TlsStream final : public TcpStream {
public:
    /// `shaken`: the handshake is done already.
    TlsStream(Tls tls, std::size_t max_queued_bytes, bool shaken)
        : state_{std::make_shared<TlsBytes>(std::move(tls), max_queued_bytes)}, shaken_{shaken} {
        if (!shaken) state_->hold_back();
    }
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;
    ~TlsStream() override { state_->drop(); }

    asio::awaitable<Result<std::string_view>> read() override {
        if (std::exchange(shaken_, true)) return read_on(state_);
        return shake_and_read(state_);
    }
    bool send(std::string_view bytes) override { return state_->send(bytes); }

private:
    static asio::awaitable<Result<void>> shake(std::shared_ptr<TlsBytes> state) {
        auto [error] =
            co_await state->stream().async_handshake(ssl::stream_base::server, as_result);
        if (error) co_return ended(error);
        co_return Result<void>{};
    }
    static asio::awaitable<Result<std::string_view>> shake_and_read(std::shared_ptr<TlsBytes> state
    ) {
        auto shaking = shake(state);
        const auto done = co_await async::with_deadline(std::move(shaking), handshake_limit);
        if (!done) co_return done.error();
        state->release();
        co_return co_await read_on(state);
    }
    static asio::awaitable<Result<std::string_view>> read_on(std::shared_ptr<TlsBytes> state) {
        const auto got = co_await TlsBytes::read(state);
        if (got.has_error()) co_return ended(got.error());
        co_return got;
    }
    /// Many end a connection without a word of TLS. Who carries messages that say how long they are
    /// is not misled by that.
    static error_code ended(const error_code& error) {
        return error == ssl::error::stream_truncated ? error_code{asio::error::eof} : error;
    }

    const std::shared_ptr<TlsBytes> state_;
    bool shaken_;
};

class TlsListener final : public TcpListener {
public:
    TlsListener(tcp::acceptor acceptor, const TlsContext& context, std::size_t max_queued_bytes)
        : acceptor_{std::move(acceptor)}, context_{context}, max_queued_bytes_{max_queued_bytes} {
        error_code ignored;
        port_ = acceptor_.local_endpoint(ignored).port();
    }

    std::uint16_t port() const noexcept override { return port_; }

    asio::awaitable<Result<AcceptedTcp>> accept() override {
        AcceptedTcp out;
        auto socket = co_await detail::accept_tcp(acceptor_, out);
        if (socket.has_error()) co_return socket.error();
        out.stream = std::make_unique<TlsStream>(
            Tls{std::move(*socket), context_.state().server}, max_queued_bytes_, false
        );
        co_return out;
    }

private:
    tcp::acceptor acceptor_;
    const TlsContext& context_;
    const std::size_t max_queued_bytes_;
    std::uint16_t port_{0};
};

asio::awaitable<Result<void>> shake_hands(Tls& tls) {
    auto [error] = co_await tls.async_handshake(ssl::stream_base::client, as_result);
    if (error) co_return detail::handshake_error(tls.native_handle(), error);
    co_return Result<void>{};
}

/// As a client that knows already whom to expect.
asio::awaitable<Result<std::unique_ptr<TcpStream>>> begin_tls(
    Tls tls, TimePoint deadline, std::size_t max_queued_bytes
) {
    auto shaking = shake_hands(tls);
    const auto done = co_await async::with_deadline(std::move(shaking), deadline - Clock::now());
    if (!done) co_return done.error();
    std::unique_ptr<TcpStream> stream =
        std::make_unique<TlsStream>(std::move(tls), max_queued_bytes, true);
    co_return stream;
}

void hand_over(
    async::Shard& shard, const TlsIdentity& identity, std::shared_ptr<const TlsContext> fresh
) {
    shard.post([&shard, identity, context = std::move(fresh)]() mutable {
        asio::use_service<ClientContexts>(shard.context()).keep(identity, std::move(context));
    });
}

}  // namespace

TlsContext::TlsContext(const TlsIdentity& identity) : state_{std::make_unique<State>()} {
    load(state_->server, identity);
    load(state_->client, identity);
    const auto clients = identity.verify_clients
                             ? ssl::verify_peer | ssl::verify_fail_if_no_peer_cert
                             : ssl::verify_none;
    state_->server.set_verify_mode(clients);
    // Sessions are resumed by tickets: nothing is kept here. Without a name for the context OpenSSL
    // would end a resumed session of a client that must show a certificate.
    auto* const server = state_->server.native_handle();
    SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
    static constexpr std::array<unsigned char, 4> context_name{'o', 'a', 'v', 'c'};
    SSL_CTX_set_session_id_context(server, context_name.data(), context_name.size());
    state_->client.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
}

TlsContext::TlsContext(TlsContext&&) noexcept = default;
TlsContext::~TlsContext() = default;

// Each connection holds a reference of its own to OpenSSL's context.
void TlsContext::adopt(TlsContext fresh) noexcept { state_ = std::move(fresh.state_); }

void load_client_identity(async::ShardPool& shards, const TlsIdentity& identity) {
    const auto fresh = std::make_shared<const TlsContext>(identity);
    for (std::size_t i = 0; i < shards.size(); ++i)
        hand_over(shards[i], identity, fresh);
}

void load_client_identity(async::Shard& shard, const TlsIdentity& identity) {
    hand_over(shard, identity, std::make_shared<const TlsContext>(identity));
}

namespace detail {

Result<std::shared_ptr<const TlsContext>> client_context(
    async::Shard& shard, const TlsIdentity& identity
) {
    try {
        return asio::use_service<ClientContexts>(shard.context()).get(identity);
    } catch (const FileError& error) {
        return error.code;
    }
}

}  // namespace detail

bool is_sip_domain(const CertificateNames& names, std::string_view domain) noexcept {
    if (domain.size() > 2 && domain.front() == '[') domain = domain.substr(1, domain.size() - 2);
    const auto is_domain = [&](std::string_view name) { return equal(name, domain); };
    if (std::any_of(names.addresses.begin(), names.addresses.end(), is_domain)) return true;
    // A URI with a user names that user, not the domain.
    bool has_sip_uri = false;
    for (const std::string_view uri : names.uris) {
        if (!equal(uri.substr(0, 4), "sip:")) continue;
        has_sip_uri = true;
        if (is_domain(uri.substr(4))) return true;
    }
    if (has_sip_uri) return false;
    if (names.has_alternative_names) {
        return std::any_of(names.dns.begin(), names.dns.end(), is_domain);
    }
    return is_domain(names.common_name);
}

asio::awaitable<Result<std::unique_ptr<TcpStream>>> tls_connect(
    async::Shard& shard,
    const TlsContext& context,
    std::string text,
    std::string sip_domain,
    Clock::duration limit,
    std::size_t max_queued_bytes
) {
    const auto deadline = Clock::now() + limit;
    const auto url = parse_url(text);
    if (url.has_error()) co_return url.error();
    if (url->scheme != "tls") co_return error_code{NetErrc::bad_url};
    auto socket = co_await detail::connect_tcp(shard.executor(), url->host, url->port, deadline);
    if (socket.has_error()) co_return socket.error();
    Tls tls{std::move(*socket), context.state().client};
    error_code error;
    tls.set_verify_callback(
        [sip_domain](bool trusted, ssl::verify_context& chain) {
            auto* const store = chain.native_handle();
            if (!trusted || X509_STORE_CTX_get_error_depth(store) > 0) return trusted;
            return is_sip_domain(names_of(X509_STORE_CTX_get_current_cert(store)), sip_domain);
        },
        error
    );
    if (error) co_return error;
    error_code not_numeric;
    asio::ip::make_address(sip_domain, not_numeric);
    // RFC 6066 §3: literal addresses are not names.
    if (not_numeric) SSL_set_tlsext_host_name(tls.native_handle(), sip_domain.c_str());
    co_return co_await begin_tls(std::move(tls), deadline, max_queued_bytes);
}

asio::awaitable<Result<std::unique_ptr<TcpStream>>> stream_connect(
    async::Shard& shard,
    std::string text,
    TlsIdentity identity,
    Clock::duration limit,
    std::size_t max_queued_bytes
) {
    const auto deadline = Clock::now() + limit;
    const auto url = parse_url(text);
    if (url.has_error()) co_return url.error();
    if (url->scheme == "tcp") co_return co_await tcp_connect(shard, text, limit, max_queued_bytes);
    if (url->scheme != "tls") co_return error_code{NetErrc::bad_url};
    const auto context = detail::client_context(shard, identity);
    if (context.has_error()) co_return context.error();
    auto socket = co_await detail::connect_tcp(shard.executor(), url->host, url->port, deadline);
    if (socket.has_error()) co_return socket.error();
    Tls tls{std::move(*socket), (*context)->state().client};
    const auto expected = detail::expect_host(tls.native_handle(), url->host);
    if (expected.has_error()) co_return expected.error();
    co_return co_await begin_tls(std::move(tls), deadline, max_queued_bytes);
}

Result<std::unique_ptr<TcpListener>> tls_listen(
    async::Shard& shard,
    const TlsContext& context,
    const std::string& address,
    std::uint16_t port,
    std::size_t max_queued_bytes
) {
    auto acceptor = detail::open_acceptor(shard, address, port);
    if (acceptor.has_error()) return acceptor.error();
    std::unique_ptr<TcpListener> out =
        std::make_unique<TlsListener>(std::move(*acceptor), context, max_queued_bytes);
    return out;
}

}  // namespace oavc::net
