#pragma once

#include "sip/headers.hpp"
#include "sip/text.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace oavc::sip::detail {

/// "1800;refresher=uac" of Session-Expires, "90" of Min-SE (RFC 4028 §4, §5); 0: none or not
/// readable.
inline std::chrono::seconds interval_of(std::string_view value) {
    const auto number = parse_number<std::uint32_t>(trim(value.substr(0, value.find(';'))));
    return std::chrono::seconds{number ? std::min<std::uint32_t>(*number, 86'400u * 7) : 0u};
}

inline std::string refresher_of(std::string_view value) {
    const auto semicolon = std::min(value.find(';'), value.size());
    return find_parameter(value.substr(semicolon), "refresher").value_or("");
}

}  // namespace oavc::sip::detail
