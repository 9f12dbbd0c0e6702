#pragma once

#include "caller/bench/carrier.hpp"
#include "caller/bench/rtp_trunk.hpp"
#include "caller/fake_opensips.hpp"

#include <netinet/in.h>

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace oavc::caller::bench {

/// A crowd behind one OpenSIPS 3.6 that we play: MI and events on two sockets, RTP by a trunk.
class OpensipsCrowd final : public Carrier {
public:
    struct Config {
        std::uint16_t mi_port{0};  ///< 0: any; on 127.0.0.1
        std::string to{"bench"};   ///< the number dialled
        milliseconds answer_limit{10'000};
    };

    /// Throws std::runtime_error that says what to do.
    OpensipsCrowd(Config config, std::size_t phones);
    ~OpensipsCrowd() override;
    OpensipsCrowd(const OpensipsCrowd&) = delete;
    OpensipsCrowd& operator=(const OpensipsCrowd&) = delete;

    std::uint16_t mi_port() const noexcept { return mi_port_; }

    bool ready(TimePoint now) override { return opensips_.has_subscriber(now); }
    int wake_fd() const noexcept override { return mi_; }
    void poll(TimePoint now, CrowdEvents& events) override;
    void place(CallIndex call, TimePoint now) override;
    void hang_up(CallIndex call, TimePoint now) override;
    void send(CallIndex call, FrameBytes ulaw, TimePoint now) noexcept override;
    void flush(TimePoint now) noexcept override;
    Stats stats() const noexcept override { return trunk_.stats(); }

private:
    struct Phone {
        std::string key;  ///< of its call in OpenSIPS; empty: none
        bool answered{false};
    };
    struct Deadline {
        TimePoint at;
        CallIndex call;
        std::string key;
    };

    void raise();
    void take(const FakeOpenSips::Outcome& outcome, TimePoint now, CrowdEvents& events);
    void forget(CallIndex call);

    // Given to us.
    const Config config_;
    // Owned.
    RtpTrunk trunk_;
    FakeOpenSips opensips_;
    int mi_{-1};
    int events_{-1};
    std::uint16_t mi_port_{0};
    // State.
    std::vector<Phone> phones_;
    std::unordered_map<std::string, CallIndex> by_key_;
    std::deque<Deadline> deadlines_;  ///< of calls without an answer; in the order of placing
    std::vector<char> datagram_;
};

}  // namespace oavc::caller::bench
