#pragma once

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

/// A running program whose standard output and error are read together. Killed when it goes.
class Program {
public:
    /// `environment` entries are "NAME=value"; nothing else is inherited but PATH.
    explicit Program(
        std::vector<std::string> command,
        std::vector<std::string> environment = {},
        const char* folder = nullptr
    ) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) return;
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        if (folder != nullptr) posix_spawn_file_actions_addchdir_np(&actions, folder);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
        environment.push_back("PATH=/usr/local/bin:/usr/bin:/bin");
        std::vector<char*> argv;
        for (std::string& argument : command)
            argv.push_back(argument.data());
        argv.push_back(nullptr);
        std::vector<char*> envp;
        for (std::string& entry : environment)
            envp.push_back(entry.data());
        envp.push_back(nullptr);
        if (posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data()) != 0) pid_ = 0;
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        output_end_ = ends[0];
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() {
        if (pid_ != 0) {
            kill(pid_, SIGKILL);
            wait();
        }
        if (output_end_ >= 0) close(output_end_);
    }

    /// Reads until `text` was printed. False: the program ended, or `limit` passed, before.
    bool wait_for(std::string_view text, std::chrono::milliseconds limit) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        while (output_.find(text) == std::string::npos) {
            const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                deadline - std::chrono::steady_clock::now()
            );
            pollfd ready{output_end_, POLLIN, 0};
            if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
                return false;
            }
            if (!read_some()) return output_.find(text) != std::string::npos;
        }
        return true;
    }

    void signal(int number) const {
        if (pid_ != 0) kill(pid_, number);
    }

    /// Reads to the end of the output and returns the exit status, or -signal.
    int wait() {
        while (read_some()) {
        }
        int status = 0;
        if (pid_ != 0 && waitpid(pid_, &status, 0) == pid_) {
            status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        }
        pid_ = 0;
        return status_;
    }

    const std::string& output() const noexcept { return output_; }

private:
    bool read_some() {
        char buffer[4096];
        const ssize_t got = read(output_end_, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) return true;
        if (got <= 0) return false;
        output_.append(buffer, static_cast<std::size_t>(got));
        return true;
    }

    pid_t pid_{0};
    int output_end_{-1};
    int status_{-1000};
    std::string output_;
};

struct ProgramResult {
    int status;
    std::string output;
};

/// Runs a program to its end.
inline ProgramResult run_program(
    std::vector<std::string> command,
    std::vector<std::string> environment = {},
    const char* folder = nullptr
) {
    Program program{std::move(command), std::move(environment), folder};
    const int status = program.wait();
    return {status, program.output()};
}

}  // namespace oavc::test
