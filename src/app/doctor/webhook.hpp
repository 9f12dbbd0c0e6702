#pragma once

#include "app/doctor/checks.hpp"
#include "async/shard.hpp"
#include "config/config.hpp"

#include <memory>
#include <string>

/// What the doctor asks of HTTP servers: ours, Twilio's. Everything here blocks.
namespace oavc::app::doctor {

/// Of https, `ca_file` names whom to believe; empty: the system's store.
Answer http_get(async::Shard& shard, const std::string& url, const std::string& ca_file);
/// Why nothing answers there; no error: something does.
error_code https_problem(async::Shard& shard, const std::string& url, const std::string& ca_file);

/// Asks the webhook at `base` (where it is reached) as Twilio would, with no call in the request.
/// `signed_base`: the URL that Twilio knows.
Signature look_at_webhook(
    async::Shard& shard,
    const transports::twilio::Config& config,
    const std::string& base,
    const std::string& signed_base,
    const std::string& ca_file
);

/// Opens the media socket and closes it again.
MediaSocket look_at_media_socket(
    async::Shard& shard,
    const transports::twilio::Config& config,
    const std::string& base,
    const std::string& signed_base,
    const std::string& ca_file
);

/// Twilio's account by REST.
Account look_at_account(async::Shard& shard, const transports::twilio::Config& config);

/// Stands in for a server that does not run: on its HTTP port, with /health/live and Twilio's
/// webhook, refusing calls. So what leads to the server can be tried without it.
class StandIn {
public:
    /// Throws std::runtime_error when the port is taken.
    explicit StandIn(const config::Config& config);
    StandIn(const StandIn&) = delete;
    StandIn& operator=(const StandIn&) = delete;
    ~StandIn();

    std::uint16_t port() const noexcept;
    const std::string& instance() const noexcept;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace oavc::app::doctor
