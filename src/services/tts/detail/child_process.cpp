#include "services/tts/detail/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

namespace oavc::services {

namespace {

error_code last_error() noexcept { return {errno, boost::system::system_category()}; }

void close_fd(int& fd) noexcept {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments) {
    // A socket, unlike a pipe, can be written to without a signal when the reader has gone.
    int input[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input) != 0) return last_error();
    int output[2];
    if (::pipe2(output, O_CLOEXEC) != 0) {
        const auto error = last_error();
        close_fd(input[0]);
        close_fd(input[1]);
        return error;
    }

    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, output[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    // Asio's sockets are not closed on exec: a child would keep calls' connections open for as long
    // as it lives, and our ports, should we end before it.
    posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    // It starts with the default signals: we may block or ignore some.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes, &set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &set);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    std::vector<char*> argv;
    for (const auto& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_t pid = -1;
    const int failed = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    close_fd(input[1]);
    close_fd(output[1]);
    if (failed != 0) {
        close_fd(input[0]);
        close_fd(output[0]);
        return error_code{failed, boost::system::system_category()};
    }
    return ChildProcess{pid, input[0], output[0]};
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_{std::exchange(other.pid_, -1)},
      input_{std::exchange(other.input_, -1)},
      output_{std::exchange(other.output_, -1)} {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    if (this == &other) return *this;
    kill_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    input_ = std::exchange(other.input_, -1);
    output_ = std::exchange(other.output_, -1);
    return *this;
}

ChildProcess::~ChildProcess() { kill_and_reap(); }

void ChildProcess::kill_and_reap() noexcept {
    close_fd(input_);
    close_fd(output_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

bool ChildProcess::give_input(std::string_view text) noexcept {
    bool all = true;
    while (!text.empty()) {
        const auto sent = ::send(input_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) {
            all = false;
            break;
        }
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
    close_fd(input_);
    return all;
}

Result<std::optional<std::size_t>> ChildProcess::read(
    std::span<std::byte> buffer, milliseconds wait
) noexcept {
    pollfd entry{output_, POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(wait.count()));
    if (ready < 0 && errno != EINTR) return last_error();
    if (ready <= 0) return std::optional<std::size_t>{};
    const auto got = ::read(output_, buffer.data(), buffer.size());
    if (got < 0 && errno != EINTR) return last_error();
    if (got < 0) return std::optional<std::size_t>{};
    return std::optional{static_cast<std::size_t>(got)};
}

int ChildProcess::finish(milliseconds wait) noexcept {
    const auto give_up = Clock::now() + wait;
    for (;;) {
        int status = 0;
        const auto reaped = ::waitpid(pid_, &status, WNOHANG);
        if (reaped == pid_ || (reaped < 0 && errno == ECHILD)) {
            const bool exited = reaped == pid_ && WIFEXITED(status);
            pid_ = -1;
            return exited ? WEXITSTATUS(status) : -1;
        }
        if (Clock::now() >= give_up) {
            kill_and_reap();
            return -1;
        }
        ::poll(nullptr, 0, 1);
    }
}

std::string find_program(const std::string& command) {
    if (command.find('/') != std::string::npos) {
        return ::access(command.c_str(), X_OK) == 0 ? command : std::string{};
    }
    const char* const path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): start-up
    std::string_view rest{path == nullptr ? "/usr/bin:/bin" : path};
    while (!command.empty() && !rest.empty()) {
        const auto colon = std::min(rest.find(':'), rest.size());
        const auto candidate = std::string{rest.substr(0, colon)} + '/' + command;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    return {};
}

}  // namespace oavc::services
