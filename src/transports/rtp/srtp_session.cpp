#include "transports/rtp/srtp_session.hpp"

#include <srtp2/srtp.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace oavc::transports::rtp {

namespace {

/// Packets that may come late and still be told from a replay: 2.5 s of 20 ms.
constexpr unsigned long replay_window = 128;

void require(srtp_err_status_t status, const char* what) {
    if (status == srtp_err_status_ok) return;
    throw std::runtime_error{std::string{what} + ": error " + std::to_string(status)};
}

/// Once per process; the library has no other global state.
void start_library() {
    static const srtp_err_status_t started = srtp_init();
    require(started, "libsrtp does not start");
}

}  // namespace

void SrtpSession::Destroy::operator()(srtp_ctx_t_* context) const noexcept {
    srtp_dealloc(context);
}

SrtpSession::Context SrtpSession::make(Way way, sip::SrtpSuite suite, const sip::SrtpKey& key) {
    start_library();
    srtp_policy_t policy{};
    if (suite == sip::SrtpSuite::aes_cm_128_hmac_sha1_32) {
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp);
    } else {
        srtp_crypto_policy_set_rtp_default(&policy.rtp);
    }
    srtp_crypto_policy_set_rtcp_default(&policy.rtcp);  // 80 bits in both (RFC 4568 §6.2)
    policy.ssrc.type = way == Way::in ? ssrc_any_inbound : ssrc_any_outbound;
    auto bytes = key.bytes;  // the library copies them, and wants them writable
    policy.key = reinterpret_cast<unsigned char*>(bytes.data());
    policy.window_size = replay_window;
    srtp_t context = nullptr;
    require(srtp_create(&context, &policy), "libsrtp takes no key");
    return Context{context};
}

SrtpSession::SrtpSession(const sip::SrtpParameters& parameters)
    : parameters_{parameters},
      out_{make(Way::out, parameters.suite, parameters.local)},
      in_{make(Way::in, parameters.suite, parameters.remote)} {}

SrtpSession::~SrtpSession() = default;

void SrtpSession::set_keys(const sip::SrtpParameters& parameters) {
    const bool same_suite = parameters.suite == parameters_.suite;
    // Our counters must go on under our key: it may not encrypt two packets in the same way.
    if (!same_suite || parameters.local != parameters_.local) {
        out_ = make(Way::out, parameters.suite, parameters.local);
    }
    if (!same_suite || parameters.remote != parameters_.remote) {
        in_ = make(Way::in, parameters.suite, parameters.remote);
    }
    parameters_ = parameters;
}

std::span<std::byte> SrtpSession::protect(std::span<std::byte> buffer, std::size_t size) noexcept {
    if (buffer.size() < size + overhead) return {};
    int length = static_cast<int>(size);
    const auto status = srtp_protect(out_.get(), buffer.data(), &length);
    if (status != srtp_err_status_ok) return {};
    return buffer.first(static_cast<std::size_t>(length));
}

std::span<std::byte> SrtpSession::protect_rtcp(
    std::span<std::byte> buffer, std::size_t size
) noexcept {
    if (buffer.size() < size + overhead) return {};
    int length = static_cast<int>(size);
    const auto status = srtp_protect_rtcp(out_.get(), buffer.data(), &length);
    if (status != srtp_err_status_ok) return {};
    return buffer.first(static_cast<std::size_t>(length));
}

std::span<std::byte> SrtpSession::checked(
    std::span<std::byte> packet, int size, int status
) noexcept {
    if (status == srtp_err_status_ok) return packet.first(static_cast<std::size_t>(size));
    if (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old) {
        ++stats_.replayed;
    } else {
        ++stats_.unauthenticated;
    }
    return {};
}

std::span<std::byte> SrtpSession::unprotect(std::span<std::byte> packet) noexcept {
    int size = static_cast<int>(packet.size());
    const auto status = srtp_unprotect(in_.get(), packet.data(), &size);
    return checked(packet, size, status);
}

std::span<std::byte> SrtpSession::unprotect_rtcp(std::span<std::byte> packet) noexcept {
    int size = static_cast<int>(packet.size());
    const auto status = srtp_unprotect_rtcp(in_.get(), packet.data(), &size);
    return checked(packet, size, status);
}

}  // namespace oavc::transports::rtp
