#include "transports/rtp/negotiation.hpp"

#include "base/random.hpp"

#include <fmt/format.h>

#include <utility>

namespace oavc::transports::rtp {

namespace {

std::string endpoint(const std::string& address, std::uint16_t port) {
    if (port == 0) return "nowhere";
    const bool ipv6 = address.find(':') != std::string::npos;
    return ipv6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

}  // namespace

sip::LocalMedia local_media(std::string address, std::uint16_t port) {
    sip::LocalMedia local{std::move(address), port, random_u32(), 1};
    for (auto& key : local.srtp_keys)
        random_bytes(key.bytes);
    return local;
}

void log_agreement(const log::Logger& log, const sip::NegotiatedAudio& audio, std::uint16_t port) {
    const auto codec = fmt::format("{}/{}", sip::to_string(audio.codec), audio.clock_rate);
    const auto to = endpoint(audio.remote_address, audio.remote_port);
    log.info(
        "media agreed on",
        log::kv("codec", codec),
        log::kv("offered", audio.offered.text),
        log::kv("ptime_ms", audio.ptime),
        log::kv("direction", sip::to_string(audio.direction)),
        log::kv("digits", audio.event_payload_type ? "rtp" : "info"),
        log::kv("srtp", audio.srtp ? sip::to_string(audio.srtp->suite) : "off"),
        log::kv("to", log::pii(to)),
        log::kv("rtp_port", port)
    );
}

}  // namespace oavc::transports::rtp
