#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller {

/// What the command line of `oavc call` asks for.
struct Options {
    struct Speech {
        enum class Kind { text, wav };
        Kind kind{Kind::text};
        std::string value;
        bool interrupts{false};
    };

    std::string via{"opensips"};  ///< opensips, sip or twilio
    std::string config_file;      ///< empty: the usual places, else defaults
    std::vector<Speech> speech;   ///< empty: the demonstration
    std::string voice{"rms"};
    std::optional<milliseconds> interrupt_after;
    std::size_t repeat{1};
    bool answer{false};  ///< be called, by `oavc dial`, instead of calling
    bool json{false};
    std::string record;
    std::string digits;
    std::string url;         ///< of the connector's HTTP server
    std::string ca_file;     ///< of an https URL: PEM to trust instead of the system's store
    std::string auth_token;  ///< Twilio's; secret
    std::string api_token;   ///< secret
    std::string from{"+15550100"};
    std::string to;
    std::string sip_ip;
    std::optional<std::uint16_t> sip_port;
    std::string mi_ip;
    std::optional<std::uint16_t> mi_port;
    std::string rtp_ip;
    milliseconds wait{30'000};      ///< for the connector to subscribe
    milliseconds timeout{180'000};  ///< of one call
    bool help{false};
};

struct ParsedOptions {
    Options options;
    std::string error;  ///< empty: fine
};
ParsedOptions parse_options(std::span<const std::string_view> arguments);

/// "1500ms", "1.5s", "2m", "1500" (milliseconds). Nothing for anything else or above a day.
std::optional<milliseconds> parse_duration(std::string_view text);

std::string_view help_text() noexcept;

/// The questions and the interruption that config/dialogues/demo.dialogue understands.
std::vector<Options::Speech> demonstration();

}  // namespace oavc::caller
