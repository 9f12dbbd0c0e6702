#pragma once

#include "base/time.hpp"
#include "caller/bench/figures.hpp"
#include "caller/bench/script.hpp"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::bench {

struct Options {
    enum class Mode {
        ramp,   ///< find the knee
        calls,  ///< so many at once
        storm,  ///< so many new ones per second, short ones
        churn,  ///< so many short ones in all
    };
    Mode mode{Mode::ramp};
    std::string via{"opensips"};
    std::size_t calls{0};          ///< at once; of churn: in all
    double calls_per_second{100};  ///< new ones, at most
    milliseconds duration{10'000};
    milliseconds warm_up{5'000};
    std::size_t first{100};  ///< of the ramp
    std::size_t most{8'000};
    bool overload{false};
    bool reflector{false};
    bool calibrate{false};
    std::string calibrate_file;  ///< to write to; empty: only told
    int repeat{1};
    double margin{0.2};  ///< of the calibration
    Habits habits;
    bool given_length{false};
    Criteria criteria;
    std::uint32_t seed{1};

    std::optional<pid_t> attach;
    std::uint16_t mi_port{8087};               ///< of the attached server
    std::string url{"http://127.0.0.1:8088"};  ///< of the attached server
    std::string auth_token;
    std::optional<int> core;        ///< of the generator
    std::vector<int> server_cores;  ///< empty: chosen
    std::vector<std::string> settings;

    std::string program;  ///< the oavc to start; empty: the one that runs

    std::string json_file;  ///< "-": standard output
    std::string svg_file;
    std::uint16_t reflect_for{0};  ///< we are the reflector; MI port of the crowd
    bool help{false};
};

struct ParsedOptions {
    Options options;
    std::string error;  ///< empty: none
};
ParsedOptions parse_options(std::span<const std::string_view> arguments);
std::string_view help_text() noexcept;

}  // namespace oavc::caller::bench
