#pragma once

#include "base/time.hpp"
#include "caller/bench/figures.hpp"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace oavc::caller::bench {

/// The cores that this process may use.
std::vector<int> allowed_cores();
/// This thread runs on these alone from now on. False: the kernel said no.
bool pin_to(const std::vector<int>& cores);

/// This thread goes before all ordinary work on its core (real time, round robin), where we may say
/// so (root, CAP_SYS_NICE): other work on the machine then does not make it late. Until it goes out
/// of scope. Not for a core that the server needs, too.
class Urgent {
public:
    Urgent() noexcept;
    ~Urgent();
    Urgent(const Urgent&) = delete;
    Urgent& operator=(const Urgent&) = delete;

private:
    int usual_policy_{0};
    int usual_priority_{0};
};

/// What a process of this machine uses (proc(5), its CPU clock).
class ProcessMeter {
public:
    /// Throws std::runtime_error when there is no such process, or none that we may look at.
    explicit ProcessMeter(pid_t pid);

    void begin_window();
    /// Since `begin_window`. Nothing: the process is gone.
    std::optional<ProcessUse> window() const;

private:
    struct Look {
        double cpu_seconds{0};
        double system_seconds{0};
        ProcessUse memory;
    };
    std::optional<Look> look() const;

    const pid_t pid_;
    Look since_;
};

/// A program of ours as a child on cores of its own. It ends with us.
class ChildProcess {
public:
    /// `cores` empty: wherever the kernel likes. Output goes to `log`. Throws std::runtime_error.
    ChildProcess(
        const std::vector<std::string>& command,
        const std::vector<int>& cores,
        const std::filesystem::path& log
    );
    ~ChildProcess();  ///< SIGTERM; SIGKILL after a while
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    pid_t pid() const noexcept { return pid_; }
    bool running();

private:
    pid_t pid_{-1};
    bool over_{false};
};

/// A folder that is gone with its owner, unless it is kept.
class WorkFolder {
public:
    WorkFolder();
    ~WorkFolder();
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    void keep() noexcept { kept_ = true; }

private:
    std::filesystem::path path_;
    bool kept_{false};
};

/// The end of a text file, at most so many lines.
std::string last_lines(const std::filesystem::path& file, std::size_t lines);

/// Open files: as many as the hard limit allows. Returns how many that is.
std::size_t raise_file_limit();

}  // namespace oavc::caller::bench
