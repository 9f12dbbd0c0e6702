#pragma once

#include "app/server.hpp"
#include "base/random.hpp"
#include "config/load.hpp"
#include "support/comes_true.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::test {

/// True when nobody holds this port of the loopback interface, for TCP and for UDP.
inline bool port_is_free(std::uint16_t port) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        const int socket = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const bool bound =
            ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0;  // NOLINT
        ::close(socket);
        if (!bound) return false;
    }
    return true;
}

/// The first of `count` free ports in a row, the first even: below those the kernel hands out, at a
/// place of its own for each test, so that tests can run beside each other.
inline std::uint16_t free_ports(std::uint16_t count) {
    for (int attempt = 0; attempt < 200; ++attempt) {
        const auto first = static_cast<std::uint16_t>(12'000 + 2 * (random_u32() % 9'900));
        bool free = true;
        for (std::uint16_t i = 0; free && i < count; ++i) {
            free = port_is_free(static_cast<std::uint16_t>(first + i));
        }
        if (free) return first;
    }
    throw std::runtime_error{"no free ports"};
}

/// A whole server in this process, as `oavc serve` runs it, on ports of its own.
class RunningServer {
public:
    /// `file` below the source tree; `more` overrides its values like the environment does.
    explicit RunningServer(
        const std::string& file = "config/dev.ini", const config::Environment& more = {}
    )
        : RunningServer{
              config::load(std::filesystem::path{OAVC_SOURCE_DIR} / file, on_free_ports(more)),
              true} {}

    /// The same from the text of a file in the source tree's root. Leaves the process's log as it
    /// is, so that several servers can be made at once.
    static RunningServer from_text(std::string_view ini, const config::Environment& more = {}) {
        return RunningServer{
            config::load_text(ini, "test.ini", OAVC_SOURCE_DIR, on_free_ports(more)), false};
    }

    /// A file and an environment exactly as they are: whose ports must be free is the test's
    /// matter.
    static RunningServer as_written(
        const std::string& file, const config::Environment& environment
    ) {
        return RunningServer{
            config::load(std::filesystem::path{OAVC_SOURCE_DIR} / file, environment), false};
    }

    /// What the configuration's reader was not content with, a line each; notes do not count.
    std::string warnings() const {
        std::string lines;
        for (const auto& problem : loaded_.problems) {
            if (problem.severity == config::Severity::note) continue;
            lines += config::to_string(problem, loaded_.file) + '\n';
        }
        return lines;
    }

    RunningServer& start() {
        server_->start();
        return *this;
    }

    app::Server& operator*() noexcept { return *server_; }
    app::Server* operator->() noexcept { return server_.get(); }
    const config::Config& config() const noexcept { return loaded_.config; }

    /// False when calls are left after `limit`.
    bool calls_end_within(std::chrono::steady_clock::duration limit) const {
        return comes_true([this] { return server_->active_calls() == 0; }, limit);
    }

private:
    RunningServer(config::Loaded loaded, bool configure_log) : loaded_{std::move(loaded)} {
        if (!loaded_.ok()) {
            std::string what = "the test's configuration is wrong";
            for (const auto& problem : loaded_.problems)
                what += '\n' + config::to_string(problem, loaded_.file);
            throw std::runtime_error{what};
        }
        if (configure_log) log::configure(loaded_.config.logging);
        server_ = std::make_unique<app::Server>(loaded_);
    }

    static config::Environment on_free_ports(const config::Environment& more) {
        const std::uint16_t first = free_ports(24);
        const auto port = [first](int offset) { return std::to_string(first + offset); };
        config::Environment environment{
            {"OAVC_API_PORT", port(0)},
            {"OAVC_TELEPHONY_OPENSIPS_EVENT_PORT", port(1)},
            {"OAVC_TELEPHONY_OPENSIPS_MI_PORT", port(2)},
            {"OAVC_TELEPHONY_SIP_PORT", port(3)},
            {"OAVC_TELEPHONY_RTP_PORT_START", port(4)},
            {"OAVC_TELEPHONY_RTP_PORT_END", port(23)},
            {"OAVC_LIMITS_MAX_CALLS", "10"},
            {"OAVC_LIMITS_MAX_LAG", "0"},  // a busy test machine is no reason to refuse
            {"OAVC_LIMITS_SHARDS", "1"},
            {"OAVC_LIMITS_WORKERS", "1"},
            {"OAVC_LOGGING_LEVEL", "error"},
        };
        for (const auto& [name, value] : more)
            environment[name] = value;
        return environment;
    }

    config::Loaded loaded_;
    std::unique_ptr<app::Server> server_;
};

}  // namespace oavc::test
