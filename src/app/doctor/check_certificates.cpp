#include "app/certificates.hpp"
#include "app/doctor/checks.hpp"
#include "net/certificate_errors.hpp"

#include <boost/asio/error.hpp>

#include <fmt/format.h>

namespace oavc::app::doctor {

Finding check_certificate(const Certificate& facts) {
    const std::string check = "certificate";
    const std::string which = fmt::format("{} ({})", facts.key, facts.file);
    if (!facts.error.empty()) {
        return fault(
            check,
            fmt::format("{} cannot be read: {}", which, facts.error),
            "put a PEM file there that the server's user may read"
        );
    }
    const std::string found = fmt::format("{} ends on {}", which, app::to_text(facts.ends));
    const std::string advice =
        "renew it and write it to the same file: the server notices within half a minute";
    switch (validity_at(facts.now, facts.ends)) {
        case Validity::fine:
            return fine(check, found);
        case Validity::ends_soon:
            return warning(check, found, advice);
        case Validity::urgent:
            return fault(check, found + ": in less than two days", advice);
        case Validity::ended:
            break;
    }
    return fault(
        check,
        fmt::format("{} ended on {}: nobody believes it", which, app::to_text(facts.ends)),
        advice
    );
}

Finding check_https(const Https& facts) {
    const std::string check = "https";
    if (!facts.error) return fine(check, facts.url + " answers, and its certificate is believed");
    if (facts.error == net::CertificateErrc::wrong_name) {
        return fine(check, facts.url + " answers; its certificate is for other names");
    }
    if (facts.error == net::CertificateErrc::untrusted) {
        return warning(
            check,
            facts.url + " answers with a certificate that nobody trusted here has signed",
            "name its authority: --ca FILE; clients need the same, and Twilio takes public ones "
            "only"
        );
    }
    // Who wants a certificate and gets none hangs up, in one way or another.
    const bool something_else = facts.error == net::CertificateErrc::out_of_date ||
                                facts.error == boost::asio::error::connection_refused ||
                                facts.error == boost::asio::error::timed_out;
    if (facts.wants_certificate && !something_else) {
        return skipped(check, facts.url + " wants to see a client's certificate");
    }
    return fault(
        check,
        fmt::format("{} does not answer: {}", facts.url, facts.error.message()),
        "see the server's log; [api] tls_port, tls_certificate and tls_private_key"
    );
}

}  // namespace oavc::app::doctor
