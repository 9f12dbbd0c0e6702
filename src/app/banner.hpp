#pragma once

#include "config/config.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::app {

/// What runs in a server that has started.
struct Running {
    const config::Config& config;
    std::string_view file;                   ///< that it was read from
    std::vector<std::string_view> carriers;  ///< names of those that listen
    bool can_dial;                           ///< one of them places calls
    std::uint16_t http_port;
    std::uint16_t https_port;  ///< 0: not served
    std::string_view stt;      ///< names of the engines
    std::string_view llm;
    std::string_view tts;
    std::string vad;  ///< with its note
    std::size_t shards;
    std::size_t workers;
};

/// For the person who has just started it: what listens where, what is missing and how to call it.
/// Several lines, each with a line end.
std::string banner(const Running& running);

}  // namespace oavc::app
