#pragma once

#include "sip/message.hpp"
#include "sip/sdp.hpp"
#include "support/fake_opensips.hpp"
#include "support/listener_rig.hpp"
#include "transports/sip/sip_listener.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::transports::sip_ua {

/// A phone, or a proxy, that writes its messages itself.
struct Phone : test::RtpPhone {
    test::UdpPeer signalling;
    std::string tag{"phone"};
    std::string remote_tag;
    unsigned branch{0};
    std::uint32_t cseq{0};

    std::string sdp() const {
        return "v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
               "m=audio " +
               std::to_string(rtp.port()) +
               " RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(signalling.port()); }

    sip::Message request(const std::string& method, const std::string& protocol = "UDP") {
        sip::Message out;
        out.method = method;
        out.uri = "sip:bot@127.0.0.1";
        if (method != "ACK") ++cseq;
        out.add(
            "Via",
            "SIP/2.0/" + protocol + " " + address() + ";branch=z9hG4bK" + std::to_string(++branch)
        );
        out.add("Max-Forwards", "70");
        out.add("From", "<sip:caller@" + address() + ">;tag=" + tag);
        out.add("To", "<sip:bot@127.0.0.1>" + (remote_tag.empty() ? "" : ";tag=" + remote_tag));
        out.add("Call-ID", "call-" + std::to_string(signalling.port()));
        out.add("CSeq", std::to_string(cseq) + " " + method);
        out.add("Contact", "<sip:caller@" + address() + ">");
        return out;
    }
    sip::Message invite(const std::string& protocol = "UDP") {
        auto out = request("INVITE", protocol);
        out.set_body("application/sdp", sdp());
        return out;
    }
    sip::Message reply(const sip::Message& request, int status, bool with_sdp = false) const {
        auto out = sip::make_response(request, status, tag);
        out.add("Contact", "<sip:callee@" + address() + ">");
        if (with_sdp) out.set_body("application/sdp", sdp());
        return out;
    }
    void say(const sip::Message& message, std::uint16_t port) const {
        signalling.send(sip::write_message(message), port);
    }
    /// The next message; repetitions and 100 are passed over unless asked for.
    std::optional<sip::Message> hear(
        std::string_view method_or_status, std::chrono::milliseconds limit = 10s
    ) const {
        while (const auto got = signalling.receive(limit)) {
            auto parsed = sip::parse_message(got->datagram);
            if (!parsed) continue;
            const auto& message = parsed->message;
            const auto what =
                message.is_request() ? message.method : std::to_string(message.status);
            if (what == method_or_status) return std::move(parsed->message);
        }
        return std::nullopt;
    }
    static std::uint16_t media_port(const sip::Message& message) {
        const auto sdp = sip::parse_sdp(message.body);
        return sdp && !sdp->media.empty() ? sdp->media[0].port : std::uint16_t{0};
    }
};

class SipListenerTest : public test::ListenerTest {
protected:
    SipListenerTest() {
        config.bind_ip = "127.0.0.1";
        config.port = 0;
    }
    ~SipListenerTest() override {
        if (listener) listener->stop();
        listener.reset();
    }
    void start() {
        open_ports();
        listener = std::make_unique<SipListener>(
            config, rtp_config, *ports, shards, pipeline, log::Logger{}
        );
        listener->start();
        port = listener->udp_endpoint().port();
    }
    /// An answered call; returns our RTP port.
    std::uint16_t call_up() {
        phone.say(phone.invite(), port);
        const auto ok = phone.hear("200");
        EXPECT_TRUE(ok);
        if (!ok) return 0;
        phone.remote_tag = ok->to().tag;
        phone.say(phone.request("ACK"), port);
        return Phone::media_port(*ok);
    }
    Config config;
    Phone phone;
    std::unique_ptr<SipListener> listener;
    std::uint16_t port{0};
};

}  // namespace oavc::transports::sip_ua
