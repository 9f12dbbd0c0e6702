#pragma once

#include "base/result.hpp"
#include "base/time.hpp"

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// A program with a pipe to its input and one from its output; its other output is thrown away. No
/// shell: arguments arrive as they are. Destruction kills and reaps it. One thread.
class ChildProcess {
public:
    /// `arguments[0]` is the program, looked up in PATH.
    static Result<ChildProcess> start(const std::vector<std::string>& arguments);
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;
    ~ChildProcess();

    /// Hands it all of its input at once (at most some kilobytes: it must fit the pipe) and closes
    /// that end. False when it has gone.
    bool give_input(std::string_view text) noexcept;

    /// Waits at most `wait` for output. nullopt: none yet; 0: it has closed its output.
    Result<std::optional<std::size_t>> read(
        std::span<std::byte> buffer, milliseconds wait
    ) noexcept;

    /// Waits for its end, which must be near: after `wait` it is killed. Its exit status; -1 when
    /// it was killed.
    int finish(milliseconds wait) noexcept;

    pid_t pid() const noexcept { return pid_; }

private:
    ChildProcess(pid_t pid, int input, int output) : pid_{pid}, input_{input}, output_{output} {}
    void kill_and_reap() noexcept;

    pid_t pid_;
    int input_;
    int output_;
};

/// Where a program lies: `command` itself if it has a slash, else the first match in PATH. Empty:
/// nowhere, or it cannot be executed.
std::string find_program(const std::string& command);

}  // namespace oavc::services
