#pragma once

#include "async/shard.hpp"
#include "async/signal.hpp"
#include "caller/fake_opensips.hpp"
#include "caller/line.hpp"
#include "caller/measure.hpp"
#include "media/audio_codec.hpp"
#include "media/codec.hpp"
#include "media/rtp_sender.hpp"
#include "net/udp.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace oavc::caller {

class OpenSipsLine;

/// A FakeOpenSips on real sockets: MI on its configured port, events from a port of their own. One
/// for all calls of a run. Thread: its shard.
class OpenSipsBox {
public:
    struct Config {
        std::string mi_ip{"127.0.0.1"};
        std::uint16_t mi_port{8087};
        std::string rtp_ip{"127.0.0.1"};  ///< of the caller's phone
        std::string from{"+15550100"};
        std::string to{"demo"};
        Clock::duration answer_limit{10s};
    };

    /// Throws std::runtime_error that says what to do when the MI port is taken.
    OpenSipsBox(async::Shard& shard, Config config);
    ~OpenSipsBox();
    OpenSipsBox(const OpenSipsBox&) = delete;
    OpenSipsBox& operator=(const OpenSipsBox&) = delete;

    std::uint16_t mi_port() const noexcept { return mi_->local_endpoint().port(); }

    /// True once the connector has subscribed; false after `limit`.
    asio::awaitable<bool> wait_for_subscriber(Clock::duration limit);

    /// Throws std::runtime_error when no UDP port is left.
    std::unique_ptr<OpenSipsLine> make_line();

private:
    friend class OpenSipsLine;

    void on_mi(std::span<const std::byte> datagram, const net::UdpEndpoint& from);
    void flush();

    // Given to us.
    async::Shard& shard_;
    const Config config_;
    // Owned.
    FakeOpenSips opensips_;
    std::unique_ptr<net::UdpSocket> mi_;
    std::unique_ptr<net::UdpSocket> events_;
    async::Signal subscribed_;
    // State. Lines register themselves while their call lives.
    std::map<std::string, OpenSipsLine*> lines_;
};

/// A call that OpenSIPS brings to the connector, with the caller's RTP.
class OpenSipsLine final : public Line {
public:
    OpenSipsLine(OpenSipsBox& box, std::unique_ptr<net::UdpSocket> rtp);
    ~OpenSipsLine() override;

    const std::string& native_id() const noexcept override { return key_; }
    asio::awaitable<Dialled> dial(Ear& ear) override;
    void send(TimePoint now, media::Samples frame) noexcept override;
    void advance(TimePoint now) noexcept override;
    void press(char digit) noexcept override;
    asio::awaitable<void> hang_up() override;
    LineStats stats() const noexcept override;

    /// Re-INVITE: on hold (sendonly) or back.
    void hold(bool held);

private:
    friend class OpenSipsBox;

    void on_outcome(const FakeOpenSips::Outcome& outcome);
    void on_rtp(std::span<const std::byte> datagram, const net::UdpEndpoint& from);

    // Given to us.
    OpenSipsBox& box_;
    Ear* ear_{nullptr};
    // Owned.
    std::unique_ptr<net::UdpSocket> rtp_;
    async::Signal changed_;
    // State.
    std::string key_;
    std::string digits_;  ///< still to be pressed
    TimePoint invited_{};
    std::optional<Dialled> dialled_;
    bool over_{false};
    std::uint32_t sdp_version_{1};
    net::UdpEndpoint remote_;
    std::optional<net::UdpEndpoint> heard_from_;  ///< the first packet's source
    media::Codec codec_{media::Codec::pcmu};
    media::AudioDecoder decoder_;
    std::optional<media::RtpSender> sender_;
    RtpMeter meter_;
};

}  // namespace oavc::caller
