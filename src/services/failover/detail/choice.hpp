#pragma once

#include "services/detail/stream_error.hpp"
#include "services/failover/provider.hpp"

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace oavc::services {

/// What a provider is blamed for. One that says "cancelled" when nobody cancelled it has failed.
inline error_code fault(const error_code& error) noexcept {
    const auto told = service_error(error);
    return told == ServiceErrc::cancelled ? make_error_code(ServiceErrc::unavailable) : told;
}

/// Which provider a call's next request goes to: in the order of configuration, but not where the
/// breaker forbids it, and last to those that let this very call down a moment ago: no caller
/// waits for the same dead provider sentence after sentence, until enough others did so that its
/// breaker opens.
class Choice {
public:
    struct Picked {
        std::size_t index;
        Attempt attempt;
    };

    /// `avoid_for`: how long a provider that failed comes last.
    Choice(std::vector<Provider*> providers, Clock::duration avoid_for)
        : providers_{std::move(providers)},
          avoid_for_{avoid_for},
          avoid_until_(providers_.size()) {}

    /// Who was asked one question; empty: nobody yet.
    using Asked = std::vector<bool>;

    /// One that was not asked yet. Nothing: nobody is left.
    std::optional<Picked> pick(Asked& asked, TimePoint now) {
        asked.resize(providers_.size());
        for (const bool avoided : {false, true}) {
            for (std::size_t i = 0; i < providers_.size(); ++i) {
                if (asked[i] || (avoid_until_[i] > now) != avoided) continue;
                auto attempt = providers_[i]->begin(now);
                if (!attempt) continue;
                asked[i] = true;
                return Picked{i, std::move(*attempt)};
            }
        }
        return std::nullopt;
    }

    /// How long to wait for the one that was picked last: `limit`, twice as long when nobody is
    /// left to ask. A late answer is better than an apology; the pipeline's own limits still hold.
    Clock::duration patience(const Asked& asked, Clock::duration limit, TimePoint now) const {
        for (std::size_t i = 0; i < asked.size(); ++i) {
            if (!asked[i] && providers_[i]->available(now)) return limit;
        }
        return 2 * limit;
    }

    void let_down(std::size_t index, TimePoint now) { avoid_until_[index] = now + avoid_for_; }

    Provider& provider(std::size_t index) const noexcept { return *providers_[index]; }
    std::size_t size() const noexcept { return providers_.size(); }

private:
    std::vector<Provider*> providers_;
    Clock::duration avoid_for_;
    std::vector<TimePoint> avoid_until_;
};

}  // namespace oavc::services
