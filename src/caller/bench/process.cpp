#include "caller/bench/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <signal.h>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>

namespace oavc::caller::bench {

namespace {

std::string error_text() { return std::generic_category().message(errno); }

/// "VmRSS:	  123 kB" of /proc/PID/status, in its unit.
std::uint64_t status_value(std::string_view status, std::string_view name) {
    const auto at = status.find(name);
    if (at == std::string_view::npos) return 0;
    const auto digits = status.find_first_of("0123456789", at + name.size());
    if (digits == std::string_view::npos) return 0;
    std::uint64_t value = 0;
    std::from_chars(status.data() + digits, status.data() + status.size(), value);
    return value;
}

std::string read_all(const std::string& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// The child inherits what it needs to find its files; no OAVC_… that would change what we measure.
std::vector<std::string> child_environment() {
    std::vector<std::string> entries;
    for (const char* name :
         {"PATH",
          "HOME",
          "LANG",
          "TZ",
          "TMPDIR",
          "XDG_CACHE_HOME",
          "LD_LIBRARY_PATH",
          "ASAN_OPTIONS"}) {
        const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
        if (value != nullptr) entries.push_back(fmt::format("{}={}", name, value));
    }
    return entries;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts)
        out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

}  // namespace

std::vector<int> allowed_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cores;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return cores;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
        if (CPU_ISSET(static_cast<unsigned>(core), &set)) cores.push_back(core);
    }
    return cores;
}

bool pin_to(const std::vector<int>& cores) {
    if (cores.empty()) return true;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : cores)
        CPU_SET(static_cast<unsigned>(core), &set);
    return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

Urgent::Urgent() noexcept : usual_policy_{::sched_getscheduler(0)} {
    sched_param usual{};
    ::sched_getparam(0, &usual);
    usual_priority_ = usual.sched_priority;
    sched_param urgent{};
    urgent.sched_priority = 1;
    ::sched_setscheduler(0, SCHED_RR, &urgent);
}

Urgent::~Urgent() {
    sched_param usual{};
    usual.sched_priority = usual_priority_;
    ::sched_setscheduler(0, usual_policy_, &usual);
}

ProcessMeter::ProcessMeter(pid_t pid) : pid_{pid} {
    if (!look()) {
        throw std::runtime_error{fmt::format(
            "there is no process {} on this machine whose CPU time can be read; --attach wants the "
            "PID of a running 'oavc serve'",
            pid
        )};
    }
    begin_window();
}

std::optional<ProcessMeter::Look> ProcessMeter::look() const {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &used) != 0)
        return std::nullopt;
    Look now;
    now.cpu_seconds = static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
    const auto status = read_all(fmt::format("/proc/{}/status", pid_));
    now.memory.resident_bytes = status_value(status, "VmRSS:") * 1024;
    now.memory.peak_bytes = status_value(status, "VmHWM:") * 1024;
    now.memory.threads = status_value(status, "Threads:");
    // Field 15, counted behind the name in brackets, which may hold anything.
    const auto stat = read_all(fmt::format("/proc/{}/stat", pid_));
    auto at = stat.rfind(')');
    for (int field = 2; field < 15 && at != std::string::npos; ++field)
        at = stat.find(' ', at + 1);
    if (at != std::string::npos) {
        now.system_seconds = static_cast<double>(std::strtoull(stat.c_str() + at, nullptr, 10)) /
                             static_cast<double>(::sysconf(_SC_CLK_TCK));
    }
    return now;
}

void ProcessMeter::begin_window() { since_ = look().value_or(Look{}); }

std::optional<ProcessUse> ProcessMeter::window() const {
    const auto now = look();
    if (!now) return std::nullopt;
    ProcessUse use = now->memory;
    use.cpu_seconds = now->cpu_seconds - since_.cpu_seconds;
    use.system_seconds = now->system_seconds - since_.system_seconds;
    return use;
}

ChildProcess::ChildProcess(
    const std::vector<std::string>& command,
    const std::vector<int>& cores,
    const std::filesystem::path& log
) {
    auto words = command;
    auto argv = pointers(words);
    auto entries = child_environment();
    auto envp = pointers(entries);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output < 0) {
        throw std::runtime_error{
            fmt::format("{} cannot be written: {}", log.string(), error_text())};
    }
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        // Between fork and exec: system calls only.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(127);
        pin_to(cores);
        ::dup2(output, 1);
        ::dup2(output, 2);
        ::execve(argv[0], argv.data(), envp.data());
        ::_exit(127);
    }
    ::close(output);
    if (pid_ < 0) throw std::runtime_error{"no process can be started: " + error_text()};
}

ChildProcess::~ChildProcess() {
    if (!running()) return;
    ::kill(pid_, SIGTERM);
    const TimePoint deadline = Clock::now() + 5s;
    while (running()) {
        if (Clock::now() >= deadline) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            return;
        }
        std::this_thread::sleep_for(10ms);
    }
}

bool ChildProcess::running() {
    if (!over_ && ::waitpid(pid_, nullptr, WNOHANG) != 0) over_ = true;
    return !over_;
}

WorkFolder::WorkFolder() {
    auto pattern = (std::filesystem::temp_directory_path() / "oavc-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error{fmt::format("{} cannot be made: {}", pattern, error_text())};
    }
    path_ = pattern;
}

WorkFolder::~WorkFolder() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(path_, ignored);
}

std::string last_lines(const std::filesystem::path& file, std::size_t lines) {
    std::ifstream in{file};
    std::deque<std::string> last;
    for (std::string line; std::getline(in, line);) {
        last.push_back(line);
        if (last.size() > lines) last.pop_front();
    }
    std::string out;
    for (const std::string& line : last)
        out += line + '\n';
    return out;
}

std::size_t raise_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<std::size_t>(limit.rlim_max);
}

}  // namespace oavc::caller::bench
