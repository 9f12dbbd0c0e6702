#include "media/vad_silero.hpp"

#include "base/assert.hpp"
#include "media/detail/silero_model.hpp"
#include "media/detail/silero_net.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <fstream>
#include <utility>
#include <vector>

namespace oavc::media {

namespace {

using detail::SileroModel;

constexpr SampleRate rate = wideband;
constexpr std::size_t frame_samples = samples_in(frame_time, rate);
static_assert(frame_samples < SileroModel::window, "a frame completes at most one window");

/// 2 KiB per call: the network's state and the samples of the window that is filling.
class SileroVad final : public VadEngine {
public:
    SileroVad(std::shared_ptr<const SileroModel> model, detail::SileroNet net, float threshold)
        : model_{std::move(model)}, net_{net}, threshold_{threshold} {}

    SampleRate input_rate() const noexcept override { return rate; }

    VadDecision process(FrameView frame) noexcept override {
        OAVC_ASSERT(frame.rate == rate && frame.samples.size() == frame_samples);
        const auto head = std::min(frame_samples, SileroModel::window - filled_);
        std::ranges::copy(frame.samples.first(head), pending_.begin() + filled_);
        filled_ += head;
        if (filled_ == SileroModel::window) {
            judge();
            const auto tail = frame.samples.subspan(head);
            std::ranges::copy(tail, pending_.begin());
            filled_ = tail.size();
        }
        // Before the first window is full its span reaches back before the first sample: no audio.
        return {
            probability_,
            probability_ >= threshold_,
            SileroModel::window,
            static_cast<std::uint32_t>(filled_)};
    }

    void reset() noexcept override {
        state_ = {};
        filled_ = 0;
        probability_ = 0;
    }

private:
    void judge() noexcept {
        std::array<float, SileroModel::window> window;
        std::ranges::transform(pending_, window.begin(), [](Sample sample) {
            return static_cast<float>(sample) / 32'768.0F;
        });
        probability_ = net_(*model_, state_, window);
    }

    std::shared_ptr<const SileroModel> model_;  ///< shared with every engine of the factory
    detail::SileroNet net_;
    float threshold_;

    detail::SileroState state_;
    std::array<Sample, SileroModel::window> pending_;
    std::size_t filled_{0};  ///< samples in `pending_`
    float probability_{0};   ///< of the latest full window
};

class SileroVadFactory final : public VadFactory {
public:
    SileroVadFactory(std::shared_ptr<const SileroModel> model, float threshold)
        : model_{std::move(model)}, threshold_{threshold} {}

    std::string_view name() const noexcept override { return "silero"; }
    SampleRate input_rate() const noexcept override { return rate; }
    std::unique_ptr<VadEngine> make() const override {
        return std::make_unique<SileroVad>(model_, net_, threshold_);
    }

private:
    std::shared_ptr<const SileroModel> model_;
    detail::SileroNet net_{detail::silero_net()};
    float threshold_;
};

/// The file's bytes, but never more than a model could have (and one, so that the parser sees it).
Result<std::vector<std::byte>, std::string> read_bounded(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in) return std::string{"cannot be opened (is it there, and readable?)"};
    std::vector<std::byte> bytes(detail::max_silero_file + 1);
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (in.bad()) return std::string{"cannot be read"};
    bytes.resize(static_cast<std::size_t>(in.gcount()));
    return bytes;
}

}  // namespace

Result<std::shared_ptr<const VadFactory>, std::string> make_silero_vad(
    const std::filesystem::path& model, double threshold
) {
    const auto bytes = read_bounded(model);
    if (!bytes) return "Silero VAD model " + model.string() + " " + bytes.error();
    auto parsed = detail::parse_silero(*bytes);
    if (!parsed) {
        return "Silero VAD model " + model.string() + " is broken at byte " +
               std::to_string(parsed.error().offset) + ": " + parsed.error().what;
    }
    return std::make_shared<const SileroVadFactory>(
        std::move(*parsed), static_cast<float>(threshold)
    );
}

}  // namespace oavc::media
