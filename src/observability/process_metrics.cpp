#include "observability/process_metrics.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace oavc::metrics {

namespace {

std::string read_file(const char* path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// When the machine was started, seconds since 1970; 0: unknown.
double boot_time() {
    const auto text = read_file("/proc/stat");
    constexpr std::string_view name{"\nbtime "};
    const auto at = text.find(name);
    double seconds = 0;
    if (at == std::string::npos) return seconds;
    std::from_chars(text.data() + at + name.size(), text.data() + text.size(), seconds);
    return seconds;
}

std::size_t open_files() {
    // Linux 6.2 and later tell the number as the folder's size.
    struct stat folder {};
    if (::stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0) {
        return static_cast<std::size_t>(folder.st_size);
    }
    std::error_code error;
    const std::filesystem::directory_iterator files{"/proc/self/fd", error};
    return error ? 0 : static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) noexcept {
    const auto bracket = text.rfind(')');
    if (bracket == std::string_view::npos) return std::nullopt;
    text.remove_prefix(bracket + 1);
    constexpr std::size_t first = 3;  // field numbers as in proc(5)
    constexpr std::size_t last = 24;
    std::array<std::uint64_t, last + 1> field{};
    for (std::size_t number = first; number <= last; ++number) {
        const auto begin = text.find_first_not_of(" \n");
        if (begin == std::string_view::npos) return std::nullopt;
        text.remove_prefix(begin);
        const auto word = text.substr(0, text.find_first_of(" \n"));
        std::from_chars(word.data(), word.data() + word.size(), field[number]);
        text.remove_prefix(word.size());
    }
    ProcessStat stat;
    stat.cpu_ticks = field[14] + field[15];
    stat.threads = field[20];
    stat.start_ticks = field[22];
    stat.virtual_bytes = field[23];
    stat.resident_pages = field[24];
    return stat;
}

ProcessMetrics::ProcessMetrics(Registry& registry)
    : cpu_{registry.counter("process_cpu_seconds_total", "CPU time, user and system.")},
      resident_{registry.gauge("process_resident_memory_bytes", "Memory in RAM.")},
      virtual_{registry.gauge("process_virtual_memory_bytes", "Address space.")},
      open_files_{registry.gauge("process_open_fds", "Open file descriptors.")},
      max_files_{registry.gauge("process_max_fds", "Most file descriptors that may be open.")},
      threads_{registry.gauge("process_threads", "Threads.")},
      started_{registry.gauge("process_start_time_seconds", "Start of the process, Unix time.")} {
    update();
}

void ProcessMetrics::update() {
    const auto stat = parse_process_stat(read_file("/proc/self/stat"));
    if (!stat) return;
    const auto hz = static_cast<double>(::sysconf(_SC_CLK_TCK));
    cpu_.advance_to(static_cast<double>(stat->cpu_ticks) / hz);
    resident_.set(static_cast<double>(stat->resident_pages) * static_cast<double>(::getpagesize()));
    virtual_.set(static_cast<double>(stat->virtual_bytes));
    threads_.set(static_cast<double>(stat->threads));
    open_files_.set(static_cast<double>(open_files()));
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        max_files_.set(static_cast<double>(limit.rlim_cur));
    }
    if (started_.value() == 0) {
        started_.set(boot_time() + static_cast<double>(stat->start_ticks) / hz);
    }
}

}  // namespace oavc::metrics
