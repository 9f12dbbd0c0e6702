#pragma once

#include "base/result.hpp"
#include "media/frame.hpp"
#include "services/tts/detail/pcm_joiner.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace oavc::services {

/// A WAV file as it comes through a pipe: its sizes may be made up, as the writer did not know
/// them. PCM, 16 bit, mono. Sans-I/O.
class WavStream {
public:
    /// Takes the next bytes and appends their samples to `out`. Fails with ServiceErrc::protocol
    /// when it is no such file, or its header exceeds 4 KiB.
    Result<void> feed(std::span<const std::byte> bytes, std::vector<media::Sample>& out);

    bool in_audio() const noexcept { return in_audio_; }
    /// Once in_audio().
    SampleRate rate() const noexcept { return rate_; }

private:
    bool parse_header(bool& broken);

    std::vector<std::byte> pending_;  ///< of the header
    PcmJoiner audio_;
    bool in_audio_{false};
    SampleRate rate_{0};
};

}  // namespace oavc::services
