// Bare TLS streams: whose certificate is believed, and bytes both ways.
#include "net/tls.hpp"

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "async/task_group.hpp"
#include "net/certificate_errors.hpp"
#include "support/tls_front.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::net {
namespace {

using namespace std::chrono_literals;
using test::SelfMadeCertificate;

TEST(SipDomain, IsNamedByUriElseByDnsElseByTheCommonName) {
    CertificateNames names;
    names.common_name = "example.com";
    EXPECT_TRUE(is_sip_domain(names, "EXAMPLE.com"));
    names.has_alternative_names = true;
    EXPECT_FALSE(is_sip_domain(names, "example.com")) << "other names take the common name's place";
    names.dns = {"sip.example.com", "example.com"};
    EXPECT_TRUE(is_sip_domain(names, "example.com"));
    names.uris = {"https://example.com"};
    EXPECT_TRUE(is_sip_domain(names, "example.com")) << "no SIP URI: DNS names count";
    names.uris = {"sip:example.net"};
    EXPECT_FALSE(is_sip_domain(names, "example.com"));
    EXPECT_TRUE(is_sip_domain(names, "example.net"));
}

TEST(SipDomain, KnowsNoWildcardsAndNoUsers) {
    CertificateNames names;
    names.has_alternative_names = true;
    names.dns = {"*.example.com"};
    EXPECT_FALSE(is_sip_domain(names, "sip.example.com"));
    names.uris = {"sip:alice@example.com"};
    EXPECT_FALSE(is_sip_domain(names, "example.com"));
    EXPECT_FALSE(is_sip_domain(names, ""));
}

TEST(SipDomain, AnAddressIsKnownByItsAddress) {
    CertificateNames names;
    names.has_alternative_names = true;
    names.dns = {"example.com"};
    names.addresses = {"192.0.2.1", "2001:db8::1"};
    EXPECT_TRUE(is_sip_domain(names, "192.0.2.1"));
    EXPECT_TRUE(is_sip_domain(names, "[2001:db8::1]"));
    EXPECT_FALSE(is_sip_domain(names, "192.0.2.2"));
}

/// A listener of ours that sends back what it reads, and what a client of ours hears of it.
class TlsStreams : public testing::Test {
protected:
    Result<std::string> heard_from(const SelfMadeCertificate& server, const std::string& domain) {
        TlsContext serving{{server.certificate_file, server.key_file, {}, false}};
        TlsContext asking{{{}, {}, server.certificate_file, false}};
        auto listener = tls_listen(shard, serving, "127.0.0.1", 0);
        if (!listener) return listener.error();
        Result<std::string> heard{error_code{}};
        async::TaskGroup tasks{shard.executor(), [](const std::exception_ptr&) {}};
        tasks.spawn(echo(listener->get()));
        const auto url = "tls://127.0.0.1:" + std::to_string((*listener)->port());
        async::run_blocking(shard, ask(&shard, &asking, url, domain, &heard));
        tasks.cancel();
        async::run_blocking(shard, tasks.join());
        return heard;
    }

    async::Shard shard{0};

private:
    static asio::awaitable<void> echo(TcpListener* listener) {
        auto accepted = co_await listener->accept();
        if (!accepted) co_return;
        accepted->stream->send("hello, ");  // before the handshake: it waits
        const auto got = co_await accepted->stream->read();
        if (got) accepted->stream->send(*got);
        co_await accepted->stream->read();
    }
    static asio::awaitable<void> ask(
        async::Shard* shard,
        const TlsContext* context,
        std::string url,
        std::string domain,
        Result<std::string>* heard
    ) {
        auto stream = co_await tls_connect(*shard, *context, url, domain, 10s);
        if (!stream) {
            *heard = stream.error();
            co_return;
        }
        (*stream)->send("world");
        std::string all;
        while (all.size() < 12) {
            const auto more = co_await (*stream)->read();
            if (!more) break;
            all += *more;
        }
        *heard = std::move(all);
    }
};

TEST_F(TlsStreams, CarryBytesBothWays) {
    const SelfMadeCertificate server{testing::TempDir(), "example.com"};
    const auto heard = heard_from(server, "example.com");
    ASSERT_TRUE(heard) << heard.error().message();
    EXPECT_EQ(*heard, "hello, world");
}

TEST_F(TlsStreams, BelieveTheNamesOfRealCertificates) {
    const SelfMadeCertificate uri{
        testing::TempDir(), "example.com", "DNS:host.example.com, URI:sip:example.com"};
    EXPECT_TRUE(heard_from(uri, "example.com"));
    EXPECT_FALSE(heard_from(uri, "host.example.com"));
    const SelfMadeCertificate address{testing::TempDir(), "x", "IP:127.0.0.1, IP:2001:db8::1"};
    EXPECT_TRUE(heard_from(address, "127.0.0.1"));
    EXPECT_TRUE(heard_from(address, "2001:db8::1"));
    EXPECT_FALSE(heard_from(address, "x"));
}

TEST_F(TlsStreams, NothingIsSaidToWhoNobodyVouchesFor) {
    const SelfMadeCertificate server{testing::TempDir(), "example.com"};
    const SelfMadeCertificate other{testing::TempDir(), "example.com"};
    TlsContext serving{{server.certificate_file, server.key_file, {}, false}};
    TlsContext asking{{{}, {}, other.certificate_file, false}};
    auto listener = tls_listen(shard, serving, "127.0.0.1", 0);
    ASSERT_TRUE(listener);
    Result<void> outcome;
    async::TaskGroup tasks{shard.executor(), [](const std::exception_ptr&) {}};
    tasks.spawn([](TcpListener* door) -> asio::awaitable<void> {
        auto accepted = co_await door->accept();
        if (accepted) co_await accepted->stream->read();
    }(listener->get()));
    async::run_blocking(
        shard,
        [](async::Shard* s, TlsContext* c, std::string url, Result<void>* out
        ) -> asio::awaitable<void> {
            const auto stream = co_await tls_connect(*s, *c, url, "example.com", 10s);
            if (!stream) *out = stream.error();
        }(&shard, &asking, "tls://127.0.0.1:" + std::to_string((*listener)->port()), &outcome)
    );
    EXPECT_TRUE(outcome.has_error());
    tasks.cancel();
    async::run_blocking(shard, tasks.join());
}

/// Connects as a client of services does; a front of TLS stands before `echo`.
class ServiceStreams : public testing::Test {
protected:
    ServiceStreams() { echo_.spawn(echo(listener_.get())); }
    ~ServiceStreams() override {
        echo_.cancel();
        async::run_blocking(shard_, echo_.join());
    }

    TlsIdentity believing(const SelfMadeCertificate& authority) const {
        return {{}, {}, authority.certificate_file, false};
    }
    std::string url(const std::string& host) const {
        return "tls://" + host + ":" + std::to_string(front_.port());
    }
    error_code refusal(const std::string& host, const TlsIdentity& identity) {
        Result<std::string> heard{error_code{}};
        async::run_blocking(shard_, ask(&shard_, url(host), identity, &heard));
        return heard ? error_code{} : heard.error();
    }

    /// Reads, is cancelled before anything came, sends and reads again.
    static asio::awaitable<void> ask(
        async::Shard* shard, std::string url, TlsIdentity identity, Result<std::string>* heard
    ) {
        auto stream = co_await stream_connect(*shard, url, identity, 10s);
        if (!stream) {
            *heard = stream.error();
            co_return;
        }
        for (int i = 0; i < 3; ++i) {
            auto reading = (*stream)->read();
            const auto nothing = co_await async::with_deadline(std::move(reading), 1ms);
            EXPECT_TRUE(nothing.has_error());
        }
        (*stream)->send("still here");
        const auto got = co_await (*stream)->read();
        *heard = got ? Result<std::string>{std::string{*got}} : Result<std::string>{got.error()};
    }

    static std::string stream_of_bytes() {
        std::string bytes;
        for (int i = 0; i < 4'000; ++i)
            bytes += std::to_string(i) + ' ';
        return bytes;
    }

    /// Asks for the stream and reads it with hardly any patience.
    static asio::awaitable<void> sip(
        async::Shard* shard, std::string url, TlsIdentity identity, std::string* heard
    ) {
        auto stream = co_await stream_connect(*shard, url, identity, 10s);
        if (!stream) co_return;
        (*stream)->send("stream");
        for (;;) {
            auto reading = (*stream)->read();
            const auto got = co_await async::with_deadline(std::move(reading), 20us);
            if (got) *heard += *got;
            if (!got && got.error() != asio::error::timed_out) co_return;
        }
    }

    async::Shard shard_{0};
    SelfMadeCertificate theirs_{testing::TempDir(), "localhost"};

private:
    static asio::awaitable<void> echo(TcpListener* listener) {
        for (;;) {
            auto accepted = co_await listener->accept();
            if (!accepted) co_return;
            const auto got = co_await accepted->stream->read();
            if (got && *got == "stream") {
                co_await pour(accepted->stream.get());
                continue;  // which ends the connection
            }
            if (got) accepted->stream->send(*got);
            co_await accepted->stream->read();
        }
    }
    /// In pieces, so that they come while the other end gives up or begins to read.
    static asio::awaitable<void> pour(TcpStream* stream) {
        const auto bytes = stream_of_bytes();
        for (std::size_t at = 0; at < bytes.size(); at += 40) {
            stream->send(std::string_view{bytes}.substr(at, 40));
            co_await async::sleep_for(1us);
        }
    }

    std::unique_ptr<TcpListener> listener_{*tcp_listen(shard_, "127.0.0.1", 0)};
    async::TaskGroup echo_{shard_.executor(), [](const std::exception_ptr&) {}};
    test::TlsFront front_{theirs_, listener_->port()};
};

TEST_F(ServiceStreams, SurviveReadersThatAreCancelled) {
    Result<std::string> heard{error_code{}};
    async::run_blocking(shard_, ask(&shard_, url("localhost"), believing(theirs_), &heard));
    ASSERT_TRUE(heard) << heard.error().message();
    EXPECT_EQ(*heard, "still here");
}

TEST_F(ServiceStreams, LoseNoByteThatComesWhileAReaderIsCancelled) {
    std::string heard;
    async::run_blocking(shard_, sip(&shard_, url("localhost"), believing(theirs_), &heard));
    EXPECT_EQ(heard, stream_of_bytes());
}

TEST_F(ServiceStreams, SayWhyAServerIsNotBelieved) {
    const SelfMadeCertificate stranger{testing::TempDir(), "localhost"};
    EXPECT_EQ(refusal("localhost", believing(stranger)), CertificateErrc::untrusted);
    EXPECT_EQ(refusal("127.0.0.1", believing(theirs_)), CertificateErrc::wrong_name);
    Result<std::string> heard{error_code{}};
    async::run_blocking(shard_, ask(&shard_, "https://localhost", believing(theirs_), &heard));
    EXPECT_EQ(heard.error(), NetErrc::bad_url);
}

TEST(TlsContext, NamesTheFileThatItCannotUse) {
    const SelfMadeCertificate good{testing::TempDir(), "example.com"};
    const SelfMadeCertificate other{testing::TempDir(), "example.com"};
    const auto complaint = [](const TlsIdentity& identity) {
        try {
            const TlsContext context{identity};
            return std::string{};
        } catch (const std::runtime_error& error) {
            return std::string{error.what()};
        }
    };
    EXPECT_EQ(complaint({good.certificate_file, good.key_file, {}, false}), "");
    EXPECT_NE(complaint({"/no.pem", good.key_file, {}, false}).find("/no.pem"), std::string::npos);
    EXPECT_NE(
        complaint({good.certificate_file, other.key_file, {}, false}).find(other.key_file),
        std::string::npos
    );
    // A renewal with another kind of key, half done: each file for itself is good.
    const SelfMadeCertificate half{testing::TempDir(), "example.com"};
    EVP_PKEY* const edwards = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    std::FILE* const file = std::fopen(half.key_file.c_str(), "w");
    PEM_write_PrivateKey(file, edwards, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    EVP_PKEY_free(edwards);
    EXPECT_NE(
        complaint({half.certificate_file, half.key_file, {}, false}).find(half.key_file),
        std::string::npos
    );
    EXPECT_NE(
        complaint({good.certificate_file, good.key_file, "/no-ca.pem", false}).find("/no-ca.pem"),
        std::string::npos
    );
}

}  // namespace
}  // namespace oavc::net
