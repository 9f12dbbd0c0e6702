#include "observability/log.hpp"

#include "observability/privacy.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace oavc::log {

namespace {

std::atomic<Format> output_format{Format::console};
std::atomic<Level> output_level{Level::info};
std::atomic<bool> personal_data_shown{false};

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

std::shared_ptr<spdlog::logger>& sink() {
    static auto logger = [] {
        auto first = std::make_shared<spdlog::logger>(
            "oavc", std::make_shared<spdlog::sinks::stderr_sink_mt>()
        );
        first->set_pattern("%H:%M:%S.%e %v");
        return first;
    }();
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

void append_console(std::string& out, const Field& field) {
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

void append_json(std::string& out, const Field& field) {
    out += ',';
    append_json_text(out, field.key);
    out += ':';
    if (field.quoted) {
        append_json_text(out, field.value);
    } else {
        out += field.value;
    }
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
    sink() = std::move(logger);
    output_format = settings.format;
    output_level = settings.level;
    personal_data_shown = settings.show_personal_data;
}

Level level() noexcept { return output_level.load(std::memory_order_relaxed); }

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

void Logger::write(Level level, std::string_view message, std::initializer_list<Field> fields)
    const {
    if (level < output_level.load(std::memory_order_relaxed)) return;
    std::string line;
    if (output_format.load(std::memory_order_relaxed) == Format::json) {
        const auto now =
            std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()
            )
                .time_since_epoch()
                .count();
        line = fmt::format(
            "{{\"severity\":\"{}\",\"timestampSeconds\":{}.{:03},\"message\":",
            severity(level),
            now / 1000,
            now % 1000
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
    sink()->log(to_spdlog(level), std::string_view{line});
}

}  // namespace oavc::log
