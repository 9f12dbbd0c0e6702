#pragma once

#include "async/shard.hpp"
#include "async/signal.hpp"
#include "caller/line.hpp"
#include "caller/rtp_phone.hpp"
#include "net/udp.hpp"
#include "sip/user_agent.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace oavc::caller {

/// A call that a SIP phone places to the connector, over UDP. Its user agent is the server's own
/// (src/sip): what that gets wrong on both sides is not seen here, but by `oavc conformance`.
/// Thread: its shard.
class SipLine final : public Line {
public:
    struct Config {
        std::string server_ip{"127.0.0.1"};
        std::uint16_t server_port{8089};
        std::string local_ip;  ///< of signalling and RTP; empty: the one that routes to the server
        std::string from{"+15550100"};
        std::string to{"demo"};
        Clock::duration answer_limit{10s};
    };

    /// Throws std::runtime_error when an address is none or no UDP port is left.
    SipLine(async::Shard& shard, Config config);
    ~SipLine() override;

    /// The Call-ID, once dialled.
    const std::string& native_id() const noexcept override { return call_id_; }
    asio::awaitable<Dialled> dial(Ear& ear) override;
    void send(TimePoint now, media::Samples frame) noexcept override;
    void advance(TimePoint now) noexcept override;
    void press(char digit) noexcept override;
    asio::awaitable<void> hang_up() override;
    LineStats stats() const noexcept override { return phone_.stats(); }

private:
    std::string local_address() const;
    void collect();
    void on_call(sip::Call::Action action);
    void on_answered(const sip::NegotiatedAudio& audio);
    void on_over(const sip::Call::Over& over);
    bool begin_media(const sip::NegotiatedAudio& audio);

    // Given to us.
    const Config config_;
    Ear* ear_{nullptr};
    // Owned.
    std::unique_ptr<net::UdpSocket> socket_;
    RtpPhone phone_;
    sip::UserAgent agent_;
    async::Signal changed_;
    // State.
    std::uint64_t number_{0};
    std::string call_id_;
    TimePoint invited_{};
    std::optional<Dialled> dialled_;
    bool over_{false};
};

}  // namespace oavc::caller
