#include "services/stt/phrase_recognizer.hpp"

#include "media/resampler.hpp"
#include "services/stt/detail/sphinx_decoder.hpp"

#include <stdexcept>

namespace oavc::services {

PhraseRecognizer::PhraseRecognizer(
    const std::vector<std::string>& phrases, const std::string& model_dir
) {
    auto model = SphinxModel::from_phrases(phrases, model_dir);
    if (!model) throw std::runtime_error{model.error().what};
    auto decoder = SphinxDecoder::create(*model);
    if (!decoder) throw std::runtime_error{"PocketSphinx cannot load its model from " + model_dir};
    decoder_ = std::move(*decoder);
}

PhraseRecognizer::PhraseRecognizer(PhraseRecognizer&&) noexcept = default;
PhraseRecognizer& PhraseRecognizer::operator=(PhraseRecognizer&&) noexcept = default;
PhraseRecognizer::~PhraseRecognizer() = default;

std::string PhraseRecognizer::recognize(media::Samples samples, SampleRate rate) {
    media::Resampler resampler{rate, wideband};
    std::vector<media::Sample> wide;
    resampler.process(samples, wide);
    resampler.flush(wide);
    decoder_->start({});
    decoder_->process(wide);
    ChannelState channel;
    return decoder_->finish(channel);
}

}  // namespace oavc::services
