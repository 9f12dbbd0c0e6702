#pragma once

#include "base/error.hpp"
#include "base/result.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::media {

enum class WavErrc {
    not_wav = 1,  ///< no RIFF/WAVE header
    truncated,    ///< ends before its format or its audio
    unsupported,  ///< not 8 or 16 bit PCM, µ-law or A-law, or more than 2 channels
    too_large,    ///< over the limit for reading, or over 4 GiB for writing
    io,           ///< the file could not be read or written
};
std::string_view describe(WavErrc code) noexcept;
OAVC_ERROR_CATEGORY(WavErrc, "oavc.wav")

}  // namespace oavc::media
OAVC_ERROR_CODE_ENUM(oavc::media::WavErrc)

namespace oavc::media {

struct WavAudio {
    SampleRate rate;
    unsigned channels{1};         ///< 1 or 2
    std::vector<Sample> samples;  ///< interleaved

    std::size_t frames() const noexcept { return samples.size() / channels; }
    /// Stereo is averaged.
    std::vector<Sample> mono() const;
    /// One channel alone: 0 left, 1 right.
    std::vector<Sample> channel(unsigned index) const;
};

inline constexpr std::size_t max_wav_size = 256u << 20;

/// Reads a whole file in memory. Untrusted: bounded by the input's size; allocates for the samples
/// only. A data chunk that claims more than there is (a stream's header) ends with the input.
Result<WavAudio> parse_wav(std::span<const std::byte> file);

/// Reads a file of at most max_wav_size. Errors: WavErrc, or the system's for opening.
Result<WavAudio> read_wav(const std::string& path);

/// Writes 16-bit PCM as it comes. The header is right after close() or destruction; until then the
/// lengths in it say "to the end". Not for a shard: writes to disk, buffered.
class WavWriter {
public:
    static Result<WavWriter> open(const std::string& path, SampleRate rate, unsigned channels);
    WavWriter(WavWriter&&) noexcept = default;
    WavWriter& operator=(WavWriter&&) noexcept;
    ~WavWriter();

    /// `interleaved` holds whole frames.
    Result<void> write(Samples interleaved);

    /// Of a stereo file. The shorter side is filled up with silence.
    Result<void> write_stereo(Samples left, Samples right);

    /// Completes the header. Further calls do nothing.
    Result<void> close();

    std::uint64_t frames() const noexcept { return data_bytes_ / (2 * channels_); }

private:
    struct Close {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    WavWriter(std::FILE* file, SampleRate rate, unsigned channels) noexcept;
    bool write_header(std::uint32_t data_bytes) noexcept;

    std::unique_ptr<std::FILE, Close> file_;
    SampleRate rate_;
    unsigned channels_;
    std::uint64_t data_bytes_{0};
};

}  // namespace oavc::media
