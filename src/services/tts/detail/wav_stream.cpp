#include "services/tts/detail/wav_stream.hpp"

#include "base/bytes.hpp"
#include "services/errors.hpp"

#include <utility>

namespace oavc::services {

namespace {

constexpr std::size_t longest_header = 4'096;

std::uint32_t little_endian(std::span<const std::byte> bytes) noexcept {
    std::uint32_t value = 0;
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
        value = value << 8 | std::to_integer<std::uint32_t>(*byte);
    }
    return value;
}

}  // namespace

/// True once the audio begins; pending_ then starts with it. `broken`: this is no such file.
bool WavStream::parse_header(bool& broken) {
    const std::span<const std::byte> bytes{pending_};
    constexpr std::size_t riff_size = 12;
    if (bytes.size() < riff_size) return false;
    if (as_text(bytes.first(4)) != "RIFF" || as_text(bytes.subspan(8, 4)) != "WAVE") {
        broken = true;
        return false;
    }
    for (std::size_t at = riff_size; at + 8 <= bytes.size();) {
        const auto id = as_text(bytes.subspan(at, 4));
        const std::size_t size = little_endian(bytes.subspan(at + 4, 4));
        at += 8;
        if (id == "data") {
            broken = rate_.hz == 0;  // no format chunk before it
            pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
            return !broken;
        }
        if (size > longest_header) {
            broken = true;
            return false;
        }
        if (id == "fmt ") {
            constexpr std::size_t format_size = 16;
            if (at + format_size > bytes.size()) return false;
            const auto format = bytes.subspan(at, format_size);
            const bool pcm = little_endian(format.first(2)) == 1;
            const bool mono = little_endian(format.subspan(2, 2)) == 1;
            const bool wide = little_endian(format.subspan(14, 2)) == 16;
            rate_.hz = little_endian(format.subspan(4, 4));
            if (!pcm || !mono || !wide || rate_.hz < 4'000 || rate_.hz > 96'000) {
                broken = true;
                return false;
            }
        }
        at += size + (size & 1u);
    }
    broken = bytes.size() > longest_header;
    return false;
}

Result<void> WavStream::feed(std::span<const std::byte> bytes, std::vector<media::Sample>& out) {
    if (!in_audio_) {
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
        bool broken = false;
        in_audio_ = parse_header(broken);
        if (broken) return make_error_code(ServiceErrc::protocol);
        if (!in_audio_) return {};
        audio_.push(std::exchange(pending_, {}), out);
        return {};
    }
    audio_.push(bytes, out);
    return {};
}

}  // namespace oavc::services
