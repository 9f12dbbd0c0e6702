#pragma once

#include "base/result.hpp"
#include "media/frame.hpp"
#include "services/tts/detail/pcm_joiner.hpp"
#include "services/tts/detail/wav_stream.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace oavc::services {

/// One sentence's audio as servers send it: s16 little-endian, mono, without a header, cut anywhere
/// (also within a sample). A server that sends a WAV file after all is understood: its header gives
/// the rate. Sans-I/O.
class PcmStream {
public:
    explicit PcmStream(SampleRate rate) noexcept : rate_{rate} {}

    /// Takes the next bytes and appends their samples to `out`. Fails with ServiceErrc::protocol
    /// when they begin like a WAV file of a kind that we do not play.
    Result<void> feed(std::span<const std::byte> bytes, std::vector<media::Sample>& out);

    /// Of the samples so far.
    SampleRate rate() const noexcept { return wav_ ? wav_->rate() : rate_; }
    /// What the server says it is; a WAV header knows better.
    void set_rate(SampleRate rate) noexcept { rate_ = rate; }

private:
    enum class Form { unknown, raw, wav };

    SampleRate rate_;
    Form form_{Form::unknown};
    std::vector<std::byte> begun_;  ///< the first bytes, until they tell which form
    PcmJoiner raw_;
    std::optional<WavStream> wav_;
};

/// A rate that speech may have: others are a server's mistake.
constexpr bool is_speech_rate(std::int64_t hz) noexcept { return hz >= 4'000 && hz <= 96'000; }

}  // namespace oavc::services
