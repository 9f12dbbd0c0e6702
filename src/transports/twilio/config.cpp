#include "transports/twilio/config.hpp"

#include "net/url.hpp"

namespace oavc::transports::twilio {

namespace {

bool is_loopback(const std::string& host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace

std::vector<std::string> Config::validate() const {
    std::vector<std::string> problems;
    if (validate_signatures && auth_token.empty()) {
        problems.emplace_back(
            "[telephony.twilio] auth_token is empty: set it to the account's auth token "
            "(TWILIO_AUTH_TOKEN), or for a trial without Twilio set validate_signatures = false"
        );
    }
    if (any_instance && auth_token.empty()) {
        problems.emplace_back(
            "[telephony.twilio] any_instance needs auth_token, by which instances know each "
            "other's "
            "calls: set it, the same everywhere"
        );
    }
    if (!public_url.empty()) {
        const auto url = net::parse_url(public_url);
        if (url.has_error() || !url->scheme.starts_with("http")) {
            problems.push_back(
                "[telephony.twilio] public_url '" + public_url +
                "' is not an http or https URL: write it as https://voice.example.com"
            );
        } else {
            if (url->target.find('?') != std::string::npos) {
                problems.emplace_back(
                    "[telephony.twilio] public_url carries a query string, which Twilio refuses in "
                    "media URLs (error 31920): leave it out"
                );
            }
            if (validate_signatures && !url->secure() && !is_loopback(url->host)) {
                problems.push_back(
                    "[telephony.twilio] public_url '" + public_url +
                    "' is not https: Twilio opens media sockets over wss only; put a TLS proxy in "
                    "front, or set [api] tls_port, and name the https URL"
                );
            }
        }
    }
    if (token_ttl.count() <= 0) {
        problems.emplace_back("[telephony.twilio] token_ttl must be positive: 60 s is usual");
    }
    if (max_buffered < milliseconds{40} || max_buffered > milliseconds{2'000}) {
        problems.emplace_back(
            "[telephony.twilio] max_buffered must lie between 40 and 2000 ms: 200 is usual"
        );
    }
    if (media_timeout.count() <= 0) {
        problems.emplace_back("[telephony.twilio] media_timeout must be positive: 30 s is usual");
    }
    const auto api = net::parse_url(api_url);
    if (api.has_error() || !api->scheme.starts_with("http")) {
        problems.push_back(
            "[telephony.twilio] api_url '" + api_url +
            "' is not an http or https URL: it is https://api.twilio.com"
        );
    } else if (!api->secure() && !is_loopback(api->host)) {
        problems.push_back(
            "[telephony.twilio] api_url '" + api_url +
            "' is not https: the auth token would travel in the clear"
        );
    }
    if (api_timeout < milliseconds{100} || api_timeout > milliseconds{60'000}) {
        problems.emplace_back(
            "[telephony.twilio] api_timeout must lie between 100 ms and 60 s: 5 s is usual"
        );
    }
    return problems;
}

}  // namespace oavc::transports::twilio
