#include "services/tts/detail/pcm_stream.hpp"

#include "base/bytes.hpp"

namespace oavc::services {

namespace {

constexpr std::string_view wav_begins = "RIFF";

}  // namespace

Result<void> PcmStream::feed(std::span<const std::byte> bytes, std::vector<media::Sample>& out) {
    if (form_ == Form::unknown) {
        begun_.insert(begun_.end(), bytes.begin(), bytes.end());
        const auto seen =
            as_text(std::span{begun_}.first(std::min(begun_.size(), wav_begins.size())));
        if (seen != wav_begins.substr(0, seen.size())) {
            form_ = Form::raw;
        } else if (seen.size() == wav_begins.size()) {
            form_ = Form::wav;
            wav_.emplace();
        } else {
            return {};
        }
        const auto all = std::exchange(begun_, {});
        return feed(all, out);
    }
    if (form_ == Form::wav) return wav_->feed(bytes, out);
    raw_.push(bytes, out);
    return {};
}

}  // namespace oavc::services
