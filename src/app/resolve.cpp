#include "app/resolve.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace oavc::app {

namespace {

bool is_address(const std::string& text) noexcept {
    in6_addr address{};
    return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
           inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

void resolve(std::string& host, std::string_view key) {
    if (host.empty() || is_address(host)) return;
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (failed != 0) {
        throw std::runtime_error{
            fmt::format("{}: no address for \"{}\": {}", key, host, gai_strerror(failed))};
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned{found, &freeaddrinfo};
    char text[NI_MAXHOST];
    if (getnameinfo(
            found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST
        ) == 0) {
        host = text;
    }
}

}  // namespace

void resolve_names(config::Config& config) {
    if (config.serves_rtp()) {
        resolve(config.rtp.bind_ip, "[telephony.rtp] bind_ip");
        resolve(config.rtp.advertised_ip, "[telephony.rtp] advertised_ip");
    }
    if (config.serves_sip()) {
        resolve(config.sip.bind_ip, "[telephony.sip] bind_ip");
        for (std::string& peer : config.sip.allowed_peers) {
            resolve(peer, "[telephony.sip] allowed_peers");
        }
    }
    if (config.serves_opensips()) {
        resolve(config.opensips.event_ip, "[telephony.opensips] event_ip");
        resolve(config.opensips.mi_ip, "[telephony.opensips] mi_ip");
        for (std::string& peer : config.opensips.allowed_peers) {
            resolve(peer, "[telephony.opensips] allowed_peers");
        }
    }
    resolve(config.api.host, "[api] host");
    if (!config.api.tls_host.empty()) resolve(config.api.tls_host, "[api] tls_host");
}

}  // namespace oavc::app
