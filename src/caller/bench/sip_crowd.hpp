#pragma once

#include "caller/bench/carrier.hpp"
#include "caller/bench/rtp_trunk.hpp"
#include "caller/bench/sip_messages.hpp"

#include <netinet/in.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace oavc::caller::bench {

/// A crowd of SIP phones on one UDP socket, RTP by a trunk. Unreliable as UDP is, so requests are
/// repeated (RFC 3261 §17.1); no proxies, no authentication, no re-INVITE.
class SipCrowd final : public Carrier {
public:
    struct Config {
        std::uint16_t server_port{0};  ///< on 127.0.0.1
        std::string to{"bench"};       ///< the number dialled
        milliseconds answer_limit{10'000};
    };

    /// Throws std::runtime_error that says what to do.
    SipCrowd(Config config, std::size_t phones);
    ~SipCrowd() override;
    SipCrowd(const SipCrowd&) = delete;
    SipCrowd& operator=(const SipCrowd&) = delete;

    bool ready(TimePoint) override { return true; }
    int wake_fd() const noexcept override { return socket_; }
    void poll(TimePoint now, CrowdEvents& events) override;
    void place(CallIndex call, TimePoint now) override;
    void hang_up(CallIndex call, TimePoint now) override;
    void send(CallIndex call, FrameBytes ulaw, TimePoint now) noexcept override;
    void flush(TimePoint now) noexcept override;
    Stats stats() const noexcept override { return trunk_.stats(); }

private:
    enum class State : std::uint8_t { idle, inviting, answered };
    struct Phone {
        State state{State::idle};
        std::uint32_t serial{0};
        SipDialog dialog;
        std::string answer;  ///< the 200, for what follows in its dialog
    };
    /// A request without a response.
    struct Request {
        std::string text;
        Clock::duration interval;
        TimePoint give_up;
    };
    struct Deadline {
        TimePoint at;
        CallIndex call;
        std::uint32_t serial;
    };

    void take(std::string_view datagram, TimePoint now, CrowdEvents& events);
    void on_invite_response(
        CallIndex call,
        const SipMessage& response,
        std::string_view text,
        TimePoint now,
        CrowdEvents& events
    );
    void on_request(const SipMessage& request, std::string_view text, TimePoint now, CrowdEvents&);
    /// Whose call that is, if it is still up.
    std::optional<CallIndex> call_of(std::string_view call_id) const noexcept;
    std::string branch(std::string_view call_id, char kind) const;
    void transmit(std::string_view text) noexcept;
    void request(const std::string& branch, std::string text, TimePoint now);
    void repeat(TimePoint now);
    void free(CallIndex call) noexcept;

    // Given to us.
    const Config config_;
    const std::string server_;
    sockaddr_in address_{};
    // Owned.
    RtpTrunk trunk_;
    int socket_{-1};
    std::string local_;
    // State.
    std::vector<Phone> phones_;
    std::unordered_map<std::string, Request> unanswered_;  ///< by branch
    std::multimap<TimePoint, std::string> repeats_;
    std::deque<Deadline> deadlines_;
    std::vector<char> datagram_;
};

}  // namespace oavc::caller::bench
