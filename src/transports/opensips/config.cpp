#include "transports/opensips/config.hpp"

#include <boost/asio/ip/address.hpp>

#include <fmt/format.h>

namespace oavc::transports::opensips {

namespace {

bool is_address(const std::string& text) {
    boost::system::error_code error;
    boost::asio::ip::make_address(text, error);
    return !error;
}

}  // namespace

std::vector<std::string> Config::validate() const {
    std::vector<std::string> problems;
    const auto need_address = [&](const char* key, const std::string& value) {
        if (!is_address(value)) {
            problems.push_back(fmt::format("{} = {}: must be a numeric IP address", key, value));
        }
    };
    need_address("event_ip", event_ip);
    need_address("mi_ip", mi_ip);
    for (const auto& peer : allowed_peers)
        need_address("allowed_peers", peer);
    if (allowed_peers.empty()) {
        problems.emplace_back("allowed_peers is empty: no event would ever be accepted");
    }
    if (!event_advertised.empty() && event_advertised.rfind(':') == std::string::npos) {
        problems.push_back(fmt::format("event_advertised = {}: must be ip:port", event_advertised));
    }
    if (mi_port == 0) problems.emplace_back("mi_port = 0: must be OpenSIPS's mi_datagram port");
    if (mi_timeout < milliseconds{10} || mi_timeout > milliseconds{60'000}) {
        problems.emplace_back("mi_timeout must lie between 10 ms and 60 s");
    }
    if (subscribe_expire < std::chrono::seconds{1}) {
        problems.emplace_back("subscribe_expire must be at least 1 s");
    }
    if (subscribe_retry < milliseconds{10})
        problems.emplace_back("subscribe_retry must be at least 10 ms");
    return problems;
}

}  // namespace oavc::transports::opensips
