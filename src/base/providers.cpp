#include "base/providers.hpp"

namespace oavc {

std::string unknown_provider(
    std::string_view value, std::string_view where, std::span<const std::string_view> known
) {
    std::string text{"Unknown provider: '"};
    text.append(value).append("' for ").append(where).append(" (known: ");
    std::string_view separator;
    for (const std::string_view name : known) {
        text.append(separator).append(name);
        separator = ", ";
    }
    return text + ")";
}

}  // namespace oavc
