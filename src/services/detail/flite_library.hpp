#pragma once

#include <mutex>

namespace oavc::services {

/// Held while Flite's voices and lexicon are set up: the library fills tables of its own then.
inline std::mutex& flite_setup() {
    static std::mutex mutex;
    return mutex;
}

}  // namespace oavc::services
