#pragma once

#include "base/time.hpp"
#include "media/vad_config.hpp"
#include "turns/config.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace oavc::pipeline {

/// [agent] and [agent.NAME]: what a caller meets, chosen by the dialled number.
struct AgentConfig {
    std::string name{"default"};
    std::string match;  ///< ECMAScript regex over the dialled user; empty: matches all
    std::string system_prompt;
    std::string greeting;  ///< empty: we wait for the caller
    std::string language{"en"};
    std::string voice;
    std::string goodbye{"Goodbye."};
    std::string failure_sentence{
        "I am sorry, something is wrong on our side. Please call again later."};
    std::string idle_sentence{"Are you still there?"};
    std::string not_understood{"Sorry, I did not catch that."};
    std::string fallback_number;  ///< transfer target when everything is down; empty: hang up
    std::size_t memory_turns{20};
    bool use_tools{true};     ///< the model may end or transfer the call, where it knows functions
    std::string transfer_to;  ///< where its transfer_call leads; empty: not offered
    std::vector<std::string> transfer_targets;  ///< "name:target"; the model names one
    bool attended_transfer{false};  ///< the target is asked first, where the carrier can
    std::chrono::seconds transfer_patience{30};  ///< … and has so long to answer
    std::string not_connected{"I am sorry, I could not connect you. How else can I help?"};
    bool allow_send_digits{false};  ///< the model may press keys
    // What keys of the caller do: "ignore", "interrupt", "collect".
    std::string digits{"interrupt"};
    std::size_t digit_count{20};        ///< an entry is complete with so many
    milliseconds digit_timeout{3000};   ///< … or after so long without another
    std::string digit_terminator{"#"};  ///< … or with this key; "none"
    bool model_sees_digits{true};       ///< false: it is told how many there were
    bool reveal_digits{false};          ///< in logs, events, API and transcript
    /// What is hidden there of what people say, of their numbers and addresses: privacy.hpp.
    std::vector<std::string> mask_personal_data{
        "phone", "card", "iban", "email", "identity_number", "digits"};
    bool record{false};            ///< the call, in stereo, sealed: [recording]
    std::string recording_notice;  ///< said before the greeting of recorded calls
    /// Said when the model needs longer than `filler_after` for its first sentence; empty: nothing.
    std::string filler_sentence;
    milliseconds filler_after{1500};
    /// Outgoing calls: the greeting waits for the callee's first audio, at most this long.
    milliseconds speak_first_after{2000};
};

/// What of [telephony] concerns calls that we place.
struct OutgoingConfig {
    /// ECMAScript; the whole number or SIP URI must match one. Empty: nobody is called, for who may
    /// place calls can spend the owner's money.
    std::vector<std::string> dial_allowed;
    std::string dial_from;  ///< shown to the callee; empty: the carrier's default
};

/// [recording]
struct RecordingConfig {
    std::string folder;  ///< below it a folder per day
    std::string key;     ///< secret: 32 bytes, hexadecimal or Base64
    int keep_days{30};   ///< 0: for ever
};

/// [limits]
struct LimitsConfig {
    std::size_t max_calls{200};
    std::size_t max_calls_per_caller{0};  ///< 0: no limit
    /// Later than this, packets are skipped (async::TickWheel). 0: calls are admitted anyhow.
    milliseconds max_lag{200};
    std::size_t shards{0};   ///< 0: one per core
    std::size_t workers{0};  ///< 0: one per core
    std::size_t worker_queue{1024};
    std::chrono::seconds max_call_duration{3600};
    std::chrono::seconds drain_deadline{30};  ///< SIGTERM: running calls get this long
};

struct Config {
    media::VadConfig vad;
    turns::InterruptionConfig interruption;
    turns::TurnConfig turns;
    std::vector<AgentConfig> agents{AgentConfig{}};  ///< never empty; the last matches all
    LimitsConfig limits;
    OutgoingConfig outgoing;
    RecordingConfig recording;
};

}  // namespace oavc::pipeline
