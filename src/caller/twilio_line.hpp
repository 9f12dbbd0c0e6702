#pragma once

#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "caller/line.hpp"
#include "caller/twilio_peer.hpp"
#include "net/websocket.hpp"

#include <memory>
#include <string>

namespace oavc::caller {

/// A call that Twilio brings to the connector: webhook, TwiML, media stream. Thread: its shard.
class TwilioLine final : public Line {
public:
    struct Config {
        /// Where the connector is reached: scheme, host and port, without a path.
        std::string base_url{"http://127.0.0.1:8088"};
        /// What it believes its address to be, for signatures; empty: base_url.
        std::string public_url;
        std::string path{"/"};  ///< of the voice webhook
        std::string ca_file;    ///< of https: PEM to trust instead of the system's store
        std::string account_sid;
        std::string auth_token;  ///< secret; empty: nothing is signed
        std::string from{"+15550100"};
        std::string to{"+15550199"};
        Clock::duration limit{10s};  ///< of the webhook and of the handshake
    };

    TwilioLine(async::Shard& shard, Config config);
    ~TwilioLine() override;

    const std::string& native_id() const noexcept override { return peer_.identity().call_sid; }
    asio::awaitable<Dialled> dial(Ear& ear) override;
    void send(TimePoint now, media::Samples frame) noexcept override;
    void advance(TimePoint now) noexcept override;
    void press(char digit) noexcept override;
    asio::awaitable<void> hang_up() override;
    LineStats stats() const noexcept override;

    const TwilioPeer::Stats& peer_stats() const noexcept { return peer_.stats(); }

private:
    asio::awaitable<void> read_messages();
    void flush();
    void hand_over();

    // Given to us.
    async::Shard& shard_;
    const Config config_;
    Ear* ear_{nullptr};
    // Owned.
    TwilioPeer peer_;
    std::unique_ptr<net::WebSocket> socket_;
    async::TaskGroup tasks_;
    // State.
    bool over_{false};
};

/// The address to connect to for a stream URL that names the connector by its public address:
/// the same path at `base_url`. A URL elsewhere stays as it is.
std::string stream_target(
    const std::string& stream_url, const std::string& public_url, const std::string& base_url
);

}  // namespace oavc::caller
