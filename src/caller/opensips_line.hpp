#pragma once

#include "async/shard.hpp"
#include "async/signal.hpp"
#include "caller/fake_opensips.hpp"
#include "caller/line.hpp"
#include "caller/phone_sdp.hpp"
#include "caller/rtp_phone.hpp"
#include "net/udp.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
        Clock::duration call_limit{30s};  ///< for a callee: until the connector calls
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
    /// The phone of somebody whom the connector calls (it rings by itself): its `dial` waits for a
    /// call and takes it.
    std::unique_ptr<OpenSipsLine> make_callee();

    /// Sessions that OpenSIPS still has.
    std::size_t sessions() const noexcept { return opensips_.sessions(); }
    /// Calls of the connector's that it has taken back before they were answered.
    std::size_t cancelled() const noexcept { return cancelled_; }

private:
    friend class OpenSipsLine;

    /// The oldest call of the connector's that nobody has taken; nothing within `limit`.
    asio::awaitable<std::optional<FakeOpenSips::Outcome>> next_call(Clock::duration limit);
    void on_mi(std::span<const std::byte> datagram, const net::UdpEndpoint& from);
    void flush();
    void on_outcome(FakeOpenSips::Outcome outcome);

    // Given to us.
    async::Shard& shard_;
    const Config config_;
    // Owned.
    FakeOpenSips opensips_;
    std::unique_ptr<net::UdpSocket> mi_;
    std::unique_ptr<net::UdpSocket> events_;
    async::Signal subscribed_;
    async::Signal called_;
    // State. Lines register themselves while their call lives.
    std::map<std::string, OpenSipsLine*> lines_;
    std::deque<FakeOpenSips::Outcome> calls_;  ///< of the connector's, not yet taken
    std::size_t cancelled_{0};
};

/// A call that OpenSIPS brings to the connector, or the connector to OpenSIPS, with the phone's
/// RTP.
class OpenSipsLine final : public Line {
public:
    enum class Part { caller, callee };
    OpenSipsLine(OpenSipsBox& box, std::unique_ptr<net::UdpSocket> rtp, Part part);
    ~OpenSipsLine() override;

    const std::string& native_id() const noexcept override { return key_; }
    asio::awaitable<Dialled> dial(Ear& ear) override;
    void send(TimePoint now, media::Samples frame) noexcept override;
    void advance(TimePoint now) noexcept override;
    void press(char digit) noexcept override;
    asio::awaitable<void> hang_up() override;
    LineStats stats() const noexcept override { return phone_.stats(); }

    /// Re-INVITE: on hold (sendonly) or back.
    void hold(bool held);

    // What the connector did to our phone, on the wire.
    const std::vector<std::string>& holds() const noexcept { return holds_; }  ///< its SDPs
    const std::string& keys() const noexcept { return keys_; }                 ///< by INFO
    const std::string& transferred_to() const noexcept { return transferred_to_; }

private:
    friend class OpenSipsBox;

    asio::awaitable<Dialled> await_call();
    Dialled begin_media(const SdpAnswer& theirs);
    void on_outcome(const FakeOpenSips::Outcome& outcome);

    // Given to us.
    OpenSipsBox& box_;
    const Part part_;
    Ear* ear_{nullptr};
    // Owned.
    RtpPhone phone_;
    async::Signal changed_;
    // State.
    std::string key_;
    std::string digits_;  ///< still to be pressed
    TimePoint invited_{};
    std::optional<Dialled> dialled_;
    bool over_{false};
    std::uint32_t sdp_version_{1};
    std::vector<std::string> holds_;
    std::string keys_;
    std::string transferred_to_;
};

}  // namespace oavc::caller
