#pragma once

#include "sip/sdp.hpp"
#include "support/fake_opensips.hpp"
#include "support/listener_rig.hpp"
#include "transports/opensips/opensips_listener.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace oavc::transports::opensips {

/// The caller's phone; its signalling is OpenSIPS's business.
struct Phone : test::RtpPhone {
    std::string sdp(const std::string& more = "", int port = 0, int version = 1) const {
        return "v=0\r\no=caller 100 " + std::to_string(version) +
               " IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio " +
               std::to_string(port == 0 ? rtp.port() : port) +
               " RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n" + more;
    }
};

inline std::uint16_t answered_port(const test::FakeOpensips::Request& request) {
    const auto sdp = sip::parse_sdp(request.text("body"));
    return sdp && !sdp->media.empty() ? sdp->media[0].port : std::uint16_t{0};
}

class OpensipsListenerTest : public test::ListenerTest {
protected:
    OpensipsListenerTest() {
        config.event_ip = "127.0.0.1";
        config.event_port = 0;
        config.mi_port = opensips.mi_port();
        config.mi_timeout = 200ms;
        config.subscribe_expire = std::chrono::seconds{1};  // a round every 333 ms
        config.subscribe_retry = 50ms;
    }
    ~OpensipsListenerTest() override {
        if (listener) listener->stop();
        listener.reset();
    }

    void start() {
        open_ports();
        listener = std::make_unique<OpensipsListener>(
            config, rtp_config, *ports, shards, pipeline, log::Logger{}
        );
        listener->start();
        ASSERT_TRUE(opensips.wait_for_subscriber());
    }

    /// An answered call with audio in both directions.
    struct Up {
        std::string key;
        std::uint16_t port;  ///< our RTP
        std::shared_ptr<Pipeline::Call> call;
    };
    Up call_up(std::size_t index = 0) {
        Up up;
        up.key = opensips.invite(phone.sdp());
        const auto reply = opensips.wait_for("ua_session_reply INVITE 200", up.key);
        EXPECT_TRUE(reply.has_value());
        if (!reply) return up;
        up.port = answered_port(*reply);
        up.call = pipeline.wait_for_call(index);
        phone.speak(up.port);
        EXPECT_TRUE(phone.hears(true));
        return up;
    }
    template <class Condition>
    bool speak_until(const Up& up, Condition condition) {
        return phone.speak_until(up.port, condition);
    }

    test::FakeOpensips opensips;
    Config config;
    Phone phone;
    std::unique_ptr<OpensipsListener> listener;
};

}  // namespace oavc::transports::opensips
