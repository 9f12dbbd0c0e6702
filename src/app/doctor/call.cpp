#include "app/doctor/call.hpp"

#include "app/doctor/machine.hpp"
#include "caller/run.hpp"

#include <exception>
#include <utility>

namespace oavc::app::doctor {

namespace {

constexpr milliseconds longest_call{45'000};
constexpr milliseconds longest_wait{10'000};  ///< for the server to subscribe

class Silent final : public caller::RunObserver {
public:
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const caller::Dialled&) override {}
    void on_caller_speaks(milliseconds, const caller::Utterance&) override {}
    void on_server_event(milliseconds, const caller::ServerEvent&) override {}
    void on_over(milliseconds, std::string_view) override {}
    void on_report(const caller::CallReport&) override {}
};

}  // namespace

config::Loaded beside(config::Loaded loaded) {
    config::Config& config = loaded.config;
    config.api.host = "127.0.0.1";
    config.api.port = free_tcp_port();
    config.api.token.clear();  // from this machine none is needed
    auto& opensips = config.opensips;
    opensips.event_ip = "127.0.0.1";
    opensips.event_port = 0;
    opensips.event_advertised.clear();
    opensips.mi_ip = "127.0.0.1";
    opensips.mi_port = free_udp_port();
    opensips.allowed_peers = {"127.0.0.1"};
    opensips.mode = "events";  // what the test caller plays
    config.twilio.public_url.clear();
    config.telephony.fallback_provider.clear();
    config.pipeline.limits.shards = 1;
    return loaded;
}

Call place_call(const CallPlan& plan) {
    caller::Options options;
    options.via = plan.via;
    options.speech = {{caller::Options::Speech::Kind::text, plan.said, false}};
    options.json = true;  // records nothing
    options.url = plan.url;
    options.ca_file = plan.ca_file;
    options.rtp_ip = plan.phone_ip;
    options.wait = longest_wait;
    options.timeout = longest_call;

    Call call;
    call.via = plan.via;
    try {
        Silent observer;
        caller::CallRun run{std::move(options), plan.server, observer};
        const auto& reports = run.run();
        if (reports.empty()) {
            call.error = "stopped";
        } else {
            call.report = reports.front();
        }
    } catch (const std::exception& error) {
        call.error = error.what();
    }
    return call;
}

}  // namespace oavc::app::doctor
