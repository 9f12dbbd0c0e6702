#include "base/assert.hpp"
#include "config/explain.hpp"
#include "config/load.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Any bytes as a configuration: parsed, loaded, explained, complained about.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};  // NOLINT
    static const oavc::config::Environment environment{{"NAME", "value"}, {"EMPTY", ""}};
    const auto loaded = oavc::config::load_text(text, "fuzz.ini", "/nonexistent", environment);
    OAVC_ASSERT(!loaded.settings.empty());
    OAVC_ASSERT(!loaded.config.pipeline.agents.empty());
    OAVC_ASSERT(!oavc::config::explain(loaded).empty());
    const auto problems = oavc::config::list_problems(loaded, oavc::config::Severity::note);
    OAVC_ASSERT(problems.empty() == loaded.problems.empty());
    return 0;
}
