#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oavc::services::whisper {

/// LocalAgreement-2 (Liu et al. 2020; Macháček et al. 2023): of an utterance that is decoded again
/// and again while it grows, the words on which two hypotheses in a row agree are stable. What is
/// stable never changes or shrinks any more. Sans-I/O; one object per utterance.
class LocalAgreement {
public:
    /// Takes the next hypothesis, returns the stable text so far. Words agree when they are equal
    /// without case and punctuation; the later one's spelling is kept.
    const std::string& update(std::string_view hypothesis);

    const std::string& stable() const noexcept { return stable_; }

private:
    std::vector<std::string> former_;  ///< words of the last hypothesis, folded
    std::size_t agreed_{0};            ///< stable words
    std::string stable_;
};

}  // namespace oavc::services::whisper
