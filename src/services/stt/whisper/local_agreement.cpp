#include "services/stt/whisper/local_agreement.hpp"

#include "services/stt/whisper/text.hpp"

#include <algorithm>
#include <cstddef>

namespace oavc::services::whisper {

const std::string& LocalAgreement::update(std::string_view hypothesis) {
    const auto words = split_at_spaces(hypothesis);
    std::vector<std::string> now;
    now.reserve(words.size());
    for (const auto word : words)
        now.push_back(folded(word));

    const auto common = std::ranges::mismatch(former_, now);
    const auto same = static_cast<std::size_t>(common.in1 - former_.begin());
    for (std::size_t i = agreed_; i < same; ++i) {
        if (!stable_.empty()) stable_ += ' ';
        stable_ += words[i];
    }
    agreed_ = std::max(agreed_, same);
    former_ = std::move(now);
    return stable_;
}

}  // namespace oavc::services::whisper
