#include "observability/audit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace oavc::audit {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto sync_interval = 1s;
constexpr auto retry_interval = 1s;
constexpr auto last_chance = 2s;
/// The last record lies within so much of a file's end.
constexpr std::size_t tail_size = 64 * 1024;

class File {
public:
    explicit File(int fd = -1) noexcept : fd_{fd} {}
    File(File&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    File& operator=(File&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    int fd() const noexcept { return fd_; }

private:
    int fd_;
};

std::string system_text(int error) { return std::generic_category().message(error); }

[[noreturn]] void cannot(std::string_view what, const std::string& file, int error) {
    throw std::runtime_error{fmt::format(
        "the audit cannot {} {}: {}. [security] audit_file names a file in a folder that this "
        "process may write to",
        what,
        file,
        system_text(error)
    )};
}

std::string read_tail(int fd, std::size_t size, std::size_t most) {
    const std::size_t length = std::min(size, most);
    std::string text(length, '\0');
    std::size_t got = 0;
    while (got < length) {
        const auto n =
            ::pread(fd, text.data() + got, length - got, static_cast<off_t>(size - length + got));
        if (n <= 0) break;
        got += static_cast<std::size_t>(n);
    }
    text.resize(got);
    return text;
}

/// The last record of a file's end.
std::optional<Link> last_link(std::string_view tail) {
    while (!tail.empty()) {
        const auto feed = tail.rfind('\n', tail.size() - 1);
        const auto line = feed == std::string_view::npos ? tail : tail.substr(feed + 1);
        const auto place = place_of(line);
        if (place && place->intact) return Link{place->sequence, std::string{place->hash}};
        if (feed == std::string_view::npos) break;
        tail = tail.substr(0, feed);
    }
    return std::nullopt;
}

}  // namespace

struct Log::Impl {
    Impl(Config wanted, log::Logger logger, metrics::Registry* registry)
        : config{std::move(wanted)}, log{std::move(logger)} {
        if (registry == nullptr) return;
        written_total =
            registry->counter("oavc_audit_records_total", "Records written to the audit's file.");
        dropped_total = registry->counter(
            "oavc_audit_dropped_total",
            "Records lost because the audit's file could not be written."
        );
    }

    void open() {
        constexpr int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC;
        file = File{::open(config.file.c_str(), flags, 0600)};
        if (file.fd() < 0) cannot("open", config.file, errno);
        if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
            throw std::runtime_error{fmt::format(
                "the audit {} is written by another process: give each its own [security] "
                "audit_file",
                config.file
            )};
        }
        struct stat status {};
        if (::fstat(file.fd(), &status) != 0) cannot("read", config.file, errno);
        size = static_cast<std::size_t>(status.st_size);
        const auto tail = read_tail(file.fd(), size, tail_size);
        if (const auto found = last_link(tail)) {
            link = *found;
        } else if (size > 0) {
            throw std::runtime_error{fmt::format(
                "{} is no audit, or its end is damaged: keep it, and let [security] audit_file "
                "name another",
                config.file
            )};
        } else if (const auto head_link = read_head()) {
            link = *head_link;  // the file was put aside just before we ended
        }
        if (!tail.empty() && tail.back() != '\n') unwritten = "\n";  // a write was cut off
    }

    std::string head_file() const { return config.file + ".head"; }

    std::optional<Link> read_head() const {
        const File head{::open(head_file().c_str(), O_RDONLY | O_CLOEXEC)};
        if (head.fd() < 0) return std::nullopt;
        const auto text = read_tail(head.fd(), 128, 128);
        return parse_link(text);
    }

    void write_head() const noexcept {
        const auto text = fmt::format("{:020}:{}\n", link.sequence, link.hash);
        const File head{::open(head_file().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
        if (head.fd() < 0) return;  // it is a convenience; the chain itself tells
        if (::pwrite(head.fd(), text.data(), text.size(), 0) < 0) return;
    }

    void push(std::string text) {
        {
            const std::lock_guard lock{mutex};
            if (queue.size() >= most_waiting) {
                ++dropped;
                ++unreported;
                dropped_total.add();
                return;
            }
            queue.push_back(std::move(text));
        }
        wake.notify_one();
    }

    /// Writes what `unwritten` holds. False: not all of it.
    bool flush() {
        while (!unwritten.empty()) {
            const auto n = ::write(file.fd(), unwritten.data(), unwritten.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                const int error = n < 0 ? errno : ENOSPC;
                ++failed;
                if (complaints.allow(Clock::now())) {
                    log.error(
                        "the audit cannot be written: make room on its disk; records wait",
                        log::kv("file", config.file),
                        log::kv("error", system_text(error))
                    );
                }
                return false;
            }
            unwritten.erase(0, static_cast<std::size_t>(n));
            size += static_cast<std::size_t>(n);
            unsynced = true;
        }
        return true;
    }

    void seal_all(std::deque<std::string> batch) {
        for (const auto& text : batch) {
            unwritten += sealed(link, text);
            unwritten += '\n';
        }
        std::uint64_t lost = 0;
        {
            const std::lock_guard lock{mutex};
            lost = std::exchange(unreported, 0);
        }
        if (lost > 0) {
            const Event gap{
                .what = "audit_gap",
                .who = "system",
                .source = {},
                .call = {},
                .more = {{"lost", fmt::format("{}", lost)}}};
            unwritten += sealed(link, described(gap, std::chrono::system_clock::now()));
            unwritten += '\n';
        }
        pending += batch.size() + (lost > 0 ? 1 : 0);
    }

    void settle() {
        written += pending;
        written_total.add(static_cast<double>(pending));
        pending = 0;
        write_head();
        const bool due = config.sync == "write" ||
                         (config.sync == "second" && Clock::now() - synced_at >= sync_interval);
        if (due) sync();
        if (size >= config.file_size << 20U) put_aside();
    }

    void sync() noexcept {
        if (!std::exchange(unsynced, false)) return;
        synced_at = Clock::now();
        if (::fdatasync(file.fd()) == 0) return;
        ++failed;
        if (complaints.allow(Clock::now())) {
            log.error("the audit cannot be synced to its disk", log::kv("file", config.file));
        }
    }

    void put_aside() {
        sync();
        const auto aside = fmt::format("{}.{:012}", config.file, link.sequence);
        if (::rename(config.file.c_str(), aside.c_str()) != 0) {
            if (complaints.allow(Clock::now())) {
                log.warn("the audit's file cannot be put aside", log::kv("file", aside));
            }
            return;
        }
        File next{::open(config.file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
        if (next.fd() < 0 || ::flock(next.fd(), LOCK_EX | LOCK_NB) != 0) {
            // Go on in the old file, under its old name.
            ::rename(aside.c_str(), config.file.c_str());
            return;
        }
        file = std::move(next);
        size = 0;
        log.info(
            "the audit goes on in another file",
            log::kv("put_aside", aside),
            log::kv("record", link.sequence),
            log::kv("hash", link.hash)
        );
    }

    void run() {
        std::optional<Clock::time_point> until;  // since we were told to end
        for (;;) {
            std::deque<std::string> batch;
            bool ending = false;
            {
                std::unique_lock lock{mutex};
                const auto limit = unwritten.empty() ? sync_interval : retry_interval;
                // While an attempt failed only time helps, not another record.
                wake.wait_for(lock, limit, [this] {
                    return stopping || (unwritten.empty() && !queue.empty());
                });
                ending = stopping;
                if (unwritten.empty() || unwritten == "\n") batch.swap(queue);
            }
            if (!batch.empty()) seal_all(std::move(batch));
            if (!unwritten.empty() && flush()) settle();
            if (unwritten.empty() && config.sync == "second") sync();
            if (!ending) continue;
            if (!until) until = Clock::now() + last_chance;
            if (Clock::now() >= *until) break;
            if (!unwritten.empty()) {
                std::this_thread::sleep_for(retry_interval / 20);
                continue;
            }
            const std::lock_guard lock{mutex};
            if (queue.empty()) break;
        }
        if (config.sync != "never") sync();
    }

    // Given to us.
    const Config config;
    const log::Logger log;
    metrics::Counter written_total;
    metrics::Counter dropped_total;
    // Shared with those who record.
    mutable std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::string> queue;
    std::uint64_t dropped{0};
    std::uint64_t unreported{0};  ///< of these, not yet told in the chain
    bool stopping{false};
    std::atomic<std::uint64_t> written{0};
    std::atomic<std::uint64_t> failed{0};
    // The writer's alone.
    File file;
    Link link;
    std::string unwritten;   ///< sealed, not yet in the file
    std::size_t pending{0};  ///< records of it
    std::size_t size{0};
    bool unsynced{false};
    Clock::time_point synced_at{};
    log::RateLimit complaints{10s};
    std::thread writer;
};

Log::Log(Config config, log::Logger log, metrics::Registry* registry) {
    if (config.file.empty()) return;
    impl_ = std::make_unique<Impl>(std::move(config), std::move(log), registry);
}

Log::~Log() {
    if (!impl_ || !impl_->writer.joinable()) return;
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->stopping = true;
    }
    impl_->wake.notify_one();
    impl_->writer.join();
}

void Log::start() {
    if (!impl_ || impl_->writer.joinable()) return;
    impl_->open();
    impl_->writer = std::thread{[impl = impl_.get()] { impl->run(); }};
}

void Log::record(const Event& event) noexcept {
    if (!impl_) return;
    try {
        impl_->push(described(event, std::chrono::system_clock::now()));
    } catch (...) {
        const std::lock_guard lock{impl_->mutex};  // out of memory: told like a full disk
        ++impl_->dropped;
        ++impl_->unreported;
    }
}

Log::Stats Log::stats() const noexcept {
    if (!impl_) return {};
    Stats stats;
    stats.written = impl_->written.load();
    stats.failed = impl_->failed.load();
    const std::lock_guard lock{impl_->mutex};
    stats.dropped = impl_->dropped;
    stats.waiting = impl_->queue.size();
    return stats;
}

}  // namespace oavc::audit
