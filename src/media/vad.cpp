#include "media/vad.hpp"

#include "base/paths.hpp"
#include "base/providers.hpp"
#include "media/vad_silero.hpp"
#include "media/vad_webrtc.hpp"

#include <filesystem>
#include <utility>

namespace oavc::media {

namespace {

using MadeFactory = Result<std::shared_ptr<const VadFactory>, std::string>;

/// WebRTC in place of a Silero that could not be loaded: the same factory with an explanation.
class FallbackFactory final : public VadFactory {
public:
    FallbackFactory(std::shared_ptr<const VadFactory> inner, std::string note)
        : inner_{std::move(inner)}, note_{std::move(note)} {}

    std::string_view name() const noexcept override { return inner_->name(); }
    std::unique_ptr<VadEngine> make(SampleRate line) const override { return inner_->make(line); }
    std::string_view note() const noexcept override { return note_; }

private:
    std::shared_ptr<const VadFactory> inner_;
    std::string note_;
};

}  // namespace

MadeFactory make_vad_factory(const VadConfig& config) {
    if (config.engine == "webrtc") return make_webrtc_vad(config.aggressiveness);
    if (config.engine != "silero" && config.engine != "gated" && config.engine != "auto") {
        return unknown_provider(config.engine, "[vad] engine", known_vad_engines);
    }

    const std::filesystem::path model = config.model.empty()
                                            ? data_directory() / "models" / "silero-vad.bin"
                                            : std::filesystem::path{config.model};
    const auto duty = config.engine == "silero" ? SileroDuty::always : SileroDuty::gated;
    auto silero = make_silero_vad(model, config.threshold, duty);
    if (silero || config.engine != "auto") return silero;
    return std::make_shared<const FallbackFactory>(
        make_webrtc_vad(config.aggressiveness),
        silero.error() +
            ". Using the WebRTC detector; `oavc models pull silero-vad` fetches the "
            "better one, `[vad] engine = webrtc` keeps this one without asking."
    );
}

}  // namespace oavc::media
