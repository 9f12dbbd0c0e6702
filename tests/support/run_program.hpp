#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace oavc::test {

struct ProgramResult {
    int status{-1};      ///< exit status; -1: killed by a signal, or not started
    std::string output;  ///< standard output and standard error as they came
};

/// Runs a program to its end. `environment` entries are "NAME=value"; nothing else is inherited but
/// PATH.
inline ProgramResult run_program(
    std::vector<std::string> command,
    std::vector<std::string> environment = {},
    const char* folder = nullptr
) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return {};
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
    pid_t pid = 0;
    const int failed = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    ProgramResult result;
    if (failed == 0) {
        char buffer[4096];
        for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
            result.output.append(buffer, static_cast<std::size_t>(got));
        }
        int status = 0;
        waitpid(pid, &status, 0);
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    close(ends[0]);
    return result;
}

}  // namespace oavc::test
