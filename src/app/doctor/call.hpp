#pragma once

#include "app/doctor/checks.hpp"
#include "config/load.hpp"

#include <string>

/// The doctor's own call. Everything here blocks: a call takes some seconds.
namespace oavc::app::doctor {

/// A configuration for a server of our own beside the real one: its services, RTP range and
/// addresses, but free ports on this machine for everything else.
config::Loaded beside(config::Loaded loaded);

struct CallPlan {
    config::Config server;  ///< what the server runs with
    std::string via;        ///< opensips or twilio
    std::string url;        ///< of the server's HTTP, if not what its configuration says
    std::string said;       ///< by the caller
    std::string phone_ip;   ///< of the caller's RTP
    std::string ca_file;    ///< of an https url: whom to believe; empty: the system's store
};

/// Calls a server that runs, listens to it, says something and hangs up.
Call place_call(const CallPlan& plan);

}  // namespace oavc::app::doctor
