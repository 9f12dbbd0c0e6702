#pragma once

#include "config/load.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::app {

/// What a changed key needs before it holds.
enum class Effect {
    at_once,  ///< nothing: logging, the API's tokens
    calls,    ///< calls to come are made from it
    engines,  ///< recogniser, model, voice and detector are made anew, for calls to come
    restart,  ///< sockets and threads are made once
};
Effect effect_of(std::string_view section, std::string_view key) noexcept;

/// What a new configuration changes. Names are "[section] key", never values.
struct ReloadPlan {
    std::vector<std::string> changed;  ///< what holds without a restart
    std::vector<std::string> restart;  ///< what differs from what the process was started with
    bool calls{false};                 ///< also when engines are
    bool engines{false};
};

/// `started`: what sockets and threads were made from; `running`: what holds now.
ReloadPlan plan_reload(
    const config::Loaded& started, const config::Loaded& running, const config::Loaded& fresh
);

/// When the files that engines read (models, dialogues, certificates) were written, by their paths.
using FileTimes = std::map<std::string, std::filesystem::file_time_type>;
FileTimes engine_file_times(const config::Loaded& loaded);

/// The same of certificates, keys and whom we believe, of servers and clients: where somebody
/// renews them without telling us.
FileTimes certificate_file_times(const config::Loaded& loaded);

}  // namespace oavc::app
