#pragma once

// A call's side of a voice behind a server, for tests of adapters.

#include "services/tts/tts.hpp"
#include "support/run_shard.hpp"
#include "support/spoken.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>

namespace oavc::test {

/// `Tts` is made from a `Config`; `Server` is its fake.
template <class Tts, class Config, class Server>
class VoiceTest : public ::testing::Test {
protected:
    void TearDown() override {
        session_.reset();
        run_dry(shard_);
    }
    /// What reaches `server_`.
    virtual Config config() const {
        Config made;
        made.endpoint.url = server_.url();
        made.endpoint.connect_timeout = std::chrono::seconds{20};
        return made;
    }
    services::TtsSession& session(const Config& config, services::TtsOptions options = {"tr", ""}) {
        service_.emplace(config);
        session_ = value_of(shard_, service_->open(shard_, std::move(options)));
        return *session_;
    }
    services::TtsSession& session() { return session(config()); }

    async::Shard shard_{0};
    Server server_;
    std::optional<Tts> service_;
    std::unique_ptr<services::TtsSession> session_;
};

}  // namespace oavc::test
