#include "services/tts/detail/pcm_stream.hpp"

#include "base/bytes.hpp"

namespace oavc::services {

namespace {

constexpr std::string_view wav_begins = "RIFF";

media::Sample sample_of(std::byte low, std::byte high) noexcept {
    const auto bits = std::to_integer<unsigned>(high) << 8 | std::to_integer<unsigned>(low);
    return static_cast<media::Sample>(static_cast<std::uint16_t>(bits));
}

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

    out.reserve(out.size() + bytes.size() / 2 + 1);
    if (!begun_.empty() && !bytes.empty()) {
        out.push_back(sample_of(begun_.front(), bytes.front()));
        begun_.clear();
        bytes = bytes.subspan(1);
    }
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
        out.push_back(sample_of(bytes[i], bytes[i + 1]));
    if (bytes.size() % 2 != 0) begun_.push_back(bytes.back());
    return {};
}

}  // namespace oavc::services
