// SIP over TLS on real loopback sockets, against OpenSSL itself.
#include "support/tls_peer.hpp"
#include "transports/errors.hpp"
#include "unit/transports/sip/listener_rig.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace oavc::transports::sip_ua {
namespace {

using test::SelfMadeCertificate;
using test::TlsDoor;
using test::TlsPeer;

/// What a TLS connection brings, message by message.
class SipOverTls {
public:
    explicit SipOverTls(TlsPeer& peer) : peer_{peer} {}

    void say(const sip::Message& message) { peer_.send(sip::write_message(message)); }
    /// The next message of that method or status; others are passed over.
    std::optional<sip::Message> hear(std::string_view wanted) {
        for (;;) {
            const auto next = sip::next_in_stream(unread_);
            if (!next) return std::nullopt;
            if (next->size == 0) {
                const auto more = peer_.receive();
                if (more.empty()) return std::nullopt;
                unread_ += more;
                continue;
            }
            auto parsed =
                sip::parse_message(std::string_view{unread_}.substr(next->skipped, next->size));
            unread_.erase(0, next->skipped + next->size);
            if (!parsed) continue;
            const auto& message = parsed->message;
            const auto what =
                message.is_request() ? message.method : std::to_string(message.status);
            if (what == wanted) return std::move(parsed->message);
        }
    }

private:
    TlsPeer& peer_;
    std::string unread_;
};

class SipTlsTest : public SipListenerTest {
protected:
    SipTlsTest() {
        config.tls_port = free_port();
        config.tls_certificate = ours.certificate_file;
        config.tls_private_key = ours.key_file;
        config.tls_ca = theirs.certificate_file;
    }
    /// Of TCP, a moment ago.
    static std::uint16_t free_port() { return TlsDoor{SelfMadeCertificate{folder(), "x"}}.port(); }
    static std::string folder() { return testing::TempDir(); }

    TlsPeer::Settings trusting() const { return {&ours, nullptr, 0}; }

    SelfMadeCertificate ours{folder(), "bot.example"};
    SelfMadeCertificate theirs{folder(), "localhost"};
};

TEST_F(SipTlsTest, ACallIsAnsweredAndEndedInItsConnection) {
    start();
    TlsPeer peer{config.tls_port, trusting()};
    ASSERT_TRUE(peer.is_open());
    SipOverTls wire{peer};
    wire.say(phone.invite("TLS"));
    const auto ok = wire.hear("200");
    ASSERT_TRUE(ok);
    EXPECT_EQ(
        ok->get("Contact"), "<sip:127.0.0.1:" + std::to_string(config.tls_port) + ";transport=tls>"
    );
    phone.remote_tag = ok->to().tag;
    wire.say(phone.request("ACK", "TLS"));
    const auto call = pipeline.wait_for_call();
    ASSERT_NE(call, nullptr);
    EXPECT_TRUE(phone.speak_until(Phone::media_port(*ok), [&] { return call->loud_frames > 2; }));
    listener->stop();
    const auto bye = wire.hear("BYE");
    ASSERT_TRUE(bye);
    EXPECT_EQ(bye->get("Via").substr(0, 11), "SIP/2.0/TLS");
}

TEST_F(SipTlsTest, ASipsCallStaysSips) {
    start();
    TlsPeer peer{config.tls_port, trusting()};
    SipOverTls wire{peer};
    auto invite = phone.invite("TLS");
    invite.uri = "sips:bot@bot.example";
    wire.say(invite);
    const auto ok = wire.hear("200");
    ASSERT_TRUE(ok);
    EXPECT_EQ(ok->get("Contact"), "<sips:127.0.0.1:" + std::to_string(config.tls_port) + ">");
    phone.remote_tag = ok->to().tag;
    wire.say(phone.request("ACK", "TLS"));
    wire.say(phone.request("BYE", "TLS"));
    EXPECT_TRUE(wire.hear("200"));
    EXPECT_TRUE(pipeline.wait_until_finished());
}

TEST_F(SipTlsTest, ASipsCallThatCameUnencryptedIsRefused) {
    start();
    auto invite = phone.invite();
    invite.uri = "sips:bot@bot.example";
    phone.say(invite, port);
    const auto refused = phone.hear("480");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->get("Warning"), "380 oavc \"SIPS Not Allowed\"");
}

TEST_F(SipTlsTest, NothingOlderThanTls12IsSpoken) {
    start();
    auto settings = trusting();
    settings.newest = TLS1_1_VERSION;
    EXPECT_FALSE(TlsPeer(config.tls_port, settings).is_open());
    settings.newest = TLS1_2_VERSION;
    EXPECT_TRUE(TlsPeer(config.tls_port, settings).is_open());
    // Who leaves without a word has not failed.
    EXPECT_TRUE(comes_true([&] { return listener->stats().open_connections == 0; }));
    EXPECT_EQ(listener->stats().failed_handshakes, 1u);
}

TEST_F(SipTlsTest, CertificatesAreReplacedForConnectionsToCome) {
    start();
    TlsPeer old{config.tls_port, trusting()};
    ASSERT_TRUE(old.is_open());
    const SelfMadeCertificate next{folder(), "next.example"};
    const auto replace = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(next.certificate_file, ours.certificate_file, replace);
    std::filesystem::copy_file(next.key_file, ours.key_file, replace);
    const auto next_is_shown = [&] {
        return TlsPeer(config.tls_port, {&next, nullptr, 0}).is_open();
    };
    EXPECT_FALSE(next_is_shown());
    listener->reload_certificates();
    EXPECT_TRUE(comes_true(next_is_shown));
    SipOverTls wire{old};
    wire.say(phone.request("OPTIONS", "TLS"));
    EXPECT_TRUE(wire.hear("200")) << "open connections go on";

    std::ofstream{ours.key_file} << "no key";
    EXPECT_THROW(listener->reload_certificates(), std::runtime_error);
    EXPECT_TRUE(next_is_shown()) << "the last good ones go on";
}

TEST_F(SipTlsTest, WhoMustShowACertificateShowsATrustedOne) {
    config.tls_verify_client = true;
    start();
    const auto answered = [&](const SelfMadeCertificate* own) {
        auto settings = trusting();
        settings.own = own;
        TlsPeer peer{config.tls_port, settings};
        SipOverTls wire{peer};
        wire.say(phone.request("OPTIONS",
                               "TLS"));  // TLS 1.3: only now the refusal is seen
        return wire.hear("200").has_value();
    };
    EXPECT_FALSE(answered(nullptr));
    EXPECT_FALSE(answered(&ours));
    EXPECT_TRUE(answered(&theirs));
}

TEST_F(SipTlsTest, AHandshakeThatNobodyGoesOnWithHoldsUpNobody) {
    start();
    const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(config.tls_port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(silent, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              0);  // NOLINT
    TlsPeer peer{config.tls_port, trusting()};
    SipOverTls wire{peer};
    wire.say(phone.request("OPTIONS", "TLS"));
    EXPECT_TRUE(wire.hear("200"));
    EXPECT_EQ(listener->stats().open_connections, 2u);
    ::close(silent);
}

TEST_F(SipTlsTest, ACertificateThatCannotBeReadIsToldAtStart) {
    config.tls_certificate = "/nowhere/server.pem";
    try {
        start();
        FAIL();
    } catch (const std::runtime_error& error) {
        const std::string what = error.what();
        EXPECT_NE(what.find("[telephony.sip]"), std::string::npos) << what;
        EXPECT_NE(what.find("/nowhere/server.pem"), std::string::npos) << what;
    }
    listener.reset();
}

TEST_F(SipTlsTest, CallsOverTlsWhomItKnowsByItsCertificate) {
    TlsDoor door{theirs};
    config.proxy = "sips:localhost:" + std::to_string(door.port());
    start();
    DialRequest request;
    request.to = "sips:alice@example.com";
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    const auto peer = door.accept();
    ASSERT_NE(peer, nullptr);
    EXPECT_EQ(peer->name_asked_for(), "localhost");
    SipOverTls wire{*peer};
    const auto invite = wire.hear("INVITE");
    ASSERT_TRUE(invite);
    EXPECT_EQ(invite->uri, "sips:alice@example.com");
    EXPECT_EQ(invite->get("Via").substr(0, 11), "SIP/2.0/TLS");
    EXPECT_EQ(invite->get("Contact"), "<sips:127.0.0.1:" + std::to_string(config.tls_port) + ">");
    wire.say(phone.reply(*invite, 200, true));
    EXPECT_TRUE(wire.hear("ACK"));
    EXPECT_TRUE(dialled.get());
    EXPECT_TRUE(phone.hears(true));
    listener->stop();
    EXPECT_TRUE(wire.hear("BYE"));
}

TEST_F(SipTlsTest, TellsNothingToWhoShowsACertificateOfAnotherDomain) {
    const SelfMadeCertificate other{folder(), "other.example"};
    config.tls_ca = other.certificate_file;  // trusted, but not whom we meant
    TlsDoor door{other};
    config.proxy = "sip:localhost:" + std::to_string(door.port()) + ";transport=tls";
    start();
    DialRequest request;
    request.to = "5551234";
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    const auto peer = door.accept();
    ASSERT_NE(peer, nullptr);
    EXPECT_EQ(peer->receive(), "");
    EXPECT_EQ(dialled.get().error(), CallControlErrc::unavailable);
}

TEST_F(SipTlsTest, ASipsTargetIsNotCalledUnencrypted) {
    config.proxy = "sip:" + phone.address();
    start();
    DialRequest request;
    request.to = "sips:alice@example.com";
    auto dialled = on_shard(shards[0], listener->dialer()->dial(shards[0], request));
    EXPECT_EQ(dialled.get().error(), CallControlErrc::bad_target);
}

TEST_F(SipTlsTest, RegistersOverTls) {
    TlsDoor door{theirs};
    config.registrar = "sip:localhost:" + std::to_string(door.port()) + ";transport=tls";
    config.username = "bot";
    start();
    const auto peer = door.accept();
    ASSERT_NE(peer, nullptr);
    SipOverTls wire{*peer};
    const auto registering = wire.hear("REGISTER");
    ASSERT_TRUE(registering);
    EXPECT_EQ(registering->uri, "sip:localhost");
    EXPECT_EQ(
        registering->get("Contact"),
        "<sip:bot@127.0.0.1:" + std::to_string(config.tls_port) + ";transport=tls>"
    );
    wire.say(phone.reply(*registering, 200));
    EXPECT_TRUE(comes_true([&] { return listener->stats().registered; }));
    listener->stop();
    EXPECT_TRUE(wire.hear("REGISTER"));
}

}  // namespace
}  // namespace oavc::transports::sip_ua
