#pragma once

#include "config/load.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace oavc::app {

/// The composition root: the only place that knows every room. Builds, starts and ends a server.
/// Thread: main.
class Server {
public:
    /// Makes the engines and everything that can fail without a socket. Throws std::runtime_error.
    explicit Server(const config::Loaded& loaded);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();  ///< stops at once if still running

    /// Binds and begins. Throws std::runtime_error that says what is in the way; nothing runs then.
    void start();

    /// What runs, where it listens, what is missing and how to call it: for a person, several
    /// lines.
    std::string banner() const;

    /// Which services answer, a line for each. Waits for their first answers, a second at most.
    std::string service_report() const;

    /// `asked` is called, on any thread, when the API was asked to drain: begin_drain() was done
    /// then; what remains is to wait and to end. Before start().
    void on_drain(std::function<void(std::optional<std::chrono::seconds> deadline)> asked);

    /// Makes calls to come from `fresh`, whose problems were looked at; running calls keep what
    /// they began with. Logs what changed, and what needs a restart. Throws std::runtime_error when
    /// an engine cannot be made: nothing has changed then.
    void reload(const config::Loaded& fresh);
    /// Reads certificates again, servers' and clients', whose files have changed since: for
    /// connections to come; and says which end soon. Broken ones are logged, the old ones go on,
    /// and the next time it is tried again. Now and then.
    void refresh_certificates();
    /// Lets go what only calls of an older configuration used. Now and then, after reload().
    void sweep();

    /// Of the configuration that holds now.
    std::chrono::seconds drain_deadline() const noexcept;

    /// Takes no new calls and is not ready any more; running calls go on.
    void begin_drain();
    std::size_t active_calls() const noexcept;
    /// Every running call says its goodbye and hangs up.
    void say_goodbye();
    /// Ends what is left and returns when nothing runs any more.
    void stop();

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// `oavc serve [-c FILE]`: runs until SIGTERM, SIGINT or POST /api/v1/drain; running calls then get
/// [limits] drain_deadline to finish before they are said goodbye to. A second signal ends the
/// process. SIGHUP reloads the configuration.
int serve_command(std::span<const std::string_view> arguments);

}  // namespace oavc::app
