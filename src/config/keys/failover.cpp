#include "config/keys/keys.hpp"
#include "config/keys/provider_keys.hpp"

namespace oavc::config {

namespace s = services;
using S = services::Config;

namespace {

template <auto Member>
Field breaker(Target t) {
    return &(t.config.services.failover.breaker.*Member);
}

}  // namespace

std::vector<Key> failover_keys() {
    using F = s::FailoverConfig;
    using B = s::BreakerConfig;
    return {
        {"failover",
         "final_transcript",
         at<&S::failover, &F::final_transcript>,
         any_wait,
         "A recogniser that needs longer from the end of speech has failed."},
        {"failover",
         "first_token",
         at<&S::failover, &F::first_token>,
         any_wait,
         "A model that needs longer for its first token has failed."},
        {"failover",
         "next_token",
         at<&S::failover, &F::next_token>,
         any_wait,
         "Or longer between two tokens."},
        {"failover",
         "first_audio",
         at<&S::failover, &F::first_audio>,
         any_wait,
         "A voice that needs longer for a sentence's first audio has failed."},
        {"failover",
         "next_audio",
         at<&S::failover, &F::next_audio>,
         any_wait,
         "Or longer between two pieces of audio."},
        {"failover",
         "consecutive_failures",
         breaker<&B::consecutive_failures>,
         Integer{1, 1'000},
         "So many failures in a row open a provider's circuit breaker: it is not asked any "
         "more."},
        {"failover",
         "failure_ratio",
         breaker<&B::failure_ratio>,
         Number{0.01, 1.0},
         "So large a share of failures among the last `window` requests opens it too."},
        {"failover",
         "window",
         breaker<&B::window>,
         Integer{1, 10'000},
         "How many requests that share is taken of."},
        {"failover",
         "open_for",
         breaker<&B::open_for>,
         any_wait,
         "After this one request may try again; success closes the breaker."},
        {"failover",
         "longest_open",
         breaker<&B::longest_open>,
         any_wait,
         "Each try that fails doubles the wait, up to this."},
        {"failover",
         "hedge",
         at<&S::failover, &F::hedge>,
         Boolean{},
         "When a provider is later than it usually is (its own 95th percentile), ask the "
         "fallback too; the first to answer wins."},
        {"failover",
         "hedge_at_least",
         at<&S::failover, &F::hedge_at_least>,
         any_wait,
         "Never before this."},
        {"failover",
         "probe_interval",
         at<&S::failover, &F::probe_interval>,
         Duration{100ms, 1h},
         "How often providers that are idle or broken are asked whether they answer."},
    };
}

}  // namespace oavc::config
