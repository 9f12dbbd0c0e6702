#include "app/certificates.hpp"

#include "app/client_identities.hpp"
#include "net/certificate_expiry.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <limits>
#include <utility>

namespace oavc::app {

namespace {

using std::chrono::days;
using std::chrono::sys_seconds;

constexpr days soon{14};
constexpr days urgent{2};
constexpr std::chrono::hours between_reminders{24};

}  // namespace

std::vector<ShownCertificate> shown_certificates(
    const config::Config& started, const config::Config& running
) {
    std::vector<ShownCertificate> shown;
    const auto add = [&shown](bool used, std::string key, const std::string& file) {
        if (used && !file.empty()) shown.push_back({std::move(key), file});
    };
    add(started.api.tls_port != 0, "api.tls_certificate", started.api.tls_certificate);
    add(started.serves_sip(), "telephony.sip.tls_certificate", started.sip.tls_certificate);
    const auto& tracing = started.tracing;
    add(!tracing.endpoint.empty(), "tracing.certificate_file", tracing.certificate_file);
    for (const auto& [section, identity] : client_identities(running))
        add(true, section + ".certificate_file", identity.certificate_file);
    return shown;
}

Validity validity_at(sys_seconds now, sys_seconds ends) noexcept {
    if (ends <= now) return Validity::ended;
    if (ends - now < urgent) return Validity::urgent;
    return ends - now < soon ? Validity::ends_soon : Validity::fine;
}

std::string to_text(sys_seconds time) { return fmt::format("{:%Y-%m-%d %H:%M} UTC", time); }

CertificateWatch::CertificateWatch(metrics::Registry& registry, log::Logger log)
    : registry_{registry}, log_{std::move(log)} {}

void CertificateWatch::read(const std::vector<ShownCertificate>& shown, sys_seconds now) {
    std::map<std::string, Watched> gone = std::exchange(watched_, {});
    for (const auto& [key, file] : shown) {
        Watched watched;
        if (auto before = gone.extract(key)) watched = std::move(before.mapped());
        const auto ends = net::certificate_expiry(file);
        if (!ends) {  // what was read before goes on, and whoever reads it says what is wrong
            if (!watched.file.empty()) watched_.emplace(key, std::move(watched));
            continue;
        }
        if (watched.file != file || watched.ends != *ends) watched.told = {};
        watched.file = file;
        watched.ends = *ends;
        watched.gauge = registry_.gauge(
            "oavc_certificate_expiry_timestamp_seconds",
            "When a certificate that we show ends, Unix time, by the key that names its file.",
            {{"certificate", key}}
        );
        watched.gauge.set(static_cast<double>(ends->time_since_epoch().count()));
        watched_.emplace(key, std::move(watched));
    }
    // Neither good nor bad: no alert compares with it.
    for (const auto& [key, watched] : gone)
        watched.gauge.set(std::numeric_limits<double>::quiet_NaN());
    remind(now);
}

void CertificateWatch::remind(sys_seconds now) {
    for (auto& [key, watched] : watched_) {
        const auto validity = validity_at(now, watched.ends);
        if (validity == Validity::fine || now - watched.told < between_reminders) continue;
        watched.told = now;
        const auto certificate = log::kv("certificate", key);
        const auto file = log::kv("file", watched.file);
        const auto ends = log::kv("ends", to_text(watched.ends));
        if (validity == Validity::ends_soon) {
            log_.warn("a certificate ends soon: renew it", certificate, file, ends);
        } else if (validity == Validity::urgent) {
            log_.error("a certificate ends within two days: renew it now", certificate, file, ends);
        } else {
            log_.error(
                "a certificate has ended: nobody believes it, renew it now", certificate, file, ends
            );
        }
    }
}

}  // namespace oavc::app
