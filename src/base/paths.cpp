#include "base/paths.hpp"

#include <cstdlib>

namespace oavc {

namespace {

/// The variable's value, or null when it is unset or empty.
const char* environment(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): start-up only
    return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

std::filesystem::path data_directory() {
    if (const char* own = environment("OAVC_DATA_DIR")) return own;
    if (const char* xdg = environment("XDG_DATA_HOME")) return std::filesystem::path{xdg} / "oavc";
    if (const char* home = environment("HOME")) {
        return std::filesystem::path{home} / ".local" / "share" / "oavc";
    }
    return std::filesystem::path{"/var/lib/oavc"};  // a service without a home
}

}  // namespace oavc
