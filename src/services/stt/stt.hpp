#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "media/frame.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "services/served.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// What an engine can do. The pipeline branches on this, never on an engine's name.
struct SttCapabilities {
    SampleRate input_rate{wideband};  ///< PCM s16 mono; the pipeline resamples, adapters do not
    bool interim_results{false};
    bool endpointing{false};  ///< the engine reports the end of an utterance itself
    bool word_times{false};   ///< finals carry SttEvent::words
    bool cancel{true};        ///< cancel() also stops the work at the engine
    bool any_rate{false};     ///< frames may come at any rate, the same within an utterance
};

/// A recognised word. Times count from the beginning of its utterance.
struct SttWord {
    std::string text;
    milliseconds begin{0};
    milliseconds end{0};
    double confidence{0.0};  ///< 0 … 1
};

/// What one call asks of its recogniser.
struct SttOptions {
    std::string language;  ///< BCP 47 ("en", "tr-TR"); empty: the service's own default
    /// W3C trace context of the call, for the handshake with a server; empty: none.
    std::string traceparent{};
    log::Logger log{};  ///< the call's: its lines name it
};

struct SttEvent {
    enum class Kind { interim, final };
    Kind kind{Kind::final};
    UtteranceId utterance;
    std::string text;  ///< lower case, no punctuation promised; empty: nothing was recognised
    std::vector<SttWord> words{};  ///< of finals, where the engine gives them
    Served served{};
};

/// One call's recogniser, warm for the whole call; utterances are marked within it. Thread: the
/// call's shard. Destruction aborts whatever runs. Fake: tests/support/fake_services.hpp.
class SttStream {
public:
    virtual ~SttStream() = default;

    /// Begins an utterance. Frames pushed from now on, pre-roll included, belong to it.
    virtual void begin(UtteranceId utterance) noexcept = 0;

    /// Audio at capabilities().input_rate unless any_rate, any length. Never blocks: buffers up to
    /// a bound of the service's own, then drops the oldest and counts.
    virtual void push(media::FrameView audio) noexcept = 0;

    /// The utterance is over: exactly one final event for it follows from next().
    virtual void end() noexcept = 0;

    /// Forgets the utterance: no event for it comes any more.
    virtual void cancel() noexcept = 0;

    /// Next event. An error ends the stream; failover then takes the next provider. Cancellable.
    virtual asio::awaitable<Result<SttEvent>> next() = 0;
};

/// A recognition engine or server. One object for all calls; open() is called on each call's shard
/// and must be safe from several shards at once.
class SttService {
public:
    virtual ~SttService() = default;
    virtual std::string_view name() const noexcept = 0;  ///< provider id
    virtual const SttCapabilities& capabilities() const noexcept = 0;
    virtual asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
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
