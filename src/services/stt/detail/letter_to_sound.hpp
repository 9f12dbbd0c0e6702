#pragma once

#include <string>
#include <string_view>

namespace oavc::services {

/// CMU phones ("HH AH L OW") of an English word that no dictionary has, by Flite's letter-to-sound
/// rules. Empty when it has letters outside a … z and the apostrophe. Callable from any thread.
std::string letter_to_sound(std::string_view word);

}  // namespace oavc::services
