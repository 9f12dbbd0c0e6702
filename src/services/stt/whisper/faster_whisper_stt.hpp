#pragma once

#include "services/config.hpp"
#include "services/stt/stt.hpp"
#include "services/stt/whisper/decode_queue.hpp"
#include "services/stt/whisper/hallucination_filter.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace oavc::services::whisper {

class DecodePool;

/// Texts of these were dropped, by reason. Since start-up; any thread.
using DropStats = std::array<std::atomic<std::uint64_t>, drop_reasons.size()>;

/// Provider `faster-whisper`: Whisper in this process through whisper.cpp, one model for all calls.
/// Audio is buffered per utterance and decoded at its end; while the caller speaks, what two
/// decodes in a row agree on is an interim. Longer than 30 s: cut at a pause, decoded piece by
/// piece, joined. Text keeps the model's casing and punctuation. next() fails with overloaded (the
/// queue is full), timed_out (config.deadline) or unavailable (the engine failed), after which the
/// stream is over. Any shard.
class FasterWhisperStt final : public SttService {
public:
    /// Throws std::runtime_error with a sentence for the operator: a language that Whisper or this
    /// model does not know, no memory.
    FasterWhisperStt(
        std::shared_ptr<const WhisperEngine> engine, const FasterWhisperConfig& config
    );
    ~FasterWhisperStt() override;

    std::string_view name() const noexcept override { return "faster-whisper"; }
    const SttCapabilities& capabilities() const noexcept override { return capabilities_; }
    asio::awaitable<Result<std::unique_ptr<SttStream>>> open(
        async::Shard& shard, SttOptions options
    ) override;
    std::vector<metrics::Count> counts() const override;

    const DecodeStats& stats() const noexcept;
    const DropStats& dropped() const noexcept;

    struct Shared;  ///< with streams, and with reports under way

private:
    const std::shared_ptr<const WhisperEngine> engine_;
    std::shared_ptr<Shared> shared_;
    SttCapabilities capabilities_;
};

}  // namespace oavc::services::whisper
