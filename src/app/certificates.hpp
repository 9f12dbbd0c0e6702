#pragma once

#include "config/config.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace oavc::app {

/// A certificate that we show, as a server or as a client.
struct ShownCertificate {
    std::string key;  ///< whose value names the file: "api.tls_certificate"
    std::string file;
};

/// Those of servers and of the collector of traces are `started`'s, as those need a restart; those
/// of the services that calls use are `running`'s.
std::vector<ShownCertificate> shown_certificates(
    const config::Config& started, const config::Config& running
);

/// How long a certificate is still good.
enum class Validity {
    fine,
    ends_soon,  ///< in less than 14 days: a renewal that runs by itself should have come
    urgent,     ///< in less than 2 days
    ended,      ///< nobody believes it any more
};
Validity validity_at(std::chrono::sys_seconds now, std::chrono::sys_seconds ends) noexcept;

/// "2026-12-01 09:30 UTC".
std::string to_text(std::chrono::sys_seconds time);

/// Tells when the certificates that we show end: oavc_certificate_expiry_timestamp_seconds, and a
/// line of the log at once and once a day for those that end soon. Thread: main.
class CertificateWatch {
public:
    /// `registry` outlives it.
    CertificateWatch(metrics::Registry& registry, log::Logger log);

    /// These have been read, again or for the first time.
    void read(const std::vector<ShownCertificate>& shown, std::chrono::sys_seconds now);
    /// Now and then.
    void remind(std::chrono::sys_seconds now);

private:
    struct Watched {
        std::string file;
        std::chrono::sys_seconds ends{};
        std::chrono::sys_seconds told{};  ///< when the log had it last; epoch: never
        metrics::Gauge gauge;
    };

    metrics::Registry& registry_;
    const log::Logger log_;
    std::map<std::string, Watched> watched_;  ///< by key
};

}  // namespace oavc::app
