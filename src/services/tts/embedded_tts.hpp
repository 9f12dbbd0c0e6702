#pragma once

#include "services/tts/tts.hpp"

#include <memory>

namespace oavc::services {

/// The voices that are always here: one for English, one for every other language. For what must be
/// said when the configured voice is down. Callable from any shard.
class EmbeddedTts final : public TtsService {
public:
    EmbeddedTts(std::unique_ptr<TtsService> english, std::unique_ptr<TtsService> others)
        : english_{std::move(english)}, others_{std::move(others)} {}

    std::string_view name() const noexcept override { return "embedded"; }
    const TtsCapabilities& capabilities() const noexcept override {
        return english_->capabilities();
    }
    asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) override {
        const bool english = options.language.empty() || options.language.starts_with("en");
        options.voice.clear();  // another engine's
        auto& voice = english ? *english_ : *others_;
        auto session = co_await voice.open(shard, std::move(options));
        co_return session;
    }

private:
    std::unique_ptr<TtsService> english_;
    std::unique_ptr<TtsService> others_;
};

}  // namespace oavc::services
