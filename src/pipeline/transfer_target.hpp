#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::pipeline {

/// A place that callers may be transferred to, and the name under which a model knows it.
struct TransferTarget {
    std::string name;    ///< "sales"
    std::string target;  ///< SIP URI or number
};

/// One item of `transfer_targets`: "sales:sip:sales@example.com". Nothing: it is not written like
/// this.
inline std::optional<TransferTarget> parse_transfer_target(std::string_view item) {
    const auto trimmed = [](std::string_view text) {
        const auto begin = text.find_first_not_of(" \t");
        if (begin == std::string_view::npos) return std::string_view{};
        return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
    };
    const auto colon = item.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto name = trimmed(item.substr(0, colon));
    const auto target = trimmed(item.substr(colon + 1));
    const bool plain = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
    if (name.empty() || !plain || target.empty()) return std::nullopt;
    // "sip:people@example.com" is an address that lacks its name.
    if (name == "sip" || name == "sips" || name == "tel") return std::nullopt;
    return TransferTarget{std::string{name}, std::string{target}};
}

}  // namespace oavc::pipeline
