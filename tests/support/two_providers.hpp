#pragma once

// A failover wrapper around two fakes that live in the test.

#include "services/failover/provider.hpp"
#include "support/await.hpp"
#include "support/fake_services.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace oavc::services {

/// Deadlines that tests wait out are short; those that they must not meet are long.
inline FailoverConfig patient() {
    FailoverConfig config;
    config.final_transcript = 30s;
    config.first_token = 30s;
    config.next_token = 30s;
    config.first_audio = 30s;
    config.next_audio = 30s;
    config.breaker.open_for = 60s;
    return config;
}

/// A service that lives in the test, for a wrapper that wants to own it.
template <class Base, class Fake, class Session, class Options>
class Borrowed final : public Base {
public:
    explicit Borrowed(Fake& fake) : fake_{fake} {}
    std::string_view name() const noexcept override { return fake_.name(); }
    decltype(std::declval<Fake&>().capabilities()) capabilities() const noexcept override {
        return fake_.capabilities();
    }
    asio::awaitable<Result<std::unique_ptr<Session>>> open(async::Shard& shard, Options options)
        override {
        return fake_.open(shard, std::move(options));
    }

private:
    Fake& fake_;
};

using LentTts = Borrowed<TtsService, FakeTts, TtsSession, TtsOptions>;

/// `Failover` asks `first`, which is `one`, and then `second`.
template <ServiceKind kind, class Failover, class Base, class Fake, class Session, class Options>
class TwoProviders : public testing::Test {
protected:
    std::unique_ptr<Session> open_both(
        const FailoverConfig& config, Options options = {}, bool with_fallback = true
    ) {
        first = provider("first", config);
        second = provider("second", config);
        std::vector<Candidate<Base>> candidates;
        candidates.push_back({std::make_unique<Lent>(one), first});
        if (with_fallback) candidates.push_back({std::make_unique<Lent>(two), second});
        both = std::make_unique<Failover>(std::move(candidates), config);
        return test::value_of(shard, both->open(shard, std::move(options)));
    }
    /// Runs whatever can run now.
    void settle() {
        shard.context().restart();
        shard.context().poll();
    }

    async::Shard shard{0};
    Fake one;
    Fake two;
    std::shared_ptr<Provider> first;
    std::shared_ptr<Provider> second;
    std::unique_ptr<Failover> both;

private:
    using Lent = Borrowed<Base, Fake, Session, Options>;

    static std::shared_ptr<Provider> provider(
        const std::string& name, const FailoverConfig& config
    ) {
        Provider::Identity identity;
        identity.kind = kind;
        identity.name = name;
        identity.fallback = name != "first";
        return std::make_shared<Provider>(identity, config.breaker);
    }
};

}  // namespace oavc::services
