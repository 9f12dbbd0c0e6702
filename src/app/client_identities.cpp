#include "app/client_identities.hpp"

#include "net/tls.hpp"
#include "observability/log_fields.hpp"
#include "services/endpoints.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace oavc::app {

std::vector<ClientIdentity> client_identities(const config::Config& config) {
    std::vector<ClientIdentity> used;
    for (const auto& service : services::endpoints_in_use(config.services)) {
        if (service.secure()) {
            used.push_back({std::string{service.section}, service.endpoint.tls});
        }
    }
    if (config.serves_twilio() && config.twilio.api_url.starts_with("https://")) {
        used.push_back({"telephony.twilio", {.ca_file = config.twilio.api_ca_file}});
    }
    return used;
}

bool load_client_identities(
    async::ShardPool& shards,
    const config::Config& fresh,
    const config::Config* running,
    const log::Logger& log
) {
    bool all = true;
    std::vector<ClientIdentity> known;
    if (running != nullptr) known = client_identities(*running);
    for (const auto& [section, identity] : client_identities(fresh)) {
        try {
            net::load_client_identity(shards, identity);
        } catch (const std::runtime_error& error) {
            const auto what = fmt::format("[{}] {}", section, error.what());
            const auto same = [&identity](const auto& other) { return other.identity == identity; };
            if (std::ranges::none_of(known, same)) throw std::runtime_error{what};
            log.error("certificates not reloaded: the old ones go on", log::kv("error", what));
            all = false;
        }
    }
    return all;
}

}  // namespace oavc::app
