#pragma once

#include "caller/bench/carrier.hpp"
#include "caller/bench/playback.hpp"
#include "caller/bench/twilio_messages.hpp"
#include "caller/bench/ws_frames.hpp"
#include "caller/twilio_peer.hpp"

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::bench {

/// A crowd that calls through Twilio: for each call a signed webhook, then a media stream over a
/// WebSocket, with a playback buffer, marks and `clear`. A call's socket is all it has; what they
/// all send and receive passes through memory that they share. On this machine every phone has an
/// address of its own below 127.1.0.0/16, as the callers of other crowds: ports do not run out.
class TwilioCrowd final : public Carrier {
public:
    struct Config {
        std::string url;          ///< of the server: "http://127.0.0.1:8088"
        std::string auth_token;   ///< secret
        std::string to{"bench"};  ///< the number dialled
        milliseconds answer_limit{10'000};
    };

    /// Throws std::runtime_error that says what to do.
    TwilioCrowd(Config config, std::size_t phones);
    ~TwilioCrowd() override;
    TwilioCrowd(const TwilioCrowd&) = delete;
    TwilioCrowd& operator=(const TwilioCrowd&) = delete;

    bool ready(TimePoint) override { return true; }
    int wake_fd() const noexcept override { return signalling_; }
    void poll(TimePoint now, CrowdEvents& events) override;
    void place(CallIndex call, TimePoint now) override;
    void hang_up(CallIndex call, TimePoint now) override;
    void send(CallIndex call, FrameBytes ulaw, TimePoint now) noexcept override;
    void flush(TimePoint) noexcept override {}
    Stats stats() const noexcept override { return stats_; }

private:
    enum class State : std::uint8_t { idle, webhook, handshake, open };

    struct Phone {
        State state{State::idle};
        bool waits_to_write{false};
        int socket{-1};
        std::uint32_t serial{0};  ///< of its calls: events of the last one's socket are not ours
        TwilioIds ids{};
        TwilioCounter counter{};
        TimePoint started{};  ///< of the stream
        WsCutter cutter{};
        Playback playback{};
        std::string unsent{};    ///< what the kernel did not take yet
        std::string received{};  ///< of an HTTP reply
        std::string key{};       ///< Sec-WebSocket-Key
        StreamOrder order{};
    };
    struct Deadline {
        TimePoint at;
        CallIndex call;
        std::uint32_t serial;
    };
    /// To be told by the next poll.
    struct Trouble {
        CallIndex call;
        std::uint32_t serial;
        std::string why;
    };
    /// We have said all; what the server still says is not read.
    struct Leaving {
        TimePoint until;
        int socket;
    };

    bool connect(CallIndex call, const sockaddr_in& to, std::string request);
    void on_event(std::uint64_t id, TimePoint now, CrowdEvents& events);
    void on_bytes(CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events);
    void on_webhook(CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events);
    void on_handshake(CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events);
    void on_stream(CallIndex call, std::string_view bytes, TimePoint now, CrowdEvents& events);
    void on_message(CallIndex call, std::string_view text, TimePoint now, CrowdEvents& events);
    void play(CallIndex call, TimePoint now, CrowdEvents& events);
    bool say(CallIndex call, WsOp op, std::size_t size) noexcept;
    bool push(CallIndex call, std::string_view bytes) noexcept;
    void watch(CallIndex call, bool to_write) noexcept;
    char* payload() noexcept { return outgoing_.data() + ws_head_room; }
    std::uint32_t mask() noexcept;
    void over(CallIndex call, TimePoint now, Ending how, std::string_view why, CrowdEvents& events);
    void leave(CallIndex call, TimePoint now) noexcept;

    // Given to us.
    const Config config_;
    std::string host_;         ///< "127.0.0.1:8088"
    std::string webhook_url_;  ///< as signed
    sockaddr_in server_{};
    // Owned.
    int signalling_{-1};  ///< epoll of what is not open yet
    int media_{-1};       ///< epoll of streams
    // State.
    std::vector<Phone> phones_;
    std::vector<CallIndex> due_;  ///< whose playback goes on
    std::deque<Deadline> deadlines_;
    std::vector<Trouble> troubles_;
    std::deque<Leaving> leaving_;
    std::vector<char> incoming_;
    std::vector<char> outgoing_;
    std::uint32_t mask_{0x9E3779B9};
    Stats stats_;
};

}  // namespace oavc::caller::bench
