#include "pipeline/recording.hpp"

#include "pipeline/sealed_recording.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace oavc::pipeline {

namespace fs = std::filesystem;

namespace {

constexpr milliseconds chunk_time{1'000};
/// Chunks of one call that wait for a worker; beyond it a second is silent.
constexpr std::size_t most_chunks = 4;
constexpr std::string_view suffix = ".wav.sealed";
constexpr std::string_view unfinished = ".part";

/// RIFF header of 16-bit stereo whose length is not known yet: "to the end".
std::string wav_header(SampleRate rate) {
    std::string out;
    const auto u32 = [&out](std::uint32_t value) {
        for (unsigned i = 0; i < 4; ++i)
            out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    };
    const auto u16 = [&out](unsigned value) {
        out += static_cast<char>(static_cast<unsigned char>(value));
        out += static_cast<char>(static_cast<unsigned char>(value >> 8U));
    };
    out += "RIFF";
    u32(0xFFFF'FFFFU);
    out += "WAVEfmt ";
    u32(16);
    u16(1);  // PCM
    u16(2);  // channels
    u32(rate.hz);
    u32(rate.hz * 4);
    u16(4);   // bytes per frame
    u16(16);  // bits per sample
    out += "data";
    u32(0xFFFF'FFFFU);
    return out;
}

}  // namespace

struct Recordings::Shared {
    Shared(
        RecordingConfig wanted,
        const RecordingKey& parsed,
        async::WorkerPool& pool,
        audit::Log& audit_log,
        log::Logger logger
    )
        : config{std::move(wanted)},
          key{parsed},
          workers{pool},
          audit{audit_log},
          log{std::move(logger)} {}

    const RecordingConfig config;
    const RecordingKey key;
    async::WorkerPool& workers;
    audit::Log& audit;
    log::Logger log;
    metrics::Counter recorded;
    metrics::Counter lost;
    metrics::Counter failed;
    std::atomic<std::size_t> open{0};  ///< recordings that are not on the disk yet
};

/// Jobs of a lane run one after another, so nothing but the buffers' flags needs an atomic.
struct Recorder::Writer {
    struct Chunk {
        std::atomic<bool> busy{false};
        std::vector<media::Sample> samples;
        std::uint64_t silence_before{0};  ///< frames that were lost for want of a chunk
    };

    Writer(std::shared_ptr<Recordings::Shared> owner, SessionId id, SampleRate sample_rate)
        : shared{std::move(owner)},
          session{std::move(id)},
          rate{sample_rate},
          lane{shared->workers.make_lane()} {
        shared->open.fetch_add(1);
        for (auto& chunk : chunks)
            chunk.samples.resize(2 * samples_in(chunk_time, rate));
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        path = fs::path{shared->config.folder} / fmt::format("{:%Y-%m-%d}", now) /
               fmt::format("{:%H%M%S}-{}{}", now, session.value, suffix);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() {
        if (fd >= 0) ::close(fd);
        shared->open.fetch_sub(1);
    }

    fs::path part() const { return path.string() + std::string{unfinished}; }

    void fail(std::string_view what, std::string error) {
        broken = true;
        shared->failed.add();
        shared->log.error(
            "a call is not recorded any further",
            log::kv("call", session.value),
            log::kv("what", what),
            log::kv("error", error)
        );
    }

    void open() {
        std::error_code error;
        fs::create_directories(path.parent_path(), error);
        if (!error) {
            fs::permissions(path.parent_path(), fs::perms::owner_all, error);
        }
        fd = ::open(part().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) return fail("the file cannot be made", std::generic_category().message(errno));
        auto made = Sealer::make(shared->key);
        if (!made) return fail("it cannot be sealed", made.error().message());
        sealer.emplace(std::move(*made));
        write_all(sealer->header());
        const auto header = wav_header(rate);
        seal({reinterpret_cast<const std::byte*>(header.data()), header.size()}, false);  // NOLINT
    }

    void write_all(std::string_view bytes) {
        while (!bytes.empty() && !broken) {
            const auto n = ::write(fd, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                return fail("the disk does not take it", std::generic_category().message(errno));
            }
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }

    void seal(std::span<const std::byte> plain, bool last) {
        if (broken) return;
        const auto sealed = sealer->chunk(plain, last);
        if (!sealed) return fail("it cannot be sealed", sealed.error().message());
        write_all(*sealed);
    }

    void write(std::span<const media::Sample> samples, std::uint64_t silence_before) {
        if (broken) return;
        if (fd < 0) open();
        static constexpr std::array<media::Sample, 4'096> silence{};
        for (std::uint64_t left = silence_before * 2; left > 0 && !broken;) {
            const auto piece = std::min<std::uint64_t>(left, silence.size());
            seal(std::as_bytes(std::span{silence}.first(static_cast<std::size_t>(piece))), false);
            left -= piece;
        }
        seal(std::as_bytes(samples), false);
    }

    void finish(const std::vector<media::Sample>& rest, std::uint64_t silence_before) {
        write(rest, silence_before);
        seal({}, true);
        if (broken) return;
        std::error_code error;
        fs::rename(part(), path, error);
        if (error) return fail("it cannot be renamed", error.message());
        shared->recorded.add();
        shared->audit.record(
            {.what = "recording_stored",
             .who = "system",
             .source = {},
             .call = session.value,
             .more = {{"file", path.string()}}}
        );
    }

    std::shared_ptr<Recordings::Shared> shared;
    SessionId session;
    SampleRate rate;
    async::WorkerPool::Lane lane;
    fs::path path;
    std::array<Chunk, most_chunks> chunks;
    std::uint64_t lost{0};  ///< frames, not yet told to the lane; the shard's
    // The lane's.
    int fd{-1};
    std::optional<Sealer> sealer;
    bool broken{false};
};

Recorder::Recorder(
    std::shared_ptr<Writer> writer, async::WorkerPool& workers, SampleRate rate, TimePoint began
)
    : writer_{std::move(writer)},
      workers_{workers},
      rate_{rate},
      tape_{rate, began, Recordings::hold_back},
      now_{began} {}

Recorder::~Recorder() {
    std::vector<media::Sample> rest(2 * tape_.left(now_));
    tape_.drain(rest);
    const bool taken = workers_.try_submit(
        writer_->lane,
        [writer = writer_, rest = std::move(rest), lost = writer_->lost] {
            writer->finish(rest, lost);
        }
    );
    if (!taken) {
        writer_->shared->failed.add();
        writer_->shared->log.error(
            "a recording has no end: the workers are too busy",
            log::kv("call", writer_->session.value)
        );
    }
}

void Recorder::mute(MuteReason reason, bool on) noexcept {
    const auto bit = static_cast<std::uint8_t>(reason);
    reasons_ = static_cast<std::uint8_t>(on ? reasons_ | bit : reasons_ & ~bit);
    tape_.mute(reasons_ != 0);
}

bool Recorder::muted(MuteReason reason) const noexcept {
    return (reasons_ & static_cast<std::uint8_t>(reason)) != 0;
}

void Recorder::tick(TimePoint now) noexcept {
    now_ = now;
    auto& chunks = writer_->chunks;
    auto free = std::ranges::find_if(chunks, [](const Writer::Chunk& chunk) {
        return !chunk.busy.load(std::memory_order_acquire);
    });
    // Without a free chunk the tape keeps the audio for some seconds more; then it is lost.
    if (free == chunks.end()) {
        const auto frames = samples_in(chunk_time, rate_);
        const auto limit = samples_in(Recordings::hold_back, rate_) + 3 * frames;
        if (tape_.left(now) < limit) return;
        std::array<media::Sample, 320> nothing{};
        tape_.drain(nothing);
        writer_->lost += nothing.size() / 2;
        writer_->shared->lost.add(static_cast<double>(nothing.size() / 2) / rate_.hz);
        return;
    }
    if (!tape_.take(free->samples, now)) return;
    free->silence_before = std::exchange(writer_->lost, 0);
    free->busy.store(true, std::memory_order_release);
    const bool taken = workers_.try_submit(writer_->lane, [writer = writer_, chunk = &*free] {
        writer->write(chunk->samples, chunk->silence_before);
        chunk->busy.store(false, std::memory_order_release);
    });
    if (taken) return;
    writer_->lost += free->silence_before + free->samples.size() / 2;
    writer_->shared->lost.add(to_ms(chunk_time) / 1000);
    free->busy.store(false, std::memory_order_release);
}

Recordings::Recordings(
    RecordingConfig config,
    async::WorkerPool& workers,
    audit::Log& audit,
    log::Logger log,
    metrics::Registry* registry
) {
    const auto key = parse_recording_key(config.key);
    if (!key) {
        throw std::runtime_error{
            "[recording] key is no key: 64 hexadecimal digits, as `openssl rand -hex 32` makes "
            "them"};
    }
    shared_ = std::make_shared<Shared>(std::move(config), *key, workers, audit, std::move(log));
    if (registry == nullptr) return;
    shared_->recorded =
        registry->counter("oavc_recordings_total", "Calls whose recording is complete.");
    shared_->lost = registry->counter(
        "oavc_recording_lost_seconds_total", "Silent because the workers were too busy."
    );
    shared_->failed = registry->counter(
        "oavc_recording_failures_total", "Recordings that could not be written to their end."
    );
}

Recordings::~Recordings() = default;

std::unique_ptr<Recorder> Recordings::begin(
    const SessionId& session, SampleRate rate, TimePoint now
) {
    auto writer = std::make_shared<Recorder::Writer>(shared_, session, rate);
    shared_->audit.record(
        {.what = "recording_started",
         .who = "system",
         .source = {},
         .call = session.value,
         .more = {{"file", writer->path.string()}}}
    );
    return std::make_unique<Recorder>(std::move(writer), shared_->workers, rate, now);
}

bool Recordings::wait_until_written(milliseconds limit) const {
    const auto deadline = Clock::now() + limit;
    while (shared_->open.load() > 0) {
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(10ms);
    }
    return true;
}

void Recordings::delete_old() {
    const auto days = shared_->config.keep_days;
    if (days == 0) return;
    const bool taken = shared_->workers.try_submit([shared = shared_, days] {
        const auto oldest = fs::file_time_type::clock::now() - std::chrono::days{days};
        std::error_code error;
        std::vector<fs::path> old;
        for (fs::recursive_directory_iterator entry{shared->config.folder, error}, end;
             !error && entry != end;
             entry.increment(error)) {
            const auto name = entry->path().filename().string();
            const bool ours = name.ends_with(suffix) ||
                              name.ends_with(std::string{suffix} + std::string{unfinished});
            std::error_code unreadable;
            if (ours && entry->is_regular_file(unreadable) &&
                entry->last_write_time(unreadable) < oldest) {
                old.push_back(entry->path());
            }
        }
        for (const auto& path : old) {
            std::error_code failed;
            if (!fs::remove(path, failed)) continue;
            shared->audit.record(
                {.what = "recording_deleted",
                 .who = "system",
                 .source = {},
                 .call = {},
                 .more = {{"file", path.string()}}}
            );
        }
    });
    if (!taken) shared_->log.warn("old recordings stay for now: the workers are too busy");
}

}  // namespace oavc::pipeline
