#include "transports/factory.hpp"

#include "base/providers.hpp"
#include "transports/opensips/opensips_listener.hpp"
#include "transports/providers.hpp"
#include "transports/twilio/twilio_listener.hpp"

#include <stdexcept>
#include <utility>

namespace oavc::transports {

TransportFactory::TransportFactory(opensips::Config opensips, twilio::Config twilio)
    : opensips_{std::move(opensips)}, twilio_{std::move(twilio)} {}

std::vector<std::unique_ptr<Listener>> TransportFactory::make(
    std::string_view provider, const ListenerContext& context
) const {
    const bool both = provider == "both";
    std::vector<std::unique_ptr<Listener>> listeners;
    if (both || provider == "opensips") {
        listeners.push_back(std::make_unique<opensips::OpensipsListener>(
            opensips_, context.shards, context.calls, context.log
        ));
    }
    if (both || provider == "twilio") {
        listeners.push_back(std::make_unique<twilio::TwilioListener>(
            twilio_, context.http, context.shards, context.calls
        ));
    }
    if (listeners.empty()) {
        throw std::runtime_error{
            unknown_provider(provider, "[telephony] provider", known_providers)};
    }
    return listeners;
}

}  // namespace oavc::transports
