#pragma once

// A call without a carrier. The test moves time: it delivers frames, runs ticks and reads what was
// sent. Everything happens on the test's thread and on the test's clock.

#include "async/mailbox.hpp"
#include "async/shard.hpp"
#include "transports/errors.hpp"
#include "transports/transport.hpp"

#include <boost/asio/error.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::transports {

/// What the test keeps hold of: the transport itself belongs to the Session and goes with it.
struct FakeCall {
    struct Sent {
        TimePoint at;
        std::vector<media::Sample> samples;
    };

    // What the test sets.
    CallInfo info{
        .via = "fake",
        .native_id = "native-1",
        .from = "caller",
        .to = "100",
        .parameters = {},
        .agent = {},
        .id = {}};
    media::AudioFormat format;
    std::optional<error_code> fail_connect;
    bool keep_ringing{false};  ///< nobody answers until the call is hung up
    std::optional<error_code> fail_transfer;
    CallControls controls{
        .transfer = true, .attended_transfer = true, .hold = true, .send_digits = true};
    std::optional<error_code> fail_digits;
    bool keep_control{false};   ///< transfers, holds and keys wait until `release_control`
    bool never_confirm{false};  ///< the carrier never says that it has played what it has
    /// Frames that the carrier takes ahead of the caller's ear (Twilio); 0: one per tick (RTP).
    std::size_t carrier_buffer{0};
    MediaStats stats;

    // What happened.
    bool connected{false};
    int rejected{0};  ///< status; 0: not rejected
    bool hung_up{false};
    std::string transferred_to;
    milliseconds attended_patience{0};  ///< of a transfer that asked its target first
    std::string pressed;                ///< keys that we pressed
    std::vector<bool> holds;
    std::vector<Sent> sent;            ///< every frame that send_audio took, in order
    std::vector<media::Sample> heard;  ///< what the caller heard, tick by tick (silence included)
    std::size_t clears{0};
    std::size_t open_transports{0};

    // State of the running call.
    MediaSink* sink{nullptr};
    TimePoint now{};
    std::size_t room{0};
    std::vector<std::vector<media::Sample>> buffered;  ///< lies at the carrier
    std::shared_ptr<async::Mailbox<MediaEnd>> end;
    std::shared_ptr<async::Mailbox<std::string>> control;

    /// The caller hangs up, or whatever `reason` says.
    void finish(EndReason reason) {
        if (end) end->try_push({reason, {}});
    }

    void release_control() {
        if (control) control->try_push("go on");
    }

    void frame(media::Samples samples) {
        if (sink != nullptr) sink->on_frame({samples, format.rate}, now, false);
    }

    /// One frame time passes on the wire.
    void tick() {
        if (sink == nullptr) return;
        room = carrier_buffer == 0 ? 1 : carrier_buffer - std::min(buffered.size(), carrier_buffer);
        sink->on_tick(now);
        std::vector<media::Sample> playing(format.samples_per_frame(), 0);
        if (!buffered.empty()) {
            playing = std::move(buffered.front());
            buffered.erase(buffered.begin());
        }
        heard.insert(heard.end(), playing.begin(), playing.end());
    }
};

class FakeTransport final : public Transport {
public:
    FakeTransport(FakeCall& call, async::Shard& shard) : call_{call} {
        ++call_.open_transports;
        call_.end = std::make_shared<async::Mailbox<MediaEnd>>(shard.executor(), 4);
        call_.control = std::make_shared<async::Mailbox<std::string>>(shard.executor(), 4);
    }
    ~FakeTransport() override { --call_.open_transports; }

    const CallInfo& info() const noexcept override { return call_.info; }
    asio::awaitable<Result<void>> connect() override {
        if (call_.fail_connect) co_return *call_.fail_connect;
        if (call_.keep_ringing) {
            const auto end = co_await call_.end->pop();
            co_return end ? make_error_code(CallControlErrc::gone) : end.error();
        }
        call_.connected = true;
        co_return Result<void>{};
    }
    asio::awaitable<void> reject(int status, std::string) override {
        call_.rejected = status;
        co_return;
    }
    const media::AudioFormat& format() const noexcept override { return call_.format; }
    asio::awaitable<MediaEnd> receive_audio(MediaSink& sink) override {
        call_.sink = &sink;
        auto end = co_await call_.end->pop();
        call_.sink = nullptr;
        if (!end) co_return MediaEnd{EndReason::we_hung_up, "cancelled"};
        co_return std::move(*end);
    }
    std::size_t send_room() const noexcept override { return call_.room; }
    bool send_audio(media::FrameView frame) noexcept override {
        if (call_.room == 0) return false;
        --call_.room;
        std::vector<media::Sample> samples(frame.samples.begin(), frame.samples.end());
        call_.sent.push_back({call_.now, samples});
        call_.buffered.push_back(std::move(samples));
        return true;
    }
    /// The frame that is playing has been heard, as on RTP what has left has.
    milliseconds unheard() const noexcept override {
        if (call_.never_confirm) return frame_time;
        return frame_time * (call_.carrier_buffer == 0 ? 0 : call_.buffered.size());
    }
    milliseconds clear_audio() noexcept override {
        ++call_.clears;
        const auto dropped = unheard();
        if (call_.carrier_buffer != 0) call_.buffered.clear();
        return dropped;
    }
    asio::awaitable<void> hang_up() override {
        call_.hung_up = true;
        call_.finish(EndReason::we_hung_up);
        co_return;
    }
    CallControls controls() const noexcept override { return call_.controls; }
    asio::awaitable<Result<void>> transfer(std::string target) override {
        if (!co_await permitted()) co_return error_code{asio::error::operation_aborted};
        if (call_.fail_transfer) co_return *call_.fail_transfer;
        call_.transferred_to = std::move(target);
        call_.finish(EndReason::transferred);
        co_return Result<void>{};
    }
    asio::awaitable<Result<void>> transfer_attended(std::string target, milliseconds patience)
        override {
        call_.attended_patience = patience;
        const auto done = co_await transfer(std::move(target));
        co_return done;
    }
    asio::awaitable<Result<void>> hold(bool held) override {
        if (!co_await permitted()) co_return error_code{asio::error::operation_aborted};
        call_.holds.push_back(held);
        co_return Result<void>{};
    }
    asio::awaitable<Result<void>> send_digits(std::string digits) override {
        if (!co_await permitted()) co_return error_code{asio::error::operation_aborted};
        if (call_.fail_digits) co_return *call_.fail_digits;
        call_.pressed += digits;
        co_return Result<void>{};
    }
    MediaStats stats() const noexcept override { return call_.stats; }

private:
    asio::awaitable<bool> permitted() {
        if (!call_.keep_control) co_return true;
        const auto permit = co_await call_.control->pop();
        co_return permit.has_value();
    }

    FakeCall& call_;
};

}  // namespace oavc::transports
