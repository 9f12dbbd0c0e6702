#pragma once

#include "base/time.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

/// Members of JSON that a peer wrote: what is missing or of another type reads as empty.
namespace oavc::services::json_read {

/// Nothing when the text is no JSON, no object, or nested deeper than 32.
inline std::optional<boost::json::object> object(std::string_view text) noexcept {
    boost::system::error_code error;
    auto value = boost::json::parse({text.data(), text.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    return std::move(value.as_object());
}

/// Valid while `from` is.
inline std::string_view text(const boost::json::object& from, std::string_view name) noexcept {
    const auto* const value = from.if_contains({name.data(), name.size()});
    const auto* const string = value == nullptr ? nullptr : value->if_string();
    return string == nullptr ? std::string_view{}
                             : std::string_view{string->data(), string->size()};
}

inline bool flag(const boost::json::object& from, std::string_view name) noexcept {
    const auto* const value = from.if_contains({name.data(), name.size()});
    const auto* const boolean = value == nullptr ? nullptr : value->if_bool();
    return boolean != nullptr && *boolean;
}

inline double number(const boost::json::object& from, std::string_view name) noexcept {
    const auto* const value = from.if_contains({name.data(), name.size()});
    if (value == nullptr) return 0;
    if (const auto* const real = value->if_double()) return *real;
    if (const auto* const whole = value->if_int64()) return static_cast<double>(*whole);
    return 0;
}

/// A position in a stream, in seconds on the wire: 0 to one day.
inline milliseconds seconds(const boost::json::object& from, std::string_view name) noexcept {
    constexpr double day = 86'400;
    return milliseconds{std::llround(std::clamp(number(from, name), 0.0, day) * 1000)};
}

inline const boost::json::object* object_in(
    const boost::json::object& from, std::string_view name
) noexcept {
    const auto* const value = from.if_contains({name.data(), name.size()});
    return value == nullptr ? nullptr : value->if_object();
}

inline const boost::json::array* array_in(
    const boost::json::object& from, std::string_view name
) noexcept {
    const auto* const value = from.if_contains({name.data(), name.size()});
    return value == nullptr ? nullptr : value->if_array();
}

}  // namespace oavc::services::json_read
