#include "caller/bench/carriers.hpp"

#include "caller/bench/opensips_crowd.hpp"
#include "caller/bench/sip_crowd.hpp"
#include "caller/bench/twilio_crowd.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace oavc::caller::bench {

std::unique_ptr<Carrier> make_carrier(const Reach& reach) {
    if (reach.via == "opensips") {
        OpensipsCrowd::Config config;
        config.mi_port = reach.mi_port;
        return std::make_unique<OpensipsCrowd>(config, reach.phones);
    }
    if (reach.via == "twilio") {
        TwilioCrowd::Config config;
        config.url = reach.url;
        config.auth_token = reach.auth_token;
        return std::make_unique<TwilioCrowd>(std::move(config), reach.phones);
    }
    if (reach.via == "sip") {
        if (reach.sip_port == 0) throw std::runtime_error{"--attach plays opensips or twilio"};
        SipCrowd::Config config;
        config.server_port = reach.sip_port;
        return std::make_unique<SipCrowd>(std::move(config), reach.phones);
    }
    throw std::runtime_error{fmt::format("no crowd plays '{}'", reach.via)};
}

}  // namespace oavc::caller::bench
