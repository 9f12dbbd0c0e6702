#pragma once

#include "services/config.hpp"

#include <string_view>
#include <vector>

namespace oavc::services {

/// A remote service that calls use, and the section that describes it. Borrows the configuration.
struct UsedEndpoint {
    std::string_view section;  ///< "stt.vosk"
    const Endpoint& endpoint;

    /// Certificates matter: its URL is https:// or wss://.
    bool secure() const noexcept {
        return endpoint.url.starts_with("https://") || endpoint.url.starts_with("wss://");
    }
};

/// Of the providers and their fallbacks; embedded ones have none.
std::vector<UsedEndpoint> endpoints_in_use(const Config& config);

}  // namespace oavc::services
