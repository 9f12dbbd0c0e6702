// Replays what a real OpenSIPS sent, and compares what we send with what worked there.
#include "sip/bodies.hpp"
#include "sip/headers.hpp"
#include "sip/sdp.hpp"
#include "support/opensips_capture.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/mi_protocol.hpp"
#include "transports/opensips/ua_session.hpp"

#include <boost/json/serialize.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace oavc::transports::opensips {
namespace {

using test::CapturedDatagram;
using test::load_opensips_capture;
namespace json = boost::json;

std::string reason_name(EndReason reason) { return std::string{to_string(reason)}; }

/// Port, payload types, direction and version: what a description means to the peer.
std::string digest(const std::string& body) {
    const auto sdp = sip::parse_sdp(body);
    if (!sdp || sdp->media.empty()) return body.empty() ? "" : "?";
    const auto& media = sdp->media[0];
    std::string out = std::to_string(media.port);
    for (const auto& format : media.formats)
        out += ',' + format;
    out += ' ';
    out += sip::to_string(sdp->direction_of(media));
    return out + " v" + std::to_string(sdp->origin.version) + " id" +
           std::to_string(sdp->origin.session_id) + " ptime" +
           std::to_string(media.ptime.value_or(0));
}

/// A request in words: its method, what it names, which optional parameters it has, what its SDP
/// and Refer-To say. Two requests with the same words have the same effect.
std::string in_words(const MiCommand& command) {
    std::string out = command.method;
    if (const auto* method = command.text("method")) out += ' ' + *method;
    if (const auto code = command.number("code")) out += ' ' + std::to_string(*code);
    for (const auto* optional : {"body", "content_type", "extra_headers"}) {
        if (command.text(optional) != nullptr) out += std::string{" +"} + optional;
    }
    if (const auto* body = command.text("body"); body != nullptr && !body->empty()) {
        out += " [" + digest(*body) + ']';
    }
    if (const auto* headers = command.text("extra_headers")) {
        const sip::Headers lines{*headers};
        for (const auto* name : {"Refer-To", "Accept", "Retry-After"}) {
            if (const auto value = lines.find(name)) out += " " + std::string{name} + '=' + *value;
        }
    }
    return out;
}

struct CapturedRequest {
    int id;
    std::string key;
    MiCommand command;
};

CapturedRequest parse_request(const std::string& text) {
    const auto document = json::parse(text);
    CapturedRequest request;
    request.id = static_cast<int>(document.at("id").as_int64());
    request.command.method = document.at("method").as_string();
    if (const auto* params = document.as_object().if_contains("params")) {
        for (const auto& [name, value] : params->as_object()) {
            if (value.is_int64()) {
                request.command.parameters.push_back({std::string{name}, value.as_int64()});
            } else {
                request.command.parameters.push_back(
                    {std::string{name}, std::string{value.as_string()}}
                );
            }
        }
    }
    if (const auto* key = request.command.text("key")) request.key = *key;
    return request;
}

/// One scenario of the captures and what becomes of it with us.
struct Scenario {
    const char* file;
    /// How each call ended, in the order in which they came in; "up" while it lasts.
    std::vector<std::string> ends;
    std::string digits{};
    /// Where we do otherwise than the recorded connector: "theirs | ours". "-": nothing.
    std::vector<std::string> differences{};
    /// "From > To" of the first call.
    std::string parties{"caller@127.0.0.1 > bot"};
};
void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.file; }

class Replay {
public:
    explicit Replay(const std::string& file) {
        for (const auto& datagram : load_opensips_capture(file)) {
            now_ = TimePoint{} + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>{datagram.seconds}
                                 );
            if (datagram.channel == "event") on_event(datagram);
            if (datagram.channel == "mi" && datagram.direction == "connector->opensips") {
                on_captured_request(datagram);
            }
            if (datagram.channel == "mi" && datagram.direction == "opensips->connector") {
                on_response(datagram);
            }
        }
        // What the recorded connector did not send is taken well by OpenSIPS.
        for (auto& call : calls_) {
            while (!call->pending.empty()) {
                differences.push_back("- | " + in_words(call->pending.front().command));
                const auto token = call->pending.front().token;
                call->pending.pop_front();
                MiResponse ok;
                ok.ok = true;
                call->session.on_mi(token, {ok}, now_);
                collect(*call);
            }
            ends.push_back(call->session.is_over() ? call->end : "up");
            EXPECT_TRUE(!call->session.is_over() || call->session.finished());
        }
    }

    std::string first_parties() const {
        if (calls_.empty()) return {};
        const auto& info = calls_[0]->session.info();
        return info.from + " > " + info.to;
    }

    std::vector<std::string> ends;
    std::vector<std::string> differences;
    std::string digits;
    std::size_t transfers{0};

private:
    struct Call {
        explicit Call(UaSession s) : session{std::move(s)} {}
        UaSession session;
        std::deque<UaSession::SendMi> pending;
        std::map<int, std::uint32_t> tokens;  ///< ours, by the id of the recorded request
        std::string end;
    };

    Call* find(const std::string& key) {
        for (auto& call : calls_) {
            if (call->session.key() == key) return call.get();
        }
        return nullptr;
    }

    void collect(Call& call) {
        while (auto action = call.session.next_action()) {
            if (auto* send = std::get_if<UaSession::SendMi>(&*action)) {
                EXPECT_EQ(*send->command.text("key"), call.session.key());
                call.pending.push_back(std::move(*send));
            } else if (const auto* over = std::get_if<UaSession::CallOver>(&*action)) {
                call.end = reason_name(over->end.reason);
            } else if (const auto* digit = std::get_if<UaSession::Digit>(&*action)) {
                digits += digit->digit;
            } else if (const auto* done = std::get_if<UaSession::TransferDone>(&*action)) {
                if (done->ok) ++transfers;
            }
        }
    }

    void on_event(const CapturedDatagram& datagram) {
        const auto event = parse_event(as_bytes(datagram.payload));
        ASSERT_TRUE(event.has_value()) << datagram.number;
        auto* call = find(event->key);
        if (call == nullptr) {
            if (event->type != UaEventType::created) return;  // a call that the recorder started
            calls_.push_back(std::make_unique<Call>(UaSession{*event, {}}));
            call = calls_.back().get();
        } else {
            call->session.on_event(*event, now_);
        }
        collect(*call);
    }

    /// A request of the recorded connector stands for a wish, unless we have sent it already.
    void on_captured_request(const CapturedDatagram& datagram) {
        auto request = parse_request(datagram.payload);
        const auto& method = request.command.method;
        const auto code = request.command.number("code").value_or(0);
        auto* call = find(request.key);
        if (call == nullptr && method == "ua_session_reply") {
            // Found in the list: NEW was never seen.
            const auto listed =
                std::find_if(listed_.begin(), listed_.end(), [&](const auto& entry) {
                    return entry.key == request.key;
                });
            if (listed == listed_.end()) return;
            calls_.push_back(std::make_unique<Call>(UaSession{*listed, {}}));
            call = calls_.back().get();
        }
        if (call == nullptr || method == "ua_session_list") return;
        if (method == "ua_session_reply" && code < 200) return;  // we answer at once
        auto& session = call->session;
        if (call->pending.empty()) {
            const auto* about = request.command.text("method");
            if (method == "ua_session_reply" && *about != "INVITE") {
                // a reply to nothing, to see what OpenSIPS says
            } else if (method == "ua_session_reply" && code == 200) {
                session.answer({"127.0.0.1", 18000, 4711, 1});
            } else if (method == "ua_session_reply") {
                session.reject(static_cast<int>(code), *request.command.text("reason"));
            } else if (method == "ua_session_terminate") {
                session.hang_up();
            } else if (*about == "REFER") {
                const auto* headers = request.command.text("extra_headers");
                const auto target = sip::Headers{*headers}.find("Refer-To");
                EXPECT_TRUE(
                    session.transfer(sip::parse_name_address(*target)->uri.text, now_).has_value()
                );
            } else if (*about == "BYE") {
                session.hang_up();
            } else if (*about == "INVITE") {
                const auto* body = request.command.text("body");
                const bool held = body->find("a=sendonly") != std::string::npos;
                static_cast<void>(session.hold(held, now_));
            } else if (*about == "INFO" && request.command.text("body") != nullptr) {
                // In a state in which OpenSIPS refuses it we do not try.
                const auto& body = *request.command.text("body");
                const auto key = sip::parse_info_digit("application/dtmf-relay", body);
                if (key) static_cast<void>(session.press(*key, now_));
            }
            collect(*call);
        }
        const auto theirs = in_words(request.command);
        if (call->pending.empty()) {
            differences.push_back(theirs + " | -");
            return;
        }
        const auto ours = in_words(call->pending.front().command);
        if (theirs != ours) differences.push_back(theirs + " | " + ours);
        call->tokens[request.id] = call->pending.front().token;
        call->pending.pop_front();
    }

    void on_response(const CapturedDatagram& datagram) {
        const auto response = parse_mi_response(as_bytes(datagram.payload));
        ASSERT_TRUE(response.has_value()) << datagram.number;
        if (!response->sessions.empty()) listed_ = response->sessions;
        if (!response->id) return;
        for (auto& call : calls_) {
            const auto token = call->tokens.find(static_cast<int>(*response->id));
            if (token == call->tokens.end()) continue;
            const auto ours = token->second;
            call->tokens.erase(token);
            call->session.on_mi(ours, {*response}, now_);
            collect(*call);
            return;
        }
    }

    TimePoint now_{};
    std::vector<std::unique_ptr<Call>> calls_;
    std::vector<MiSession> listed_;
};

class OpensipsReplay : public testing::TestWithParam<Scenario> {};

TEST_P(OpensipsReplay, SendsWhatWorkedAndEndsWhereItShould) {
    const auto& scenario = GetParam();
    const Replay replay{scenario.file};
    EXPECT_EQ(replay.ends, scenario.ends);
    EXPECT_EQ(replay.digits, scenario.digits);
    EXPECT_EQ(replay.differences, scenario.differences);
    EXPECT_EQ(replay.first_parties(), scenario.parties);
    const auto transferred = std::count(scenario.ends.begin(), scenario.ends.end(), "transferred");
    EXPECT_EQ(replay.transfers, static_cast<std::size_t>(transferred));
}

INSTANTIATE_TEST_SUITE_P(
    Captures,
    OpensipsReplay,
    testing::Values(
        Scenario{
            .file = "a10_no_sdp_415",
            .ends = {"we_hung_up"},
            .differences = {"- | ua_session_terminate"}},
        Scenario{
            .file = "a11_two_calls_interleaved",
            .ends = {"caller_hung_up", "caller_hung_up"},
            .parties = "caller@127.0.0.1 > sales"},
        Scenario{.file = "a12_replies_without_flag_r", .ends = {"we_hung_up"}},
        Scenario{.file = "a13_compact_and_folded_headers", .ends = {"we_hung_up"}},
        Scenario{.file = "a2_ringing_then_answer", .ends = {"caller_hung_up"}},
        Scenario{.file = "a3_all_flags_ack_reported", .ends = {"caller_hung_up"}},
        Scenario{.file = "a4_no_flags", .ends = {"caller_hung_up"}, .parties = " > "},
        Scenario{.file = "a5_flag_n_no_new_event", .ends = {"caller_hung_up"}},
        Scenario{.file = "a6_extra_params", .ends = {"caller_hung_up"}},
        Scenario{.file = "a7_utf8_headers", .ends = {"caller_hung_up"}},
        Scenario{.file = "a8_invite_retransmission", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "a9_late_offer",
            .ends = {"we_hung_up"},
            .differences =
                {"ua_session_reply INVITE 200 +body [18000,0,101 sendrecv v1 id4711 ptime20] | "
                 "ua_session_reply INVITE 415 +body +content_type +extra_headers "
                 "Accept=application/sdp",
                 "- | ua_session_terminate"}},
        Scenario{.file = "a_basic_caller_bye", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "b2_terminate_with_headers",
            .ends = {"we_hung_up"},
            .differences = {"ua_session_terminate +extra_headers | ua_session_terminate"}},
        Scenario{
            .file = "b3_terminate_unanswered",
            .ends = {"we_hung_up"},
            .differences =
                {"ua_session_terminate | ua_session_reply INVITE 480",
                 "ua_session_reply INVITE 486 | ua_session_terminate",
                 "ua_session_terminate | -"}},
        Scenario{.file = "b4_reject_then_terminate_at_once", .ends = {"we_hung_up"}},
        Scenario{
            .file = "b_connector_terminates",
            .ends = {"we_hung_up"},
            .differences = {"ua_session_terminate | -"}},
        Scenario{.file = "c2_hold_inactive", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "c3_reinvite_rejected",
            .ends = {"caller_hung_up"},
            .differences = {"ua_session_reply INVITE 488 | ua_session_reply INVITE 200 +body "
                            "[18000,0,101 sendrecv v1 id4711 ptime20]"}},
        Scenario{.file = "c4_connector_reinvite_auto_ack", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "c5_connector_reinvite_flag_d",
            .ends = {"caller_hung_up"},
            .differences = {"ua_session_update ACK | -"}},
        Scenario{
            .file = "c6_requests_after_rejected_reinvite",
            .ends = {"caller_hung_up"},
            .differences =
                {"ua_session_reply INVITE 488 | ua_session_reply INVITE 200 +body [18000,0,101 "
                 "sendrecv v1 id4711 ptime20]",
                 "ua_session_reply INVITE 200 +body [18000,0,101 recvonly v3 id4711 ptime20] | "
                 "ua_session_reply INVITE 200 +body [18000,0,101 recvonly v2 id4711 ptime20]",
                 "ua_session_terminate | -"}},
        Scenario{.file = "c_hold_resume", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "d2_cancel_connector_silent",
            .ends = {"cancelled"},
            .differences = {"- | ua_session_terminate"}},
        Scenario{
            .file = "d3_cancel_race_with_200",
            .ends = {"cancelled"},
            .differences =
                {"ua_session_reply INVITE 200 +body [18000,0,101 sendrecv v1 id4711 ptime20] | "
                 "ua_session_reply INVITE 487",
                 "- | ua_session_terminate"}},
        Scenario{
            .file = "d4_cancel_then_terminate_only",
            .ends = {"cancelled"},
            .differences =
                {"ua_session_terminate | ua_session_reply INVITE 487", "- | ua_session_terminate"}},
        Scenario{
            .file = "d5_cancel_after_200",
            .ends = {"cancelled"},
            .differences = {"- | ua_session_reply INVITE 487", "- | ua_session_terminate"}},
        Scenario{.file = "d_cancel_before_answer", .ends = {"cancelled"}},
        Scenario{.file = "e_codec_488", .ends = {"we_hung_up"}},
        Scenario{.file = "f2_refer_empty_content_type", .ends = {"transferred"}},
        Scenario{.file = "f3_refer_rejected", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "f4_refer_caller_hangs_up",
            .ends = {"transferred"},
            .differences = {"- | ua_session_terminate"}},
        Scenario{
            .file = "f5_refer_headers_without_body",
            .ends = {"caller_hung_up"},
            .differences = {"ua_session_update REFER +extra_headers "
                            "Refer-To=<sip:agent@127.0.0.1:5080> | ua_session_update REFER +body "
                            "+content_type +extra_headers Refer-To=<sip:agent@127.0.0.1:5080>"}},
        Scenario{
            .file = "f_refer_transfer",
            .ends = {"transferred"},
            .differences = {"ua_session_update REFER +body +extra_headers "
                            "Refer-To=<sip:agent@127.0.0.1:5080> | ua_session_update REFER +body "
                            "+content_type +extra_headers Refer-To=<sip:agent@127.0.0.1:5080>"}},
        Scenario{
            .file = "g2_indialog_options_update_message",
            .ends = {"caller_hung_up"},
            .differences = {"ua_session_reply MESSAGE 405 | ua_session_reply MESSAGE 405 +body "
                            "+content_type +extra_headers"}},
        Scenario{.file = "g3_overlapping_requests", .ends = {"caller_hung_up"}, .digits = "1"},
        Scenario{.file = "g_dtmf_info", .ends = {"caller_hung_up"}, .digits = "5#"},
        Scenario{.file = "h2_call_without_subscriber", .ends = {}, .parties = ""},
        Scenario{.file = "h3_two_subscribers", .ends = {"caller_hung_up"}},
        Scenario{.file = "h_subscription_expiry_renewal", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "i2_mi_wrong_state",
            .ends = {"caller_hung_up"},
            .differences =
                {"ua_session_update INFO +body +content_type [?] | -",
                 "ua_session_reply INFO 200 | -",
                 "ua_session_reply INVITE 200 +body [18000,0,101 sendrecv v1 id4711 ptime20] | -",
                 "ua_session_reply INVITE 486 | -",
                 "ua_session_reply INVITE 200 +body [18000,0,101 sendrecv v1 id4711 ptime20] | -",
                 "ua_session_reply INFO 200 | -",
                 "ua_session_reply BYE 200 | -"}},
        Scenario{.file = "i3_content_type_forms", .ends = {"we_hung_up"}},
        Scenario{.file = "i4_content_type_bare_value", .ends = {"we_hung_up"}},
        Scenario{.file = "j_opensips_restart", .ends = {"we_hung_up", "caller_hung_up"}},
        Scenario{.file = "k2_unanswered_timeout_t3", .ends = {"up"}},
        Scenario{.file = "k3_reply_after_session_timeout", .ends = {"we_hung_up"}},
        Scenario{.file = "k_session_timeout_t3", .ends = {"we_hung_up"}},
        Scenario{.file = "l_caller_never_acks", .ends = {"we_hung_up"}},
        Scenario{
            .file = "o2_redirect_302",
            .ends = {"we_hung_up"},
            .differences = {"ua_session_reply INVITE 302 +body +content_type +extra_headers | "
                            "ua_session_reply INVITE 302"}},
        Scenario{.file = "o3_reply_headers_forms", .ends = {"we_hung_up"}},
        Scenario{
            .file = "o4_bye_never_answered",
            .ends = {"we_hung_up"},
            .differences = {"ua_session_update BYE | ua_session_terminate"}},
        Scenario{
            .file = "o_bye_by_ua_session_update",
            .ends = {"we_hung_up"},
            .differences = {"ua_session_update BYE +body +extra_headers | ua_session_terminate"}},
        Scenario{.file = "p2_too_big_event", .ends = {}, .parties = ""},
        Scenario{
            .file = "p3_too_big_indialog_event",
            .ends = {"caller_hung_up"},
            .differences = {"ua_session_terminate | -"}},
        Scenario{.file = "p4_big_mi_requests", .ends = {}, .parties = ""},
        Scenario{.file = "p5_ua_session_list_too_long", .ends = {}, .parties = ""},
        Scenario{.file = "p6_non_utf8_and_nul", .ends = {"we_hung_up"}},
        Scenario{.file = "p_big_event_40k", .ends = {"we_hung_up"}},
        Scenario{.file = "r2_rtp_dtmf_rfc4733", .ends = {"caller_hung_up"}},
        Scenario{
            .file = "r_rtp_ulaw",
            .ends = {"caller_hung_up"},
            .differences =
                {"ua_session_reply INVITE 200 +body [18000,0,101 sendrecv v1 id4711 ptime20] | "
                 "ua_session_reply INVITE 200 +body [18000,0 sendrecv v1 id4711 ptime20]"}}
    ),
    [](const auto& info) { return std::string{info.param.file}; }
);

TEST(OpensipsCaptures, EveryDatagramOfOpensipsIsUnderstood) {
    std::size_t files = 0;
    std::size_t events = 0;
    std::size_t responses = 0;
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{OAVC_TEST_DATA "/opensips"}) {
        if (entry.path().extension() == ".json") names.insert(entry.path().stem().string());
    }
    for (const auto& name : names) {
        ++files;
        for (const auto& datagram : load_opensips_capture(name)) {
            const auto where = name + " datagram " + std::to_string(datagram.number);
            if (datagram.channel == "event") {
                ++events;
                const auto event = parse_event(as_bytes(datagram.payload));
                ASSERT_TRUE(event.has_value()) << where;
                EXPECT_TRUE(event->key.starts_with("B2B.")) << where;
                EXPECT_FALSE(event->method.empty()) << where;
                if (datagram.label.starts_with("event ") &&
                    datagram.label.find('(') == std::string::npos) {
                    const auto words = std::string{to_string(event->type)} + ' ' + event->method;
                    EXPECT_TRUE(datagram.label.starts_with("event " + words)) << where;
                }
            } else if (datagram.channel == "mi" && datagram.direction == "opensips->connector") {
                ++responses;
                const auto response = parse_mi_response(as_bytes(datagram.payload));
                ASSERT_TRUE(response.has_value()) << where;
                const bool is_error = datagram.payload.find("\"error\"") != std::string::npos ||
                                      datagram.payload[0] != '{';
                EXPECT_EQ(response->ok, !is_error) << where;
                EXPECT_EQ(
                    response->id.has_value(),
                    datagram.payload.find("\"id\":") != std::string::npos &&
                        datagram.payload.find("\"id\":null") == std::string::npos &&
                        datagram.payload.find("\"id\":\"") == std::string::npos
                ) << where;
            }
        }
    }
    EXPECT_EQ(files, 68u);
    EXPECT_GT(events, 120u);
    EXPECT_GT(responses, 200u);
}

}  // namespace
}  // namespace oavc::transports::opensips
