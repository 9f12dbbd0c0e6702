#pragma once

#include "async/awaitable.hpp"
#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "base/random.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace oavc::test {

/// A key and a certificate that signs itself, for `name` (a DNS name), in two PEM files of its own:
/// tests run beside each other. `alternatives`: other subjectAltNames, as OpenSSL writes them
/// ("URI:sip:example.com, IP:127.0.0.1"). It ends so many seconds from now: negative ones, it has.
class SelfMadeCertificate {
public:
    SelfMadeCertificate(
        const std::string& directory,
        const std::string& name,
        const std::string& alternatives = {},
        long ends_in = 3600
    )
        : key_file{directory + "/" + name + "-" + random_hex(8) + ".key"},
          certificate_file{key_file + ".pem"} {
        write(alternatives.empty() ? "DNS:" + name : alternatives, ends_in);
    }
    SelfMadeCertificate(const SelfMadeCertificate&) = delete;
    SelfMadeCertificate& operator=(const SelfMadeCertificate&) = delete;
    ~SelfMadeCertificate() {
        std::remove(key_file.c_str());
        std::remove(certificate_file.c_str());
    }

    const std::string key_file;
    const std::string certificate_file;

private:
    void write(const std::string& alternatives, long ends_in) const {
        EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
        X509* const x509 = X509_new();
        X509_set_version(x509, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509), -7200);
        X509_gmtime_adj(X509_getm_notAfter(x509), ends_in);
        X509_NAME* const subject = X509_get_subject_name(x509);
        X509_NAME_add_entry_by_txt(
            subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0
        );
        X509_set_issuer_name(x509, subject);
        add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(x509, NID_subject_alt_name, alternatives);
        X509_set_pubkey(x509, key);
        X509_sign(x509, key, EVP_sha256());
        std::FILE* file = std::fopen(key_file.c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        file = std::fopen(certificate_file.c_str(), "w");
        PEM_write_X509(file, x509);
        std::fclose(file);
        X509_free(x509);
        EVP_PKEY_free(key);
    }

    static void add_extension(X509* x509, int nid, const std::string& value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
        X509_EXTENSION* const extension =
            X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
        X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
    }
};

/// Stands in front of a plain server on the loopback like the TLS proxy in front of ours.
class TlsFront {
public:
    /// `clients`: who wants to come through must show that certificate; null: anybody may.
    TlsFront(
        const SelfMadeCertificate& certificate,
        std::uint16_t target,
        const SelfMadeCertificate* clients = nullptr
    )
        : target_{target}, tasks_{shard_.executor(), [](std::exception_ptr) {}} {
        if (clients != nullptr) {
            namespace ssl = boost::asio::ssl;
            context_.load_verify_file(clients->certificate_file);
            context_.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
        }
        context_.use_certificate_chain_file(certificate.certificate_file);
        context_.use_private_key_file(certificate.key_file, boost::asio::ssl::context::pem);
        tasks_.spawn(accept(this));
        shard_.start();
    }
    ~TlsFront() {
        shard_.post([this] { tasks_.cancel(); });
        async::run_blocking(shard_, tasks_.join());
    }
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
    using tcp = boost::asio::ip::tcp;
    using Tls = boost::asio::ssl::stream<tcp::socket>;

    static asio::awaitable<void> accept(TlsFront* front) {
        for (;;) {
            auto [error, socket] = co_await front->acceptor_.async_accept(as_result);
            if (error) co_return;
            front->tasks_.spawn(carry(front, std::move(socket)));
        }
    }

    static asio::awaitable<void> carry(TlsFront* front, tcp::socket socket) {
        using namespace boost::asio::experimental::awaitable_operators;
        Tls tls{std::move(socket), front->context_};
        auto [error] =
            co_await tls.async_handshake(boost::asio::ssl::stream_base::server, as_result);
        if (error) co_return;
        tcp::socket plain{front->shard_.executor()};
        auto [refused] = co_await plain.async_connect(
            {boost::asio::ip::address_v4::loopback(), front->target_}, as_result
        );
        if (refused) co_return;
        co_await (pump(tls, plain) || pump(plain, tls));
    }

    template <class From, class To>
    static asio::awaitable<void> pump(From& from, To& to) {
        std::array<char, 16384> buffer;
        for (;;) {
            auto [error, size] = co_await from.async_read_some(asio::buffer(buffer), as_result);
            if (error) co_return;
            auto [failed, sent] =
                co_await asio::async_write(to, asio::buffer(buffer, size), as_result);
            if (failed) co_return;
        }
    }

    const std::uint16_t target_;
    async::Shard shard_{77};
    boost::asio::ssl::context context_{boost::asio::ssl::context::tls_server};
    tcp::acceptor acceptor_{shard_.context(), {boost::asio::ip::address_v4::loopback(), 0}};
    async::TaskGroup tasks_;
};

}  // namespace oavc::test
