#include "media/vad_silero.hpp"

namespace oavc::media {

Result<std::shared_ptr<const VadFactory>, std::string> make_silero_vad(
    const std::filesystem::path& model, double /*threshold*/
) {
    return "Silero VAD: this build cannot read " + model.string();
}

}  // namespace oavc::media
