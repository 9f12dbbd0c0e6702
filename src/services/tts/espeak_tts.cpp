#include "services/tts/espeak_tts.hpp"

#include "base/time.hpp"
#include "services/errors.hpp"
#include "services/tts/detail/plain_text.hpp"
#include "services/tts/detail/worker_reply.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <utility>

extern char** environ;  // NOLINT: POSIX names it so

namespace oavc::services {

namespace {

/// Synthesis runs a thousand times faster than real time: a process that needs longer hangs.
constexpr auto process_limit = 10s;

/// The RIFF header that espeak-ng writes before its samples; the sizes in it mean nothing on a
/// pipe.
constexpr std::size_t header_size = 44;

class Fd {
public:
    explicit Fd(int fd = -1) noexcept : fd_{fd} {}
    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() { close(); }
    int get() const noexcept { return fd_; }
    void close() noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_;
};

/// One end of a socket pair for us, the other for the child. A socket can be written to without
/// SIGPIPE, which a pipe cannot.
struct Channel {
    Fd ours;
    Fd childs;
    static bool open(Channel& channel) noexcept {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
        channel = {Fd{ends[0]}, Fd{ends[1]}};
        return true;
    }
};

/// A running espeak-ng; killed and reaped when destroyed.
class Process {
public:
    static Result<Process> start(std::vector<std::string> arguments) {
        Channel in;
        Channel out;
        if (!Channel::open(in) || !Channel::open(out)) {
            return make_error_code(ServiceErrc::unavailable);
        }
        std::vector<char*> argv;
        for (auto& argument : arguments)
            argv.push_back(argument.data());
        argv.push_back(nullptr);

        posix_spawn_file_actions_t files;
        ::posix_spawn_file_actions_init(&files);
        ::posix_spawn_file_actions_adddup2(&files, in.childs.get(), STDIN_FILENO);
        ::posix_spawn_file_actions_adddup2(&files, out.childs.get(), STDOUT_FILENO);
        ::posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        pid_t pid = -1;
        const int failed = ::posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&files);
        if (failed != 0) return make_error_code(ServiceErrc::configuration);
        return Process{pid, std::move(in.ours), std::move(out.ours)};
    }
    Process(Process&& other) noexcept
        : pid_{std::exchange(other.pid_, -1)},
          in_{std::move(other.in_)},
          out_{std::move(other.out_)} {}
    Process& operator=(Process&&) = delete;
    ~Process() {
        if (pid_ < 0) return;
        ::kill(pid_, SIGKILL);
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
    }

    /// The text is shorter than a socket's buffer: this does not wait for the child.
    bool write_all(std::string_view text) {
        while (!text.empty()) {
            const auto sent = ::send(in_.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
        in_.close();
        return true;
    }

    /// Bytes read; 0 at the end, -1 on failure or after `limit`.
    ssize_t read(std::span<char> buffer, milliseconds limit) {
        pollfd ready{out_.get(), POLLIN, 0};
        if (::poll(&ready, 1, static_cast<int>(limit.count())) <= 0) return -1;
        return ::read(out_.get(), buffer.data(), buffer.size());
    }

private:
    Process(pid_t pid, Fd in, Fd out) : pid_{pid}, in_{std::move(in)}, out_{std::move(out)} {}
    pid_t pid_;
    Fd in_;
    Fd out_;
};

error_code synthesize(
    std::vector<std::string> arguments, std::string_view text, SampleRate rate, WorkerOutput& out
) {
    auto process = Process::start(std::move(arguments));
    if (!process) return process.error();
    if (!process->write_all(text)) return make_error_code(ServiceErrc::unavailable);

    const auto deadline = Clock::now() + process_limit;
    std::string header;
    std::vector<media::Sample> samples;
    std::array<char, 16'384> buffer{};
    std::size_t odd = 0;  // one byte of a sample may come before the other
    for (;;) {
        const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
        if (left <= 0ms) return make_error_code(ServiceErrc::timed_out);
        const auto got = process->read(std::span{buffer}.subspan(odd), left);
        if (got < 0) return make_error_code(ServiceErrc::timed_out);
        if (got == 0) break;
        std::string_view bytes{buffer.data(), odd + static_cast<std::size_t>(got)};
        if (header.size() < header_size) {
            const auto part = bytes.substr(0, header_size - header.size());
            header += part;
            bytes.remove_prefix(part.size());
            if (header.size() < header_size) continue;
            const auto byte = [&](std::size_t i) {
                return static_cast<std::uint32_t>(static_cast<unsigned char>(header[i]));
            };
            const auto hz = byte(24) | byte(25) << 8 | byte(26) << 16 | byte(27) << 24;
            if (!header.starts_with("RIFF") || hz != rate.hz) {
                return make_error_code(ServiceErrc::protocol);
            }
        }
        samples.resize(bytes.size() / 2);
        std::memcpy(samples.data(), bytes.data(), samples.size() * 2);
        odd = bytes.size() % 2;
        if (odd != 0) buffer[0] = bytes.back();
        if (!out.add(samples)) return make_error_code(ServiceErrc::cancelled);
    }
    if (header.size() < header_size) return make_error_code(ServiceErrc::unavailable);
    return {};
}

/// espeak-ng's voices are named by language: "en", "tr", "pt-br".
std::string voice_of(const EspeakConfig& config, const TtsOptions& options) {
    if (!options.voice.empty()) return options.voice;
    if (!config.voice.empty()) return config.voice;
    std::string language = options.language.empty() ? "en" : options.language;
    for (char& c : language)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    // A region is kept only where espeak-ng knows one; else the language alone will do.
    if (language == "en-us" || language == "en-gb" || language == "pt-br") return language;
    return language.substr(0, language.find('-'));
}

/// The value of `-v` begins with no dash: a configured voice cannot become another option.
bool is_voice_name(std::string_view voice) noexcept {
    return !voice.empty() && voice.front() != '-' &&
           std::all_of(voice.begin(), voice.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '+' || c == '_' || c == '/';
           });
}

bool command_exists(const std::string& command) {
    if (command.find('/') != std::string::npos) return ::access(command.c_str(), X_OK) == 0;
    const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): at start-up
    std::string_view rest{path != nullptr ? path : "/usr/bin:/bin"};
    while (!rest.empty()) {
        const auto folder = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
        const auto file = std::string{folder} + "/" + command;
        if (::access(file.c_str(), X_OK) == 0) return true;
    }
    return false;
}

class EspeakSession final : public TtsSession {
public:
    EspeakSession(
        async::Shard& shard,
        async::WorkerPool& workers,
        async::WorkerPool::Lane lane,
        std::vector<std::string> arguments,
        SampleRate rate
    )
        : shard_{shard},
          workers_{workers},
          lane_{std::move(lane)},
          arguments_{std::move(arguments)},
          rate_{rate} {}

    std::unique_ptr<TtsReply> speak(std::string text) override {
        auto reply = std::make_unique<WorkerReply>(shard_);
        auto plain = to_plain_utf8(text);
        auto job = [out = reply->output(),
                    plain = std::move(plain),
                    arguments = arguments_,
                    rate = rate_] {
            if (out->cancelled()) return;
            if (!has_something_to_say(plain)) return out->finish({});
            out->finish(synthesize(arguments, plain, rate, *out));
        };
        if (!workers_.try_submit(lane_, std::move(job))) {
            reply->fail(make_error_code(ServiceErrc::overloaded));
        }
        return reply;
    }

private:
    async::Shard& shard_;
    async::WorkerPool& workers_;
    async::WorkerPool::Lane lane_;
    std::vector<std::string> arguments_;
    SampleRate rate_;
};

}  // namespace

EspeakTts::EspeakTts(const EspeakConfig& config, async::WorkerPool& workers)
    : config_{config}, workers_{workers} {
    if (!command_exists(config_.command)) {
        throw std::runtime_error{
            "[tts.espeak-ng] command: '" + config_.command +
            "' was not found; install the package espeak-ng or give its path"};
    }
    for (std::size_t i = 0; i < std::max<std::size_t>(1, config_.processes); ++i) {
        lanes_.push_back(workers_.make_lane());
    }
}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> EspeakTts::open(
    async::Shard& shard, TtsOptions options
) {
    const auto voice = voice_of(config_, options);
    if (!is_voice_name(voice)) co_return make_error_code(ServiceErrc::configuration);
    std::vector<std::string> arguments{
        config_.command,
        "--stdin",
        "--stdout",
        "-b",
        "1",  // the text is UTF-8
        "-v",
        voice,
        "-s",
        std::to_string(config_.words_per_minute),
    };
    auto lane = lanes_[next_lane_.fetch_add(1, std::memory_order_relaxed) % lanes_.size()];
    std::unique_ptr<TtsSession> session = std::make_unique<EspeakSession>(
        shard, workers_, std::move(lane), std::move(arguments), capabilities_.output_rate
    );
    co_return session;
}

}  // namespace oavc::services
