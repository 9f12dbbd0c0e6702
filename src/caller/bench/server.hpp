#pragma once

#include "base/time.hpp"
#include "caller/bench/process.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::caller::bench {

/// `oavc serve` for a load test.
struct ServerPlan {
    std::string program;          ///< the oavc to run
    std::string via{"opensips"};  ///< opensips, sip or twilio
    std::vector<int> cores;       ///< as many shards
    std::size_t max_calls{1000};
    std::uint16_t mi_port{0};   ///< of the OpenSIPS that we play
    std::uint16_t api_port{0};  ///< HTTP
    std::uint16_t event_port{0};
    std::uint16_t sip_port{0};
    std::string auth_token{"for-load-tests-only"};  ///< Twilio's
    /// "section.key=value": on top of everything.
    std::vector<std::string> settings;
};

/// A free port of 127.0.0.1 for TCP and UDP. Throws std::runtime_error.
std::uint16_t free_port();

/// The configuration: everything embedded, AI by script, a dialogue that answers everything in
/// `dialogue_file`. Throws std::runtime_error for a setting that is none.
std::string server_ini(const ServerPlan& plan, std::string_view dialogue_file);
/// What the server answers: sentences of two to four seconds.
std::string_view server_dialogue() noexcept;

/// The program that runs now.
std::string this_program();

/// A server on this machine, until it goes.
class LoadServer {
public:
    /// Writes the configuration to `folder` and starts. Throws std::runtime_error.
    LoadServer(ServerPlan plan, const std::filesystem::path& folder);

    const ServerPlan& plan() const noexcept { return plan_; }
    ChildProcess& process() noexcept { return *process_; }
    const std::filesystem::path& log() const noexcept { return log_; }
    /// Asks /health/ready. Blocks for a moment.
    bool ready() const;

private:
    const ServerPlan plan_;
    std::filesystem::path log_;
    std::unique_ptr<ChildProcess> process_;
};

}  // namespace oavc::caller::bench
