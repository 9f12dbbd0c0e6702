#include "observability/log.hpp"

#include "observability/log_fields.hpp"
#include "observability/privacy.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <ctime>

namespace oavc::log {

namespace {

std::atomic<Format> output_format{Format::console};
std::atomic<Level> output_level{Level::info};
std::atomic<bool> personal_data_shown{false};
std::array<std::atomic<std::uint64_t>, 5> written{};  ///< by level

spdlog::level::level_enum to_spdlog(Level level) noexcept {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
        case Level::off:
            break;
    }
    return spdlog::level::off;
}

const char* severity(Level level) noexcept {
    switch (level) {
        case Level::debug:
            return "DEBUG";
        case Level::info:
            return "INFO";
        case Level::warn:
            return "WARNING";
        default:
            return "ERROR";
    }
}

/// Replaced while other threads write: by a reload, or another level.
std::atomic<std::shared_ptr<spdlog::logger>>& sink() {
    static std::atomic<std::shared_ptr<spdlog::logger>> logger{[] {
        auto first = std::make_shared<spdlog::logger>(
            "oavc", std::make_shared<spdlog::sinks::stderr_sink_mt>()
        );
        first->set_pattern("%H:%M:%S.%e %v");
        return first;
    }()};
    return logger;
}

/// Control characters would let a caller's header forge or colour log lines.
void append_json_text(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7F) {
            out += fmt::format("\\u{:04x}", byte);
        } else {
            out += c;
        }
    }
    out += '"';
}

// Fields of with_trace(). Their names in JSON depend on where the lines go.
constexpr std::string_view trace_field{"trace"};
constexpr std::string_view span_field{"span"};
constexpr std::string_view sampled_field{"trace_sampled"};

/// Set once, before the first call; read by every logger that is made later.
std::string& google_project() {
    static std::string project;
    return project;
}

void append_console(std::string& out, const Field& field) {
    if (field.key == span_field || field.key == sampled_field) return;  // for programs
    out += ' ';
    out += field.key;
    out += '=';
    const bool plain =
        field.value.find_first_of(" \"\\=\n\r\t") == std::string::npos && !field.value.empty();
    bool control = false;
    for (const char c : field.value)
        control = control || static_cast<unsigned char>(c) < 0x20;
    if (plain && !control) {
        out += field.value;
    } else {
        append_json_text(out, field.value);
    }
}

void append_json(std::string& out, std::string_view key, std::string_view value, bool quoted) {
    out += ',';
    append_json_text(out, key);
    out += ':';
    if (quoted) {
        append_json_text(out, value);
    } else {
        out += value;
    }
}

void append_json(std::string& out, const Field& field) {
    const auto& project = google_project();
    if (project.empty()) return append_json(out, field.key, field.value, field.quoted);
    if (field.key == trace_field) {
        const auto name = fmt::format("projects/{}/traces/{}", project, field.value);
        append_json(out, "logging.googleapis.com/trace", name, true);
    } else if (field.key == span_field) {
        append_json(out, "logging.googleapis.com/spanId", field.value, true);
    } else if (field.key == sampled_field) {
        append_json(out, "logging.googleapis.com/trace_sampled", field.value, false);
    } else {
        append_json(out, field.key, field.value, field.quoted);
    }
}

/// "2026-08-21T10:00:00.123456Z".
std::string rfc3339(std::chrono::system_clock::time_point time) {
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(since - seconds);
    const std::time_t whole = seconds.count();
    std::tm utc{};
    ::gmtime_r(&whole, &utc);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        utc.tm_year + 1900,
        utc.tm_mon + 1,
        utc.tm_mday,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec,
        rest.count()
    );
}

}  // namespace

bool parse_level(std::string_view text, Level& level) noexcept {
    std::string lower;
    for (const char c : text)
        lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    if (lower == "debug" || lower == "trace") {
        level = Level::debug;
    } else if (lower == "info") {
        level = Level::info;
    } else if (lower == "warn" || lower == "warning") {
        level = Level::warn;
    } else if (lower == "error" || lower == "critical") {
        level = Level::error;
    } else if (lower == "off" || lower == "none") {
        level = Level::off;
    } else {
        return false;
    }
    return true;
}

Field kv(std::string_view key, const Personal& value) {
    if (personal_data_shown.load(std::memory_order_relaxed)) {
        return {key, privacy::mask(value.value, privacy::Kinds::all()).text, true};
    }
    return {key, fmt::format("[{} chars]", value.value.size()), true};
}

void configure(const Settings& settings) {
    std::shared_ptr<spdlog::sinks::sink> output;
    if (settings.file.empty()) {
        output = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
        output = std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
    }
    auto logger = std::make_shared<spdlog::logger>("oavc", std::move(output));
    logger->set_pattern(settings.format == Format::json ? "%v" : "%H:%M:%S.%e %v");
    logger->set_level(to_spdlog(settings.level));
    logger->flush_on(spdlog::level::info);
    sink().store(std::move(logger));
    output_format = settings.format;
    output_level = settings.level;
    personal_data_shown = settings.show_personal_data;
}

Level level() noexcept { return output_level.load(std::memory_order_relaxed); }

std::uint64_t lines(Level level) noexcept {
    return written[static_cast<std::size_t>(level)].load(std::memory_order_relaxed);
}

Logger::Logger()
    : console_{std::make_shared<const std::string>()},
      json_{std::make_shared<const std::string>()} {}

Logger Logger::with(std::initializer_list<Field> fields) const {
    std::string console = *console_;
    std::string json = *json_;
    for (const Field& field : fields) {
        append_console(console, field);
        append_json(json, field);
    }
    Logger child;
    child.console_ = std::make_shared<const std::string>(std::move(console));
    child.json_ = std::make_shared<const std::string>(std::move(json));
    return child;
}

Logger with_trace(const Logger& log, std::string_view trace, std::string_view span, bool sampled) {
    return log.with({kv(trace_field, trace), kv(span_field, span), kv(sampled_field, sampled)});
}

void set_google_project(std::string project) { google_project() = std::move(project); }

void Logger::write(Level level, std::string_view message, std::initializer_list<Field> fields)
    const {
    if (level < output_level.load(std::memory_order_relaxed)) return;
    written[static_cast<std::size_t>(level)].fetch_add(1, std::memory_order_relaxed);
    std::string line;
    if (output_format.load(std::memory_order_relaxed) == Format::json) {
        line = fmt::format(
            R"({{"severity":"{}","time":"{}","message":)",
            severity(level),
            rfc3339(std::chrono::system_clock::now())
        );
        append_json_text(line, message);
        for (const Field& field : fields)
            append_json(line, field);
        line += *json_;
        line += '}';
    } else {
        line = fmt::format("{:<7} {}", severity(level), message);
        for (const Field& field : fields)
            append_console(line, field);
        line += *console_;
    }
    sink().load()->log(to_spdlog(level), std::string_view{line});
}

}  // namespace oavc::log
