#include "app/doctor/checks.hpp"
#include "app/doctor/machine.hpp"
#include "net/certificate_errors.hpp"
#include "services/errors.hpp"
#include "transports/rtp/local_address.hpp"

#include <boost/asio/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oavc::app::doctor {
namespace {

using enum Finding::Verdict;
using testing::HasSubstr;
using testing::Not;

std::string words(const Finding& finding) { return finding.found + " → " + finding.advice; }

// What callers are told, and whether they can send there.

TEST(DoctorsAddresses, AreToldApartByWhoUnderstandsThem) {
    EXPECT_EQ(reach_of("8.8.8.8"), Reach::internet);
    EXPECT_EQ(reach_of("10.1.2.3"), Reach::private_net);
    EXPECT_EQ(reach_of("172.15.0.1"), Reach::internet);
    EXPECT_EQ(reach_of("172.31.255.255"), Reach::private_net);
    EXPECT_EQ(reach_of("192.168.0.1"), Reach::private_net);
    EXPECT_EQ(reach_of("100.64.0.1"), Reach::private_net);
    EXPECT_EQ(reach_of("100.128.0.1"), Reach::internet);
    EXPECT_EQ(reach_of("169.254.1.1"), Reach::link_local);
    EXPECT_EQ(reach_of("127.0.0.53"), Reach::loopback);
    EXPECT_EQ(reach_of("0.0.0.0"), Reach::unspecified);
    EXPECT_EQ(reach_of("224.0.0.1"), Reach::multicast);
    EXPECT_EQ(reach_of("203.0.113.7"), Reach::documentation);
    EXPECT_EQ(reach_of("::1"), Reach::loopback);
    EXPECT_EQ(reach_of("fd00::1"), Reach::private_net);
    EXPECT_EQ(reach_of("fe80::1"), Reach::link_local);
    EXPECT_EQ(reach_of("2001:db8::1"), Reach::documentation);
    EXPECT_EQ(reach_of("2a00:1450::1"), Reach::internet);
    EXPECT_EQ(reach_of("::ffff:10.0.0.1"), Reach::private_net);
    EXPECT_EQ(reach_of("voice.example.com"), Reach::none);
}

struct MediaCase {
    const char* name;
    const char* bind_ip;
    const char* advertised_ip;
    const char* peer;
    Finding::Verdict verdict;
    const char* says;
};

class DoctorsMediaAddress : public testing::TestWithParam<MediaCase> {};

TEST_P(DoctorsMediaAddress, IsJudgedByWhoMustReachIt) {
    const auto& given = GetParam();
    MediaAddress facts;
    facts.rtp.bind_ip = given.bind_ip;
    facts.rtp.advertised_ip = given.advertised_ip;
    facts.default_route = "10.0.0.9";
    facts.around.addresses = {"10.0.0.9", "10.8.0.1"};
    facts.peers = {given.peer};
    const auto findings = check_media_address(facts);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].verdict, given.verdict) << words(findings[0]);
    EXPECT_THAT(words(findings[0]), HasSubstr(given.says));
}

INSTANTIATE_TEST_SUITE_P(
    Of,
    DoctorsMediaAddress,
    testing::Values(
        MediaCase{"ALan", "0.0.0.0", "", "10.0.0.5", fine, "told 10.0.0.9 (private), from the "},
        MediaCase{"TheInternet", "0.0.0.0", "8.8.8.8", "9.9.9.9", fine, "35000–35500 there must"},
        MediaCase{"APrivateOne", "0.0.0.0", "", "9.9.9.9", warning, "or RTP_HOST_IP"},
        MediaCase{"ADevelopersMachine", "127.0.0.1", "", "127.0.0.1", warning, "bind_ip = 0.0.0.0"},
        MediaCase{"Loopback", "127.0.0.1", "", "10.0.0.5", fault, "talk to themselves"},
        MediaCase{"DeafOne", "127.0.0.1", "8.8.8.8", "9.9.9.9", fault, "received on 127.0.0.1"},
        MediaCase{"TheWrongCard", "10.8.0.1", "10.0.0.9", "10.0.0.5", fault, "or to 10.0.0.9"},
        MediaCase{"LinkLocal", "169.254.3.4", "", "10.0.0.5", fault, "advertised_ip"},
        MediaCase{"AnExample", "0.0.0.0", "203.0.113.5", "9.9.9.9", fault, "from an example"},
        MediaCase{"NoAddress", "0.0.0.0", "0.0.0.0", "9.9.9.9", fault, "no address at all"}
    ),
    [](const auto& param) { return std::string{param.param.name}; }
);

TEST(DoctorsMediaAddressFromHere, IsSuspectedWhenNothingComesBack) {
    MediaAddress facts;
    facts.rtp.advertised_ip = "8.8.8.8";
    facts.peers = {"9.9.9.9"};
    facts.comes_back = false;
    auto findings = check_media_address(facts);
    ASSERT_EQ(findings.size(), 2u);
    EXPECT_EQ(findings[1].verdict, warning);
    EXPECT_THAT(findings[1].advice, HasSubstr("35000–35500"));
    facts.comes_back = true;
    EXPECT_EQ(check_media_address(facts)[1].verdict, fine);
}

TEST(DoctorsSurroundings, KnowWhatAContainerNeeds) {
    MediaAddress facts;
    EXPECT_EQ(check_surroundings(facts).found, "no container");
    facts.around.docker = true;
    EXPECT_EQ(check_surroundings(facts).verdict, fine) << "the host's network";
    facts.around.own_network = true;
    const auto docker = check_surroundings(facts);
    EXPECT_EQ(docker.verdict, warning);
    EXPECT_THAT(docker.advice, HasSubstr("-p 35000-35500:35000-35500/udp"));
    facts.around.kubernetes = true;
    EXPECT_THAT(check_surroundings(facts).advice, HasSubstr("hostNetwork: true"));
    facts.rtp.advertised_ip = "8.8.8.8";
    EXPECT_EQ(check_surroundings(facts).verdict, fine);
}

TEST(DoctorsEventAddress, MustLeadFromOpenSipsToUs) {
    EXPECT_EQ(check_event_address({"127.0.0.1", "127.0.0.1", "127.0.0.1:8090"}).verdict, fine);
    EXPECT_EQ(check_event_address({"10.0.0.5", "0.0.0.0", "10.0.0.9:8090"}).verdict, fine);
    const auto to_itself = check_event_address({"10.0.0.5", "127.0.0.1", "127.0.0.1:8090"});
    EXPECT_EQ(to_itself.verdict, fault);
    EXPECT_THAT(to_itself.advice, HasSubstr("event_advertised"));
    const auto deaf = check_event_address({"10.0.0.5", "127.0.0.1", "10.0.0.9:8090"});
    EXPECT_EQ(deaf.verdict, fault);
    EXPECT_THAT(deaf.found, HasSubstr("received on 127.0.0.1 only"));
}

TEST(DoctorsSipAddress, IsOneThatThePeersUnderstand) {
    EXPECT_EQ(check_sip_address({"0.0.0.0", "", "10.0.0.9", {"10.0.0.5"}}).verdict, fine);
    EXPECT_EQ(check_sip_address({"127.0.0.1", "", "10.0.0.9", {"127.0.0.1"}}).verdict, fine);
    EXPECT_EQ(check_sip_address({"127.0.0.1", "", "10.0.0.9", {"10.0.0.5"}}).verdict, fault);
    EXPECT_EQ(check_sip_address({"0.0.0.0", "", "10.0.0.9", {"9.9.9.9"}}).verdict, warning);
    EXPECT_EQ(check_sip_address({"0.0.0.0", "8.8.8.8:8089", "", {"9.9.9.9"}}).verdict, fine);
    EXPECT_EQ(check_sip_address({"127.0.0.1", "8.8.8.8", "", {"9.9.9.9"}}).verdict, fault);
}

TEST(DoctorsOptions, WantsAnAnswerFromWhereItMayAsk) {
    EXPECT_THAT(
        options_request("10.0.0.9:8089", "10.0.0.5:4000"), HasSubstr("sip:10.0.0.9:8089 S")
    );
    EXPECT_EQ(status_of("SIP/2.0 200 OK\r\n"), 200);
    EXPECT_EQ(status_of("HTTP/1.1 200 OK\r\n"), 0);
    Options facts{"127.0.0.1:8089", "UDP", {}, 200, true};
    EXPECT_EQ(check_options(facts).verdict, fine);
    facts.status = 503;
    EXPECT_EQ(check_options(facts).verdict, warning);
    facts.error = "Connection refused";
    EXPECT_EQ(check_options(facts).verdict, fault);
    facts.from_allowed_peer = false;
    EXPECT_EQ(check_options(facts).verdict, skipped);
}

// This machine.

TEST(DoctorsPorts, AreFreeOrOurs) {
    Port port{"events port", "[telephony.opensips] event_port", "UDP", "0.0.0.0", 8090};
    port.needed_now = true;
    EXPECT_EQ(check_port(port).verdict, fine);
    port.server_up = true;
    EXPECT_THAT(words(check_port(port)), HasSubstr("another configuration"));
    port.error = boost::asio::error::address_in_use;
    EXPECT_EQ(check_port(port).verdict, fine) << "the server's";
    port.server_up = false;
    port.holder = "opensips (pid 12)";
    const auto taken = check_port(port);
    EXPECT_EQ(taken.verdict, fault);
    EXPECT_EQ(taken.found, "UDP 0.0.0.0:8090 is held by opensips (pid 12)");
    EXPECT_THAT(taken.advice, HasSubstr("[telephony.opensips] event_port"));
    port.error = make_error_code(boost::system::errc::address_not_available);
    EXPECT_THAT(words(check_port(port)), HasSubstr("no such address"));
    port.error = boost::asio::error::access_denied;
    EXPECT_THAT(words(check_port(port)), HasSubstr("below 1024"));
}

TEST(DoctorsRtpRange, MustHoldAllCalls) {
    RtpRange range;
    range.max_calls = 200;
    EXPECT_THAT(check_rtp_range(range).found, HasSubstr("hold 250 calls"));
    range.taken = {35000, 35002};
    EXPECT_EQ(check_rtp_range(range).verdict, warning);
    range.taken.assign(51, 35000);
    EXPECT_EQ(check_rtp_range(range).verdict, fault);
    range.server_up = true;
    EXPECT_EQ(check_rtp_range(range).verdict, fine) << "they are our calls";
    range.max_calls = 251;
    EXPECT_EQ(check_rtp_range(range).verdict, fault);
    range.error = make_error_code(boost::system::errc::address_not_available);
    EXPECT_THAT(check_rtp_range(range).advice, HasSubstr("advertised_ip"));
}

TEST(DoctorsLimits, FollowFromTheNumberOfCalls) {
    EXPECT_EQ(check_file_limit({4096, 200, 5}).verdict, fine);
    EXPECT_THAT(words(check_file_limit({1024, 200, 5})), HasSubstr("LimitNOFILE=1128"));
    EXPECT_EQ(check_event_buffer({425'984, 100}).verdict, fine);
    EXPECT_THAT(words(check_event_buffer({425'984, 200})), HasSubstr("rmem_max=819200"));
}

TEST(DoctorsClock, IsComparedWithOneThatIsRight) {
    using namespace std::chrono_literals;
    EXPECT_EQ(check_clock({{}, {}, {}}).verdict, skipped);
    EXPECT_EQ(check_clock({true, {}, {}}).verdict, fine);
    EXPECT_EQ(check_clock({false, {}, {}}).verdict, warning);
    EXPECT_EQ(check_clock({false, -2s, "Twilio"}).verdict, fine);
    EXPECT_EQ(check_clock({true, 30s, "Twilio"}).verdict, warning);
    EXPECT_THAT(words(check_clock({true, -3600s, "Twilio"})), HasSubstr("3600 s behind"));
    EXPECT_FALSE(ahead_of("yesterday"));
    EXPECT_GT(*ahead_of("Sun, 06 Nov 1994 08:49:37 GMT"), 24h * 365 * 20);
}

TEST(DoctorsCertificates, AreJudgedByWhatIsLeftOfThem) {
    using std::chrono::days;
    const std::chrono::sys_seconds now{days{20'000}};
    const auto of = [&](std::chrono::sys_seconds ends) {
        return check_certificate({"api.tls_certificate", "/tls/tls.crt", {}, ends, now});
    };
    EXPECT_EQ(of(now + days{15}).verdict, fine);
    EXPECT_EQ(of(now + days{13}).verdict, warning);
    EXPECT_EQ(of(now + days{1}).verdict, fault);
    EXPECT_EQ(of(now - days{1}).verdict, fault);
    EXPECT_THAT(words(of(now + days{13})), HasSubstr("/tls/tls.crt) ends on 2024-10-17 00:00 UTC"));
    EXPECT_THAT(words(of(now - days{1})), HasSubstr("ended on 2024-10-03"));
    const auto unreadable = check_certificate({"api.tls_certificate", "/no", "denied", {}, now});
    EXPECT_EQ(unreadable.verdict, fault);
    EXPECT_THAT(words(unreadable), HasSubstr("denied"));
}

TEST(DoctorsHttps, IsBelievedOrSaysHow) {
    using net::CertificateErrc;
    const auto told = [](error_code error, bool mutual = false) {
        return check_https({"https://127.0.0.1:8443", mutual, error});
    };
    EXPECT_EQ(told({}).verdict, fine);
    EXPECT_EQ(told(CertificateErrc::wrong_name).verdict, fine) << "we do not ask by its name";
    EXPECT_EQ(told(CertificateErrc::untrusted).verdict, warning);
    EXPECT_THAT(words(told(CertificateErrc::untrusted)), HasSubstr("--ca FILE"));
    EXPECT_EQ(told(CertificateErrc::out_of_date).verdict, fault);
    EXPECT_EQ(told(boost::asio::error::connection_refused).verdict, fault);
    EXPECT_EQ(told(boost::asio::error::connection_reset, true).verdict, skipped);
    EXPECT_EQ(told(boost::asio::error::connection_refused, true).verdict, fault);
    EXPECT_EQ(told(boost::asio::error::timed_out, true).verdict, fault);
    EXPECT_EQ(told(CertificateErrc::out_of_date, true).verdict, fault);
}

// OpenSIPS.

TEST(DoctorsOpenSips, IsAskedForWhatCallsNeed) {
    Mi facts;
    facts.endpoint = "10.0.0.5:8087";
    facts.version = "OpenSIPS (3.6.8 (x86_64/linux))";
    facts.commands = {
        "event_subscribe", "ua_session_reply", "ua_session_update", "ua_session_terminate"};
    facts.events = {"E_UA_SESSION", "E_CORE_THRESHOLD"};
    facts.subscribe_error = "";
    for (const auto& finding : check_mi(facts))
        EXPECT_EQ(finding.verdict, fine) << words(finding);

    facts.subscribe_error = "Cannot find transport";
    EXPECT_THAT(words(check_mi(facts).back()), HasSubstr("event_datagram.so"));
    facts.events = {"E_CORE_THRESHOLD"};
    EXPECT_THAT(words(check_mi(facts).back()), HasSubstr("b2b_entities.so"));
    facts.commands = {"b2b_entities:ua_session_reply", "core:event_subscribe"};
    EXPECT_THAT(
        check_mi(facts)[1].found, HasSubstr("not know ua_session_update, ua_session_terminate")
    );
    facts.error = "Connection refused";
    ASSERT_EQ(check_mi(facts).size(), 1u);
    EXPECT_THAT(words(check_mi(facts)[0]), HasSubstr("mi_datagram"));
}

TEST(DoctorsOpenSips, TellsWhetherOurServerIsSubscribed) {
    Mi facts;
    facts.expected = "udp:10.0.0.9:8090";
    facts.server_up = true;
    facts.subscribers = {"udp:10.0.0.9:8090"};
    EXPECT_EQ(check_mi(facts).back().verdict, fine);
    facts.subscribers = {"udp:10.0.0.8:8090"};
    EXPECT_THAT(check_mi(facts).back().found, HasSubstr("udp:10.0.0.8:8090 is"));
    facts.subscribers->clear();
    EXPECT_THAT(check_mi(facts).back().found, HasSubstr("nobody is subscribed"));
}

TEST(DoctorsOpenSips, AnswersAreReadWhateverTheirShape) {
    EXPECT_THAT(
        *strings_in(R"({"id":1,"result":["uptime","which"]})", ""),
        testing::ElementsAre("uptime", "which")
    );
    EXPECT_THAT(
        *strings_in(R"({"result":{"Events":[{"name":"E_UA_SESSION","id":6}]}})", "name"),
        testing::ElementsAre("E_UA_SESSION")
    );
    EXPECT_THAT(
        *strings_in(
            R"({"result":{"Event":{"name":"E","Subscribers":[{"socket":"udp:1.2.3.4:5"}]}}})",
            "socket"
        ),
        testing::ElementsAre("udp:1.2.3.4:5")
    );
    EXPECT_FALSE(strings_in(R"({"error":{"code":-32601}})", ""));
    EXPECT_FALSE(strings_in("400 Parse_error", ""));
    EXPECT_TRUE(
        strings_in(R"({"result":)" + std::string(20, '[') + std::string(20, ']') + "}", "")->empty()
    );
}

// Twilio.

TEST(DoctorsPublicUrl, LeadsHere) {
    PublicUrl facts;
    EXPECT_THAT(words(check_public_url(facts)[0]), HasSubstr("set [telephony.twilio] public_url"));
    facts.url = "http://voice.example.com";
    EXPECT_THAT(check_public_url(facts)[0].found, HasSubstr("not https"));
    facts.url = "https://voice.example.com";
    facts.resolve_error = "Name or service not known";
    EXPECT_EQ(check_public_url(facts)[0].verdict, fault);
    facts.resolve_error.clear();
    facts.addresses = {"10.0.0.7"};
    EXPECT_THAT(check_public_url(facts)[0].found, HasSubstr("Twilio cannot reach that"));
    facts.addresses = {"10.0.0.7", "8.8.8.8"};
    EXPECT_THAT(check_public_url(facts)[0].found, HasSubstr("--public"));

    facts.asked = true;
    facts.instance = "abcd";
    facts.health = {{}, 200, R"({"status":"alive","instance":"abcd"})", {}};
    EXPECT_EQ(check_public_url(facts)[0].verdict, fine);
    facts.health.body = R"({"status":"alive","instance":"ef01"})";
    EXPECT_THAT(words(check_public_url(facts)[0]), HasSubstr("load balancer"));
    facts.health = {{}, 404, "<html>nginx</html>", {}};
    EXPECT_THAT(words(check_public_url(facts)[0]), HasSubstr("something else: status 404"));
    facts.health = {"Connection refused", 0, {}, {}};
    EXPECT_EQ(check_public_url(facts)[0].verdict, fault);
}

TEST(DoctorsWebhook, TakesOnlyWhatIsSigned) {
    Signature facts;
    facts.with_right.status = 400;
    facts.with_wrong.status = 403;
    EXPECT_EQ(check_signature(facts).verdict, fine);
    facts.with_wrong.status = 400;
    EXPECT_EQ(check_signature(facts).verdict, fault) << "anybody can call";
    facts.with_right.status = 403;
    EXPECT_THAT(words(check_signature(facts)), HasSubstr("auth_token or public_url differ"));
    facts.with_right.status = 502;
    EXPECT_EQ(check_signature(facts).verdict, fault);
    facts.validated = false;
    EXPECT_EQ(check_signature(facts).verdict, warning);
}

TEST(DoctorsMediaSocket, NeedsAProxyThatForwardsUpgrades) {
    EXPECT_EQ(check_media_socket({"wss://x/ws", {}, 0}).verdict, fine);
    EXPECT_THAT(check_media_socket({"wss://x/ws", "HTTP 426", 426}).advice, HasSubstr("Upgrade"));
    EXPECT_THAT(
        check_media_socket({"wss://x/ws", "HTTP 403", 403}).advice, HasSubstr("auth_token")
    );
}

TEST(DoctorsTwilioAccount, IsKnownToTwilio) {
    Account facts;
    EXPECT_EQ(check_account(facts).verdict, skipped);
    facts.sid = "AC1";
    EXPECT_THAT(check_account(facts).found, HasSubstr("--public"));
    facts.asked = true;
    facts.answer = {{}, 200, R"({"status":"active"})", {}};
    EXPECT_EQ(check_account(facts).verdict, fine);
    facts.answer.body = R"({"status":"suspended"})";
    EXPECT_EQ(check_account(facts).verdict, fault);
    facts.answer.status = 401;
    EXPECT_THAT(check_account(facts).advice, HasSubstr("auth_token"));
    facts.answer = {"Connection timed out", 0, {}, {}};
    EXPECT_EQ(check_account(facts).verdict, warning);
}

// AI services.

TEST(DoctorsServices, AreJudgedByWhetherACallerWouldNotice) {
    Service facts{"stt", "vosk", "ws://vosk:2700"};
    EXPECT_EQ(check_service(facts).verdict, fine);
    facts.error = services::ServiceErrc::unavailable;
    facts.connection = "Connection refused";
    const auto down = check_service(facts);
    EXPECT_EQ(down.verdict, fault);
    EXPECT_THAT(words(down), HasSubstr("ws://vosk:2700 does not answer: Connection refused"));
    EXPECT_THAT(words(down), HasSubstr("[stt.vosk] url; see docs/providers/vosk.md"));
    facts.replaced = true;
    EXPECT_EQ(check_service(facts).verdict, warning);
    facts.fallback = true;
    EXPECT_EQ(check_service(facts).check, "stt fallback");
    facts.made = "[stt.vosk] url is missing";
    EXPECT_EQ(check_service(facts).verdict, fault) << "the server would not start";
}

TEST(DoctorsTrials, AreRightWhenSomethingComesBack) {
    RoundTrip facts{"stt", "vosk"};
    facts.asked = "good morning";
    EXPECT_THAT(words(check_round_trip(facts)), HasSubstr("made nothing of \"good morning\""));
    facts.answered = "good morning";
    EXPECT_EQ(check_round_trip(facts).verdict, fine);
    facts.error = services::ServiceErrc::timed_out;
    EXPECT_EQ(check_round_trip(facts).verdict, fault);
}

// A call.

Call good_call() {
    Call call;
    call.via = "opensips";
    call.rtp_to = "10.0.0.9";
    call.report.answered = true;
    call.report.heard_ms = 2'000;
    call.report.rtp.sent = 300;
    call.report.rtp.received = 400;
    call.report.rtp.from = "10.0.0.9:35000";
    call.report.result = "ok";
    caller::TurnReport turn;
    turn.caller_said = "opening hours";
    turn.connector_said = "we open at nine";
    call.report.turns.push_back(turn);
    return call;
}

TEST(DoctorsCall, NamesTheDirectionThatFails) {
    for (const auto& finding : check_call(good_call())) {
        EXPECT_EQ(finding.verdict, fine) << words(finding);
    }
    auto deaf = good_call();
    deaf.report.turns[0].caller_said.clear();
    deaf.report.result = "the first question was not understood";
    const auto no_way_in = check_call(deaf);
    ASSERT_EQ(no_way_in.size(), 3u);
    EXPECT_EQ(no_way_in[1].verdict, fine);
    EXPECT_EQ(no_way_in[2].verdict, fault);
    EXPECT_THAT(words(no_way_in[2]), HasSubstr("UDP must come in at 10.0.0.9"));

    auto mute = good_call();
    mute.report.rtp.received = 0;
    EXPECT_EQ(check_call(mute)[1].verdict, fault);
    EXPECT_EQ(check_call(mute)[2].verdict, fine);

    auto silent = good_call();
    silent.report.heard_ms = 0;
    EXPECT_THAT(check_call(silent)[1].found, HasSubstr("all silent"));

    auto elsewhere = good_call();
    elsewhere.report.rtp.from = "192.168.1.4:35000";
    EXPECT_THAT(check_call(elsewhere)[1].found, HasSubstr("comes from 192.168.1.4"));

    auto refused = good_call();
    refused.report.answered = false;
    refused.report.result = "refused: 503";
    ASSERT_EQ(check_call(refused).size(), 1u);
    EXPECT_THAT(check_call(refused)[0].found, HasSubstr("refused: 503"));
}

// The sum.

TEST(DoctorsVerdict, IsTheExitStatus) {
    std::vector<Finding> findings{{fine, "a", "b", {}}};
    EXPECT_EQ(exit_status(findings, true), 0);
    EXPECT_EQ(summary(findings), "nothing is wrong\n");
    findings.push_back({warning, "clock", "wrong", "set it"});
    EXPECT_EQ(exit_status(findings, false), 0);
    EXPECT_EQ(exit_status(findings, true), 1);
    findings.push_back({fault, "opensips", "no \"answer\"", "start it"});
    EXPECT_EQ(exit_status(findings, false), 2);
    EXPECT_EQ(summary(findings), "1 fault, 1 warning\n");
    EXPECT_EQ(
        to_json(findings),
        R"({"faults":1,"warnings":1,"findings":[)"
        R"({"verdict":"fine","check":"a","found":"b"},)"
        R"({"verdict":"warning","check":"clock","found":"wrong","advice":"set it"},)"
        R"({"verdict":"fault","check":"opensips","found":"no \"answer\"","advice":"start it"}]})"
    );
    EXPECT_THAT(to_text(findings[2]), HasSubstr("✗ opensips"));
    EXPECT_THAT(to_text(findings[2]), HasSubstr("→ start it"));
}

// P150: RTP_HOST_IP, then EXTERNAL_RTP_IP, then HOST_IP, then the default route.

std::string advertised(const config::Environment& environment) {
    const auto loaded =
        config::load_text("[telephony]\nprovider = opensips\n", "x.ini", ".", environment);
    return loaded.config.rtp.advertised_ip;
}

TEST(TheAdvertisedAddress, ComesFromTheFirstOfTheThreeVariables) {
    EXPECT_EQ(
        advertised(
            {{"RTP_HOST_IP", "10.0.0.1"}, {"EXTERNAL_RTP_IP", "10.0.0.2"}, {"HOST_IP", "10.0.0.3"}}
        ),
        "10.0.0.1"
    );
    EXPECT_EQ(advertised({{"EXTERNAL_RTP_IP", "10.0.0.2"}, {"HOST_IP", "10.0.0.3"}}), "10.0.0.2");
    EXPECT_EQ(advertised({{"HOST_IP", "10.0.0.3"}}), "10.0.0.3");
    EXPECT_EQ(advertised({}), "");
    EXPECT_EQ(
        advertised({{"OAVC_TELEPHONY_RTP_ADVERTISED_IP", "10.0.0.4"}, {"RTP_HOST_IP", "10.0.0.1"}}),
        "10.0.0.4"
    ) << "ours wins over the predecessor's";
}

TEST(TheAdvertisedAddress, IsElseTheOneTowardsTheCallerElseTheDefaultRoutes) {
    transports::rtp::Config rtp;
    EXPECT_EQ(transports::rtp::local_address(rtp, {"127.0.0.1"}), "127.0.0.1");
    const auto by_default = default_route();
    EXPECT_EQ(
        transports::rtp::local_address(rtp, {"", "0.0.0.0", "phone.invalid"}),
        by_default.empty() ? "127.0.0.1" : by_default
    );
    rtp.bind_ip = "10.0.0.9";
    EXPECT_EQ(transports::rtp::local_address(rtp, {"127.0.0.1"}), "10.0.0.9");
    rtp.advertised_ip = "198.51.100.1";
    EXPECT_EQ(transports::rtp::local_address(rtp, {"127.0.0.1"}), "198.51.100.1");
}

}  // namespace
}  // namespace oavc::app::doctor
