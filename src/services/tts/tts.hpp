#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "media/frame.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "services/served.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

struct TtsCapabilities {
    SampleRate output_rate{wideband};  ///< what chunks usually have; each says its own
    bool cancel{true};                 ///< destroying a reply also stops the work at the engine
};

struct TtsOptions {
    std::string language;  ///< BCP 47; empty: the service's default
    std::string voice;     ///< engine-specific; empty: the service's default
    /// W3C trace context of the call, for the handshake with a server; empty: none.
    std::string traceparent{};
    log::Logger log{};  ///< the call's: its lines name it
};

struct TtsChunk {
    std::vector<media::Sample> samples;  ///< any length > 0
    SampleRate rate{wideband};           ///< of these samples; the pipeline resamples
};

/// One synthesis. Destruction cancels it; no audio of it comes afterwards.
class TtsReply {
public:
    virtual ~TtsReply() = default;

    /// Next chunk; ServiceErrc::end_of_stream when complete. Cancellable.
    virtual asio::awaitable<Result<TtsChunk>> next() = 0;

    /// Known from the first chunk on.
    virtual Served served() const { return {}; }
};

/// One call's voice. Thread: the call's shard.
class TtsSession {
public:
    virtual ~TtsSession() = default;

    /// Synthesises one sentence of plain text (UTF-8). Never waits. Several replies may be asked
    /// for; they are synthesised in order.
    virtual std::unique_ptr<TtsReply> speak(std::string text) = 0;

    /// The audio of that sentence, whole and at `rate` (none: as it was synthesised), when it was
    /// said before and needs no synthesis; else null.
    virtual std::shared_ptr<const TtsChunk> kept(
        std::string_view text, std::optional<SampleRate> rate
    ) {
        static_cast<void>(text);
        static_cast<void>(rate);
        return nullptr;
    }
};

/// A voice engine or server. One object for all calls, safe from several shards at once.
class TtsService {
public:
    virtual ~TtsService() = default;
    virtual std::string_view name() const noexcept = 0;
    virtual const TtsCapabilities& capabilities() const noexcept = 0;
    virtual asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) = 0;

    /// Does it answer? Without effect on calls: a connection, a handshake, a health request.
    /// Engines inside the process have nothing to ask.
    virtual asio::awaitable<Result<void>> probe(async::Shard& shard) {
        static_cast<void>(shard);
        co_return Result<void>{};
    }

    /// What it counts itself, since start-up, for metrics: always the same names. Thread: any.
    virtual std::vector<metrics::Count> counts() const { return {}; }
};

}  // namespace oavc::services
