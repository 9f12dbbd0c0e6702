#pragma once

#include "base/time.hpp"
#include "sip/digest.hpp"
#include "sip/transaction_layer.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace oavc::sip {

/// Keeps one address registered (RFC 3261 §10): REGISTER, digest, refresh at two thirds of what
/// the registrar granted, back-off from 2 s to 5 min while it refuses or is silent. Sans-I/O.
class Registration {
public:
    struct Settings {
        std::string registrar;  ///< Request-URI: "sip:example.net"
        std::string address;    ///< who registers: "sip:bot@example.net"
        std::string user;       ///< of our Contact
        Target next_hop;
        std::chrono::seconds expires{300};
        Credentials credentials;
    };

    Registration(TransactionLayer& layer, Settings settings, std::uint64_t layer_user);

    void start(TimePoint now);
    /// Unregisters, without waiting for the answer.
    void stop(TimePoint now);
    void on_response(TransactionId id, const Message& response, TimePoint now);
    void on_failed(TransactionId id, TimePoint now);
    void on_time(TimePoint now);

    std::optional<TimePoint> next_deadline() const noexcept { return due_; }
    bool is_registered() const noexcept { return registered_; }
    /// Of the last answer, for the log; 0: none yet or nothing came.
    int status() const noexcept { return status_; }

private:
    void send(std::chrono::seconds expires, TimePoint now);
    void back_off(TimePoint now);

    TransactionLayer& layer_;
    Settings settings_;
    const std::uint64_t layer_user_;
    const std::string call_id_;
    const std::string tag_;
    std::uint32_t cseq_{0};
    std::optional<TransactionId> pending_;
    std::optional<Challenge> challenge_;
    std::string auth_header_;
    std::uint32_t challenge_count_{0};
    int challenges_{0};  ///< in a row
    std::optional<TimePoint> due_;
    std::chrono::seconds wait_{0};
    bool registered_{false};
    bool stopped_{false};
    int status_{0};
};

}  // namespace oavc::sip
