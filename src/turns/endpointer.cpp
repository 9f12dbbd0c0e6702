#include "turns/endpointer.hpp"

#include "turns/words.hpp"

namespace oavc::turns {

void Endpointer::on_words(std::string_view text) noexcept {
    if (looks_unfinished(text)) {
        wait_ = config_.silence_unfinished;
    } else if (looks_finished(text)) {
        wait_ = config_.silence_finished;
    } else {
        wait_ = config_.silence;
    }
}

}  // namespace oavc::turns
