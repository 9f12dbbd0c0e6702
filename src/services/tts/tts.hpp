#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "media/frame.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

struct TtsCapabilities {
    SampleRate output_rate{wideband};  ///< of every chunk; the pipeline resamples
};

struct TtsOptions {
    std::string language;  ///< BCP 47; empty: the service's default
    std::string voice;     ///< engine-specific; empty: the service's default
};

struct TtsChunk {
    std::vector<media::Sample> samples;  ///< any length > 0
};

/// One synthesis. Destruction cancels it; no audio of it comes afterwards.
class TtsReply {
public:
    virtual ~TtsReply() = default;

    /// Next chunk; ServiceErrc::end_of_stream when complete. Cancellable.
    virtual asio::awaitable<Result<TtsChunk>> next() = 0;
};

/// One call's voice. Thread: the call's shard.
class TtsSession {
public:
    virtual ~TtsSession() = default;

    /// Synthesises one sentence of plain text (UTF-8). Never waits. Several replies may be asked
    /// for; they are synthesised in order.
    virtual std::unique_ptr<TtsReply> speak(std::string text) = 0;
};

class TtsService {
public:
    virtual ~TtsService() = default;
    virtual std::string_view name() const noexcept = 0;
    virtual const TtsCapabilities& capabilities() const noexcept = 0;
    virtual asio::awaitable<Result<std::unique_ptr<TtsSession>>> open(
        async::Shard& shard, TtsOptions options
    ) = 0;
};

}  // namespace oavc::services
