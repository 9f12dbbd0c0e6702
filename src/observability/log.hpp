#pragma once

#include <fmt/format.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace oavc::log {

enum class Level { debug, info, warn, error, off };

/// "debug", "info", "warn"/"warning", "error", "off"; false for anything else.
bool parse_level(std::string_view text, Level& level) noexcept;

enum class Format {
    console,  ///< 12:00:00.123 INFO  call answered codec=PCMU session=4f1c…
    json,     ///< one object per line
};

/// One named datum of a log line.
struct Field {
    std::string_view key;
    std::string value;
    bool quoted;  ///< JSON: a string (true) or a number or boolean (false)
};

template <class T>
Field kv(std::string_view key, const T& value) {
    if constexpr (std::same_as<T, bool>) {
        return {key, value ? "true" : "false", false};
    } else if constexpr (std::integral<T>) {
        return {key, fmt::format("{}", value), false};
    } else if constexpr (std::floating_point<T>) {
        return {key, fmt::format("{:.3f}", value), false};
    } else if constexpr (requires { value.message(); }) {
        return {key, value.message(), true};
    } else if constexpr (requires {
                             std::chrono::duration_cast<std::chrono::microseconds>(value);
                         }) {
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
        return {key, fmt::format("{:.1f}", static_cast<double>(us) / 1000.0), false};
    } else {
        return {key, std::string{std::string_view{value}}, true};
    }
}

/// Personal data (transcripts, prompts, numbers, URIs, digits): shown as "[12 chars]" unless the
/// operator sets [logging] show_personal_data.
struct Personal {
    std::string_view value;
};
inline Personal pii(std::string_view value) noexcept { return {value}; }
Field kv(std::string_view key, const Personal& value);

/// Process-wide sink settings; call before the first line. Not a singleton of the product: one sink
/// is a property of the process, like its stderr.
struct Settings {
    Level level{Level::info};
    Format format{Format::console};
    std::string file;  ///< empty: stderr
    bool show_personal_data{false};
};
void configure(const Settings& settings);
Level level() noexcept;

/// Writes lines that carry the bound fields. Cheap to copy (one pointer).
class Logger {
public:
    Logger();  ///< no bound fields

    /// A logger that adds `fields` to every line of this one.
    [[nodiscard]] Logger with(std::initializer_list<Field> fields) const;

    template <class... Fields>
    void debug(std::string_view message, const Fields&... fields) const {
        write(Level::debug, message, {fields...});
    }
    template <class... Fields>
    void info(std::string_view message, const Fields&... fields) const {
        write(Level::info, message, {fields...});
    }
    template <class... Fields>
    void warn(std::string_view message, const Fields&... fields) const {
        write(Level::warn, message, {fields...});
    }
    template <class... Fields>
    void error(std::string_view message, const Fields&... fields) const {
        write(Level::error, message, {fields...});
    }

private:
    void write(Level level, std::string_view message, std::initializer_list<Field> fields) const;

    std::shared_ptr<const std::string> console_;  ///< bound fields, rendered once; never changes
    std::shared_ptr<const std::string> json_;
};

/// Lets the first event through and then at most one per `interval`, telling how many were held
/// back. For warnings that a peer can cause. Thread: its owner's.
class RateLimit {
public:
    explicit RateLimit(std::chrono::steady_clock::duration interval) noexcept
        : interval_{interval} {}

    /// True when this event should be logged; `suppressed()` then says how many were not.
    bool allow(std::chrono::steady_clock::time_point now) noexcept {
        if (!first_ && now - last_ < interval_) {
            ++held_;
            return false;
        }
        first_ = false;
        last_ = now;
        suppressed_ = held_;
        held_ = 0;
        return true;
    }
    std::uint64_t suppressed() const noexcept { return suppressed_; }

private:
    std::chrono::steady_clock::duration interval_;
    std::chrono::steady_clock::time_point last_{};
    std::uint64_t held_{0};
    std::uint64_t suppressed_{0};
    bool first_{true};
};

}  // namespace oavc::log
