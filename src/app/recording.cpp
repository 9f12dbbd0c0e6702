#include "app/recording.hpp"

#include "app/cli.hpp"
#include "app/gcp_secrets.hpp"
#include "app/options.hpp"
#include "config/load.hpp"
#include "pipeline/sealed_recording.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace oavc::app {

namespace {

using pipeline::SealErrc;
using pipeline::Unsealer;

constexpr const char* help = R"(usage: oavc recording decrypt IN OUT [-c FILE] [--key-file FILE]

Turns a sealed recording into a WAV file: the caller left, we right. OUT must not exist.

  -c, --config FILE   the configuration whose [recording] key it was sealed with; default: the one
                      that `oavc serve` would take
  --key-file FILE     the key alone, in a file of its own

A recording that was changed or shortened is refused; of one whose end is missing, because the
machine failed, what there is is written, and the exit status is 1.

  oavc recording decrypt 2026-11-22/213700-4f1c.wav.sealed call.wav
)";

constexpr Options::Spec options[]{{"--config", "-c", true}, {"--key-file", "", true}};

/// Of the header that recording.cpp writes.
constexpr std::size_t wav_header_size = 44;
constexpr std::size_t riff_size_at = 4;
constexpr std::size_t data_size_at = 40;

std::string key_text(const Options& given) {
    if (const auto name = given.value("--key-file")) {
        std::ifstream in{std::string{*name}, std::ios::binary};
        std::string text;
        if (!in || !std::getline(in, text)) {
            throw std::runtime_error{fmt::format("{} cannot be read", *name)};
        }
        if (text.ends_with('\r')) text.pop_back();
        return text;
    }
    const auto environment = config::process_environment();
    const auto loaded = config::load(
        find_config_file(given.value("--config"), environment),
        environment,
        gcp_secrets(environment)
    );
    return loaded.config.pipeline.recording.key;
}

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

void write_u32(std::FILE* file, std::size_t at, std::uint32_t value) {
    std::array<unsigned char, 4> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<unsigned char>(value >> (8 * i));
    if (std::fseek(file, static_cast<long>(at), SEEK_SET) != 0 ||
        std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) {
        throw std::runtime_error{"the WAV file's header cannot be completed"};
    }
}

/// What the sealed file holds, piece by piece. Returns how it ended.
template <class Sink>
error_code unseal(std::istream& in, const pipeline::RecordingKey& key, Sink sink) {
    std::string header(pipeline::sealed_header_size, '\0');
    in.read(header.data(), static_cast<std::streamsize>(header.size()));
    header.resize(static_cast<std::size_t>(in.gcount()));
    auto unsealer = Unsealer::open(key, header);
    if (!unsealer) return unsealer.error();
    while (!unsealer->complete()) {
        std::string chunk(4, '\0');
        in.read(chunk.data(), 4);
        if (in.gcount() != 4) return SealErrc::end_missing;
        const auto rest = Unsealer::rest_of(chunk);
        if (!rest) return rest.error();
        chunk.resize(4 + *rest);
        in.read(chunk.data() + 4, static_cast<std::streamsize>(*rest));
        if (static_cast<std::size_t>(in.gcount()) != *rest) return SealErrc::end_missing;
        const auto plain = unsealer->chunk(chunk);
        if (!plain) return plain.error();
        sink(*plain);
    }
    if (in.peek() != std::istream::traits_type::eof()) return SealErrc::damaged;
    return {};
}

}  // namespace

int recording_command(std::span<const std::string_view> arguments) {
    const Options given{"recording", arguments, options, 3};
    if (given.help() || arguments.empty()) {
        fmt::print("{}", help);
        return given.help() ? 0 : 2;
    }
    const auto& words = given.positional();
    if (words.size() != 3 || words[0] != "decrypt") {
        throw UsageError{"oavc recording decrypt IN OUT\nsee: oavc recording --help"};
    }
    const auto key = pipeline::parse_recording_key(key_text(given));
    if (!key) {
        throw std::runtime_error{
            "there is no key: 64 hexadecimal digits in [recording] key, or in "
            "the file that --key-file names"};
    }
    const std::string from{words[1]};
    const std::string to{words[2]};
    std::ifstream in{from, std::ios::binary};
    if (!in) throw std::runtime_error{fmt::format("{} cannot be read", from)};
    const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const std::unique_ptr<std::FILE, CloseFile> out{fd < 0 ? nullptr : ::fdopen(fd, "wb")};
    if (!out) throw std::runtime_error{fmt::format("{} cannot be made, or is there already", to)};

    std::uint64_t size = 0;
    const auto ended = unseal(in, *key, [&](const std::string& plain) {
        if (std::fwrite(plain.data(), 1, plain.size(), out.get()) != plain.size()) {
            throw std::runtime_error{fmt::format("{} cannot be written", to)};
        }
        size += plain.size();
    });
    const bool usable = (!ended || ended == SealErrc::end_missing) && size >= wav_header_size;
    if (!usable) {
        ::unlink(to.c_str());
        throw std::runtime_error{
            fmt::format("{}: {}", from, ended ? ended.message() : "it holds no audio")};
    }
    const auto bounded = static_cast<std::uint32_t>(std::min<std::uint64_t>(size, 0xFFFF'FFFFU));
    write_u32(out.get(), riff_size_at, bounded - 8);
    write_u32(out.get(), data_size_at, bounded - wav_header_size);
    if (ended) fmt::print(stderr, "{}: {}\n", from, ended.message());
    return ended ? 1 : 0;
}

}  // namespace oavc::app
