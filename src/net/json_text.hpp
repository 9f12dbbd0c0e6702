#pragma once

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace oavc::net {

/// JSON as people read it: 612.3, where boost::json::serialize writes 6.123E2. Compact, members in
/// their order; what JSON has no number for is null. Users link Boost::json.
inline void append_json(std::string& out, const boost::json::value& value) {
    if (const auto* const object = value.if_object()) {
        char separator = '{';
        for (const auto& [name, member] : *object) {
            out += separator;
            out += boost::json::serialize(name);
            out += ':';
            append_json(out, member);
            separator = ',';
        }
        out += object->empty() ? "{}" : "}";
    } else if (const auto* const array = value.if_array()) {
        char separator = '[';
        for (const auto& item : *array) {
            out += separator;
            append_json(out, item);
            separator = ',';
        }
        out += array->empty() ? "[]" : "]";
    } else if (value.is_double()) {
        const double number = value.get_double();
        out += std::isfinite(number) ? fmt::format("{}", number) : "null";
    } else {
        out += boost::json::serialize(value);
    }
}

inline std::string json_text(const boost::json::value& value) {
    std::string out;
    append_json(out, value);
    return out;
}

}  // namespace oavc::net
