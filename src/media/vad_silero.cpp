#include "media/vad_silero.hpp"

#include "base/assert.hpp"
#include "media/detail/gated_vad.hpp"
#include "media/detail/silero_model.hpp"
#include "media/detail/silero_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <utility>
#include <vector>

namespace oavc::media {

namespace {

/// Silero all the time. 2 KiB per call: the network's state and the window that is filling.
class SileroVad final : public VadEngine {
public:
    SileroVad(std::shared_ptr<const detail::SileroModel> model, SampleRate line, float threshold)
        : stream_{std::move(model), line, 1}, threshold_{threshold} {}

    SampleRate input_rate() const noexcept override { return stream_.rate(); }

    VadDecisions process(FrameView frame) noexcept override {
        OAVC_ASSERT(frame.rate == stream_.rate() && frame.duration() == microseconds{frame_time});
        stream_.push(frame.samples);
        if (stream_.ready() == 0) return {};
        const float probability = stream_.judge();
        decision_ = {
            probability,
            probability >= threshold_,
            static_cast<std::uint32_t>(stream_.window_samples()),
            stream_.age()};
        return {&decision_, 1};
    }

    void reset() noexcept override { stream_.reset(); }

private:
    detail::SileroStream stream_;
    float threshold_;
    VadDecision decision_;
};

class SileroVadFactory final : public VadFactory {
public:
    SileroVadFactory(
        std::shared_ptr<const detail::SileroModel> model, float threshold, SileroDuty duty
    )
        : model_{std::move(model)}, threshold_{threshold}, duty_{duty} {}

    std::string_view name() const noexcept override {
        return duty_ == SileroDuty::always ? "silero" : "gated";
    }
    std::unique_ptr<VadEngine> make(SampleRate line) const override {
        const SampleRate rate = line > narrowband ? wideband : narrowband;
        if (duty_ == SileroDuty::always) {
            return std::make_unique<SileroVad>(model_, rate, threshold_);
        }
        return detail::make_gated_vad(model_, rate, threshold_);
    }

private:
    std::shared_ptr<const detail::SileroModel> model_;
    float threshold_;
    SileroDuty duty_;
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
    const std::filesystem::path& model, double threshold, SileroDuty duty
) {
    const auto bytes = read_bounded(model);
    if (!bytes) return "Silero VAD model " + model.string() + " " + bytes.error();
    auto parsed = detail::parse_silero(*bytes);
    if (!parsed) {
        return "Silero VAD model " + model.string() + " is broken at byte " +
               std::to_string(parsed.error().offset) + ": " + parsed.error().what;
    }
    return std::make_shared<const SileroVadFactory>(
        std::move(*parsed), static_cast<float>(threshold), duty
    );
}

}  // namespace oavc::media
