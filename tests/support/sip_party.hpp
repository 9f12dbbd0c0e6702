#pragma once

// The other side of a sans-I/O SIP user agent, on a virtual clock: writes requests and responses
// as text, reads what the agent sent and what it reported.
//
//     SipParty party;
//     party.say(party.request("INVITE").with_sdp(sdp));
//     EXPECT_EQ(party.heard(100).status, 100);

#include "sip/text.hpp"
#include "sip/user_agent.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace oavc::sip {

inline const std::string phone_sdp =
    "v=0\r\no=phone 100 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

inline std::string phone_sdp_with(std::string_view from, std::string_view to) {
    auto out = phone_sdp;
    if (const auto at = out.find(from); at != std::string::npos) out.replace(at, from.size(), to);
    return out;
}

class SipParty {
public:
    explicit SipParty(UserAgent::Settings settings = {}, Protocol protocol = Protocol::udp)
        : agent{std::move(settings), [](const Target&) { return std::string{"127.0.0.1:8089"}; }} {
        here.protocol = protocol;
        here.address = "127.0.0.1";
        here.port = 5070;
        if (is_reliable(protocol)) here.connection = 7;
    }

    /// A request of ours in its dialog (or none yet). CSeq counts on, but for ACK and CANCEL.
    Message request(std::string_view method) {
        Message out;
        out.method = method;
        out.uri = remote_target;
        const bool same = method == "ACK" || method == "CANCEL";
        if (!same) branch = "z9hG4bK-" + std::to_string(++branches);
        if (method == "ACK") branch = "z9hG4bK-ack" + std::to_string(++branches);
        if (!same) ++cseq;
        out.add(
            "Via",
            std::string{"SIP/2.0/"}.append(to_string(here.protocol)) +
                " 127.0.0.1:5070;branch=" + (method == "CANCEL" ? invite_branch : branch)
        );
        if (method == "INVITE") invite_branch = branch;
        out.add("Max-Forwards", "70");
        out.add("From", "<sip:caller@127.0.0.1:5070>;tag=" + tag);
        out.add(
            "To",
            "<sip:bot@127.0.0.1>" +
                (method == "CANCEL" || remote_tag.empty() ? "" : ";tag=" + remote_tag)
        );
        out.add("Call-ID", call_id);
        out.add("CSeq", std::to_string(cseq).append(" ").append(method));
        out.add("Contact", "<sip:caller@127.0.0.1:5070>");
        out.add("Allow", std::string{allow});
        return out;
    }
    Message invite(std::string body = phone_sdp) {
        auto out = request("INVITE");
        if (!body.empty()) out.set_body("application/sdp", std::move(body));
        return out;
    }
    /// ACK of a response ≥ 300: it has the INVITE's branch.
    Message ack_of_refusal() {
        auto out = request("ACK");
        out.set("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=" + invite_branch);
        return out;
    }
    /// A response to a request that the agent sent.
    Message response(const Message& to, int status, std::string body = {}) {
        auto out = make_response(to, status, tag);
        out.add("Contact", "<sip:caller@127.0.0.1:5070>");
        if (!body.empty()) out.set_body("application/sdp", std::move(body));
        return out;
    }

    void say(const Message& message) { say(write_message(message)); }
    void say(std::string_view bytes) {
        agent.on_bytes(bytes, here, now);
        collect();
    }
    void pass(Clock::duration time) {
        const auto until = now + time;
        while (true) {
            const auto next = agent.next_deadline();
            if (!next || *next > until) break;
            now = std::max(now, *next);
            agent.on_time(now);
            collect();
        }
        now = until;
    }

    /// Takes everything the agent sent so far.
    std::vector<Message> heard() {
        collect();
        return std::exchange(sent, {});
    }
    /// Takes the next message that the agent sent; a default one when there is none.
    Message next() {
        collect();
        if (sent.empty()) {
            ADD_FAILURE() << "the agent said nothing";
            return {};
        }
        auto out = sent.front();
        sent.erase(sent.begin());
        if (out.status >= 200 && out.status < 300 && out.cseq().method == "INVITE") {
            remote_tag = out.to().tag;
            remote_target = parse_name_address(out.get("Contact"))->uri.text;
        }
        return out;
    }
    /// Takes the oldest report of that kind; fails when there is none.
    template <class T>
    std::optional<T> reported() {
        collect();
        for (auto at = events.begin(); at != events.end(); ++at) {
            if (auto* found = std::get_if<T>(&at->second)) {
                auto out = std::move(*found);
                events.erase(at);
                return out;
            }
        }
        return std::nullopt;
    }
    Call& call() { return *agent.call(number); }
    LocalMedia media() const { return {"127.0.0.1", 35000, 4711, 1}; }

    /// INVITE, 100, and what the agent's user said.
    void answered_call(std::string body = phone_sdp) {
        say(invite(std::move(body)));
        EXPECT_EQ(next().status, 100);
        EXPECT_TRUE(call().answer(media(), now));
        agent.touched(number, now);
        EXPECT_EQ(next().status, 200);
    }
    void established_call() {
        answered_call();
        say(request("ACK"));
        EXPECT_TRUE(reported<Call::Answered>());
        EXPECT_TRUE(heard().empty());
    }
    void collect() {
        while (auto action = agent.next_action()) {
            if (auto* send = std::get_if<UserAgent::Send>(&*action)) {
                auto parsed = parse_message(send->bytes);
                if (!parsed) {
                    ADD_FAILURE() << parsed.error().what << "\n" << send->bytes;
                    continue;
                }
                EXPECT_FALSE(parsed->flaw) << parsed->flaw->what << "\n" << send->bytes;
                sent.push_back(std::move(parsed->message));
                sent_to.push_back(send->to);
            } else if (const auto* in = std::get_if<UserAgent::Incoming>(&*action)) {
                number = in->number;
                ++incoming;
            } else if (auto* event = std::get_if<UserAgent::Event>(&*action)) {
                events.emplace_back(event->number, std::move(event->action));
            } else if (const auto* over = std::get_if<UserAgent::Gone>(&*action)) {
                gone.push_back(over->number);
            }
        }
    }

    UserAgent agent;
    TimePoint now{TimePoint{} + std::chrono::hours{1}};
    Target here;
    std::string call_id{"1-1472@127.0.0.1"};
    std::string tag{"phone1"};
    std::string remote_tag;
    std::string remote_target{"sip:bot@127.0.0.1:8089"};
    std::string allow{"INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, REFER, NOTIFY, UPDATE"};
    std::string branch;
    std::string invite_branch;
    unsigned branches{0};
    std::uint32_t cseq{0};
    std::uint64_t number{0};
    int incoming{0};
    std::vector<Message> sent;
    std::vector<Target> sent_to;
    std::deque<std::pair<std::uint64_t, Call::Action>> events;
    std::vector<std::uint64_t> gone;
};

}  // namespace oavc::sip
