#include "transports/factory.hpp"

#include "base/providers.hpp"
#include "transports/opensips/opensips_listener.hpp"
#include "transports/providers.hpp"
#include "transports/sip/sip_listener.hpp"
#include "transports/twilio/twilio_listener.hpp"

#include <stdexcept>
#include <utility>

namespace oavc::transports {

TransportFactory::TransportFactory(
    rtp::Config rtp, opensips::Config opensips, sip_ua::Config sip, twilio::Config twilio
)
    : rtp_{std::move(rtp)},
      opensips_{std::move(opensips)},
      sip_{std::move(sip)},
      twilio_{std::move(twilio)} {}

std::vector<std::unique_ptr<Listener>> TransportFactory::make(
    std::string_view provider, const ListenerContext& context
) const {
    const bool both = provider == "both";
    std::vector<std::unique_ptr<Listener>> listeners;
    const bool opensips = both || provider == "opensips";
    if (opensips && opensips_.mode != "sip") {
        listeners.push_back(std::make_unique<opensips::OpensipsListener>(
            opensips_, rtp_, context.rtp_ports, context.shards, context.calls, context.log
        ));
    }
    if (provider == "sip" || (opensips && opensips_.mode != "events")) {
        listeners.push_back(std::make_unique<sip_ua::SipListener>(
            sip_, rtp_, context.rtp_ports, context.shards, context.calls, context.log
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
