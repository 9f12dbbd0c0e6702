#pragma once

#include "api/config.hpp"
#include "observability/audit.hpp"
#include "observability/log.hpp"
#include "observability/tracing_config.hpp"
#include "pipeline/config.hpp"
#include "services/config.hpp"
#include "transports/opensips/config.hpp"
#include "transports/rtp/config.hpp"
#include "transports/sip/config.hpp"
#include "transports/twilio/config.hpp"

#include <string>
#include <string_view>

namespace oavc::config {

/// [telephony]
struct TelephonyConfig {
    std::string provider{"opensips"};  ///< opensips, sip, twilio or both
    std::string fallback_provider;     ///< empty: none
};

/// Everything a server needs to know: each room's own struct, filled from one INI file and the
/// environment. Defaults are the structs' member initialisers and nowhere else.
struct Config {
    TelephonyConfig telephony;
    transports::rtp::Config rtp;
    transports::opensips::Config opensips;
    transports::sip_ua::Config sip;
    transports::twilio::Config twilio;
    services::Config services;
    pipeline::Config pipeline;
    api::Config api;
    log::Settings logging;
    trace::Config tracing;
    audit::Config audit;

    // Which listeners there are, those of the fallback too.
    bool uses(std::string_view carrier) const {
        return telephony.provider == carrier || telephony.fallback_provider == carrier ||
               (telephony.provider == "both" && carrier != "sip");
    }
    bool serves_opensips() const { return uses("opensips") && opensips.mode != "sip"; }
    bool serves_sip() const {
        return uses("sip") || (uses("opensips") && opensips.mode != "events");
    }
    bool serves_twilio() const { return uses("twilio"); }
    bool serves_rtp() const { return serves_opensips() || serves_sip(); }
};

}  // namespace oavc::config
