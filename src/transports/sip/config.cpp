#include "transports/sip/config.hpp"

#include "sip/dialog.hpp"
#include "sip/headers.hpp"

#include <fmt/format.h>

namespace oavc::transports::sip_ua {

std::vector<std::string> Config::validate() const {
    std::vector<std::string> problems;
    const auto need_address = [&](const char* key, const std::string& value) {
        if (!sip::is_ip_address(value)) {
            problems.push_back(fmt::format("{} = {}: must be a numeric IP address", key, value));
        }
    };
    const auto need_uri = [&](const char* key, const std::string& value) {
        const auto uri = sip::parse_uri(value);
        if (!value.empty() && (!uri || uri->scheme == "tel")) {
            problems.push_back(
                fmt::format("{} = {}: must be a SIP URI such as sip:192.0.2.1:5060", key, value)
            );
        }
    };
    need_address("bind_ip", bind_ip);
    for (const auto& peer : allowed_peers)
        need_address("allowed_peers", peer);
    if (allowed_peers.empty()) {
        problems.emplace_back("allowed_peers is empty: nobody could ever call");
    }
    if (!advertised.empty()) {
        const auto uri = sip::parse_uri("sip:" + advertised);
        if (!uri || !sip::is_ip_address(uri->host)) {
            problems.push_back(fmt::format("advertised = {}: must be ip or ip:port", advertised));
        }
    }
    if (tls_port != 0 && tls_certificate.empty()) {
        problems.emplace_back("tls_port needs tls_certificate: nobody could connect without one");
    }
    if (tls_certificate.empty() != tls_private_key.empty()) {
        problems.emplace_back("tls_certificate and tls_private_key belong together");
    }
    if (tls_port != 0 && tls_port == port) {
        problems.push_back(fmt::format("tls_port = {}: must not be port's", tls_port));
    }
    need_uri("proxy", proxy);
    need_uri("registrar", registrar);
    if (overflow != "503") need_uri("overflow", overflow);
    if (!registrar.empty() && username.empty()) {
        problems.emplace_back("registrar needs username: whom should it register?");
    }
    if (!registrar.empty() && expires < std::chrono::seconds{30}) {
        problems.emplace_back("expires must be at least 30 s");
    }
    if (session_expires.count() != 0 && session_expires < std::chrono::seconds{90}) {
        problems.emplace_back("session_expires must be 0 or at least 90 s (RFC 4028)");
    }
    if (max_connections == 0) problems.emplace_back("max_connections must be at least 1");
    return problems;
}

}  // namespace oavc::transports::sip_ua
