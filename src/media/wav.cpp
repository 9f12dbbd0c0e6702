#include "media/wav.hpp"

#include "base/assert.hpp"
#include "media/g711.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

namespace oavc::media {
namespace {

constexpr std::uint16_t format_pcm = 1;
constexpr std::uint16_t format_alaw = 6;
constexpr std::uint16_t format_ulaw = 7;
constexpr std::uint16_t format_extensible = 0xFFFE;
constexpr std::uint32_t unknown_length = 0xFFFF'FFFF;
constexpr std::size_t header_size = 44;

std::uint32_t little(std::span<const std::byte> bytes) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
        value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
    }
    return value;
}

bool is_tag(std::span<const std::byte> bytes, std::string_view tag) noexcept {
    return std::ranges::equal(bytes, tag, [](std::byte b, char c) {
        return b == static_cast<std::byte>(c);
    });
}

struct Format {
    std::uint16_t encoding;
    unsigned channels;
    std::uint32_t rate;
    unsigned bits;
};

std::optional<Format> read_format(std::span<const std::byte> chunk) noexcept {
    if (chunk.size() < 16) return std::nullopt;
    Format format{};
    format.encoding = static_cast<std::uint16_t>(little(chunk.first(2)));
    format.channels = little(chunk.subspan(2, 2));
    format.rate = little(chunk.subspan(4, 4));
    format.bits = little(chunk.subspan(14, 2));
    if (format.encoding == format_extensible) {  // the real one begins its sub-format GUID
        if (chunk.size() < 26) return std::nullopt;
        format.encoding = static_cast<std::uint16_t>(little(chunk.subspan(24, 2)));
    }
    return format;
}

bool is_supported(const Format& format) noexcept {
    const bool coding =
        (format.encoding == format_pcm && (format.bits == 8 || format.bits == 16)) ||
        ((format.encoding == format_alaw || format.encoding == format_ulaw) && format.bits == 8);
    return coding && (format.channels == 1 || format.channels == 2) && format.rate >= 1'000 &&
           format.rate <= 384'000;
}

std::vector<Sample> decode_samples(const Format& format, std::span<const std::byte> data) {
    const auto width = format.bits / 8;
    const auto count = data.size() / (width * format.channels) * format.channels;
    std::vector<Sample> samples(count);
    if (format.encoding == format_ulaw) {
        g711::ulaw_decode(data, samples);
    } else if (format.encoding == format_alaw) {
        g711::alaw_decode(data, samples);
    } else if (width == 1) {  // unsigned
        for (std::size_t i = 0; i < count; ++i) {
            samples[i] = static_cast<Sample>((std::to_integer<int>(data[i]) - 128) * 256);
        }
    } else {
        for (std::size_t i = 0; i < count; ++i) {
            samples[i] = static_cast<Sample>(little(data.subspan(2 * i, 2)));
        }
    }
    return samples;
}

void put_little(std::span<std::byte> out, std::uint32_t value) noexcept {
    for (std::byte& b : out) {
        b = static_cast<std::byte>(value & 0xFF);
        value >>= 8;
    }
}

void put_tag(std::span<std::byte> out, std::string_view tag) noexcept {
    std::ranges::transform(tag, out.begin(), [](char c) { return static_cast<std::byte>(c); });
}

}  // namespace

std::string_view describe(WavErrc code) noexcept {
    switch (code) {
        case WavErrc::not_wav:
            return "not a WAV file";
        case WavErrc::truncated:
            return "the WAV file ends before its audio";
        case WavErrc::unsupported:
            return "WAV must be 8 or 16 bit PCM, u-law or A-law, mono or stereo";
        case WavErrc::too_large:
            return "the WAV file is too large";
        case WavErrc::io:
            return "the WAV file could not be read or written";
    }
    return "unknown WAV error";
}

std::vector<Sample> WavAudio::mono() const {
    if (channels != 2) return samples;
    std::vector<Sample> mixed(frames());
    for (std::size_t i = 0; i < mixed.size(); ++i) {
        mixed[i] = static_cast<Sample>((samples[2 * i] + samples[2 * i + 1]) / 2);
    }
    return mixed;
}

std::vector<Sample> WavAudio::channel(unsigned index) const {
    OAVC_ASSERT(index < channels);
    std::vector<Sample> one(frames());
    for (std::size_t i = 0; i < one.size(); ++i)
        one[i] = samples[i * channels + index];
    return one;
}

Result<WavAudio> parse_wav(std::span<const std::byte> file) {
    if (file.size() < 12 || !is_tag(file.first(4), "RIFF") || !is_tag(file.subspan(8, 4), "WAVE")) {
        return WavErrc::not_wav;
    }
    auto rest = file.subspan(12);
    std::optional<Format> format;
    while (rest.size() >= 8) {
        const auto tag = rest.first(4);
        const std::size_t size = little(rest.subspan(4, 4));
        rest = rest.subspan(8);
        const auto chunk = rest.first(std::min(size, rest.size()));
        if (is_tag(tag, "fmt ")) {
            format = read_format(chunk);
            if (!format) return WavErrc::truncated;
            if (!is_supported(*format)) return WavErrc::unsupported;
        } else if (is_tag(tag, "data")) {
            if (!format) return WavErrc::truncated;
            // A stream's writer never came back to fill in the length.
            const auto data = size == 0 ? rest : chunk;
            return WavAudio{{format->rate}, format->channels, decode_samples(*format, data)};
        }
        rest = rest.subspan(std::min(size + size % 2, rest.size()));  // chunks are padded to words
    }
    return WavErrc::truncated;
}

Result<WavAudio> read_wav(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{
        std::fopen(path.c_str(), "rb"), &std::fclose};
    if (!file) return error_code{errno, boost::system::system_category()};
    std::vector<std::byte> bytes;
    std::array<std::byte, 65'536> block;
    while (const auto got = std::fread(block.data(), 1, block.size(), file.get())) {
        if (bytes.size() + got > max_wav_size) return WavErrc::too_large;
        bytes.insert(bytes.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(got));
    }
    if (std::ferror(file.get()) != 0) return WavErrc::io;
    return parse_wav(bytes);
}

Result<WavWriter> WavWriter::open(const std::string& path, SampleRate rate, unsigned channels) {
    if (channels != 1 && channels != 2) return WavErrc::unsupported;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) return error_code{errno, boost::system::system_category()};
    WavWriter writer{file, rate, channels};
    if (!writer.write_header(unknown_length)) return WavErrc::io;
    return writer;
}

WavWriter::WavWriter(std::FILE* file, SampleRate rate, unsigned channels) noexcept
    : file_{file}, rate_{rate}, channels_{channels} {}

WavWriter& WavWriter::operator=(WavWriter&& other) noexcept {
    if (this == &other) return *this;
    (void)close();
    file_ = std::move(other.file_);
    rate_ = other.rate_;
    channels_ = other.channels_;
    data_bytes_ = other.data_bytes_;
    return *this;
}

WavWriter::~WavWriter() { (void)close(); }

bool WavWriter::write_header(std::uint32_t data_bytes) noexcept {
    std::array<std::byte, header_size> header{};
    const std::span out{header};
    const std::uint32_t frame_bytes = 2 * channels_;
    const bool known = data_bytes != unknown_length;
    put_tag(out.subspan(0, 4), "RIFF");
    put_little(out.subspan(4, 4), known ? data_bytes + (header_size - 8) : unknown_length);
    put_tag(out.subspan(8, 8), "WAVEfmt ");
    put_little(out.subspan(16, 4), 16);
    put_little(out.subspan(20, 2), format_pcm);
    put_little(out.subspan(22, 2), channels_);
    put_little(out.subspan(24, 4), rate_.hz);
    put_little(out.subspan(28, 4), rate_.hz * frame_bytes);
    put_little(out.subspan(32, 2), frame_bytes);
    put_little(out.subspan(34, 2), 16);
    put_tag(out.subspan(36, 4), "data");
    put_little(out.subspan(40, 4), data_bytes);
    return std::fwrite(header.data(), 1, header.size(), file_.get()) == header.size();
}

Result<void> WavWriter::write(Samples interleaved) {
    if (!file_) return WavErrc::io;
    OAVC_ASSERT(interleaved.size() % channels_ == 0);
    if (data_bytes_ + interleaved.size_bytes() > unknown_length - header_size)
        return WavErrc::too_large;
    std::array<std::byte, 4'096> block;
    while (!interleaved.empty()) {
        const auto part = interleaved.first(std::min(interleaved.size(), block.size() / 2));
        for (std::size_t i = 0; i < part.size(); ++i) {
            put_little(std::span{block}.subspan(2 * i, 2), static_cast<std::uint16_t>(part[i]));
        }
        if (std::fwrite(block.data(), 2, part.size(), file_.get()) != part.size())
            return WavErrc::io;
        data_bytes_ += part.size_bytes();
        interleaved = interleaved.subspan(part.size());
    }
    return {};
}

Result<void> WavWriter::write_stereo(Samples left, Samples right) {
    OAVC_ASSERT(channels_ == 2);
    const auto frames = std::max(left.size(), right.size());
    std::array<Sample, 1'024> block;
    for (std::size_t done = 0; done < frames;) {
        const auto part = std::min(frames - done, block.size() / 2);
        for (std::size_t i = 0; i < part; ++i) {
            block[2 * i] = done + i < left.size() ? left[done + i] : Sample{0};
            block[2 * i + 1] = done + i < right.size() ? right[done + i] : Sample{0};
        }
        if (const auto written = write(Samples{block}.first(2 * part)); !written) return written;
        done += part;
    }
    return {};
}

Result<void> WavWriter::close() {
    if (!file_) return {};
    bool complete = std::fseek(file_.get(), 0, SEEK_SET) == 0 &&
                    write_header(static_cast<std::uint32_t>(data_bytes_));
    complete = std::fclose(file_.release()) == 0 && complete;
    if (!complete) return WavErrc::io;
    return {};
}

}  // namespace oavc::media
