#include "services/detail/language.hpp"

namespace oavc::services {

std::string primary_language(std::string_view tag) {
    std::string language{tag.substr(0, tag.find_first_of("-_"))};
    for (char& c : language) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return language;
}

std::string known_language(std::string_view tag) {
    auto language = primary_language(tag);
    return language == "auto" ? std::string{} : language;
}

}  // namespace oavc::services
