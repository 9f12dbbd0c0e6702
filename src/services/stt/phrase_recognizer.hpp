#pragma once

#include "media/frame.hpp"

#include <memory>
#include <string>
#include <vector>

namespace oavc::services {

class SphinxDecoder;

/// Recognises recordings made of known phrases: the test caller's ear. Plain and synchronous; one
/// object per thread. Deterministic: the same samples give the same words.
class PhraseRecognizer {
public:
    /// Throws std::runtime_error with a sentence for the user when the model cannot be loaded.
    explicit PhraseRecognizer(
        const std::vector<std::string>& phrases,
        const std::string& model_dir = "/usr/share/pocketsphinx/model/en-us"
    );
    PhraseRecognizer(PhraseRecognizer&&) noexcept;
    PhraseRecognizer& operator=(PhraseRecognizer&&) noexcept;
    ~PhraseRecognizer();

    /// Words in lower case; empty when nothing was recognised. Any rate from 8 to 48 kHz.
    std::string recognize(media::Samples samples, SampleRate rate);

private:
    std::unique_ptr<SphinxDecoder> decoder_;
};

}  // namespace oavc::services
