#include "app/reload.hpp"

#include <fmt/format.h>

#include <map>

namespace oavc::app {

namespace {

using Values = std::map<std::string, const config::Setting*>;

Values values_of(const config::Loaded& loaded) {
    Values values;
    for (const config::Setting& setting : loaded.settings)
        values.emplace(fmt::format("[{}] {}", setting.section, setting.key->name), &setting);
    return values;
}

/// The settings of `fresh` that `old` had otherwise or not at all, and those that are gone.
Values differences(const config::Loaded& old, const config::Loaded& fresh) {
    const Values before = values_of(old);
    Values after = values_of(fresh);
    Values changed = before;
    for (const auto& [name, setting] : after) {
        const auto found = before.find(name);
        if (found != before.end() && found->second->value == setting->value) {
            changed.erase(name);
        } else {
            changed[name] = setting;
        }
    }
    return changed;
}

Effect effect_of(const config::Setting& setting) noexcept {
    return app::effect_of(setting.section, setting.key->name);
}

/// Of the files that settings name for which `wanted` holds.
template <class Wanted>
FileTimes file_times(const config::Loaded& loaded, Wanted wanted) {
    FileTimes times;
    for (const config::Setting& setting : loaded.settings) {
        const bool file = std::holds_alternative<config::Path>(setting.key->rule);
        if (!file || setting.value.empty() || !wanted(setting)) continue;
        std::error_code missing;
        const auto written = std::filesystem::last_write_time(setting.value, missing);
        if (!missing) times.emplace(setting.value, written);
    }
    return times;
}

}  // namespace

Effect effect_of(std::string_view section, std::string_view key) noexcept {
    const auto room = section.substr(0, section.find('.'));
    const auto is_one_of = [](std::string_view what, auto... names) {
        return ((what == names) || ...);
    };
    if (room == "logging") return Effect::at_once;
    if (is_one_of(room, "agent", "turns", "interruption")) return Effect::calls;
    if (is_one_of(room, "stt", "llm", "tts", "failover", "vad")) return Effect::engines;
    if (room == "api" && is_one_of(key, "token", "read_token")) return Effect::at_once;
    if (room == "limits") {
        if (key == "drain_deadline") return Effect::at_once;
        if (is_one_of(key, "max_calls", "max_calls_per_caller", "max_lag", "max_call_duration")) {
            return Effect::calls;
        }
    }
    return Effect::restart;
}

ReloadPlan plan_reload(
    const config::Loaded& started, const config::Loaded& running, const config::Loaded& fresh
) {
    ReloadPlan plan;
    for (const auto& [name, setting] : differences(started, fresh)) {
        if (effect_of(*setting) == Effect::restart) plan.restart.push_back(name);
    }
    for (const auto& [name, setting] : differences(running, fresh)) {
        const Effect effect = effect_of(*setting);
        if (effect == Effect::restart) continue;
        plan.changed.push_back(name);
        plan.engines = plan.engines || effect == Effect::engines;
        plan.calls = plan.calls || effect == Effect::engines || effect == Effect::calls;
    }
    return plan;
}

FileTimes engine_file_times(const config::Loaded& loaded) {
    return file_times(loaded, [](const config::Setting& setting) {
        return effect_of(setting) == Effect::engines;
    });
}

FileTimes certificate_file_times(const config::Loaded& loaded) {
    return file_times(loaded, [](const config::Setting& setting) {
        const std::string_view name = setting.key->name;
        return name.starts_with("tls_") || name.ends_with("ca_file") ||
               name == "certificate_file" || name == "key_file";
    });
}

}  // namespace oavc::app
