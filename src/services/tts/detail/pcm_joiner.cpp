#include "services/tts/detail/pcm_joiner.hpp"

#include <cstdint>

namespace oavc::services {

namespace {

media::Sample sample_of(std::byte low, std::byte high) noexcept {
    const auto bits = std::to_integer<unsigned>(high) << 8 | std::to_integer<unsigned>(low);
    return static_cast<media::Sample>(static_cast<std::uint16_t>(bits));
}

}  // namespace

void PcmJoiner::push(std::span<const std::byte> bytes, std::vector<media::Sample>& out) {
    if (half_ && !bytes.empty()) {
        out.push_back(sample_of(*half_, bytes.front()));
        bytes = bytes.subspan(1);
        half_.reset();
    }
    for (; bytes.size() >= 2; bytes = bytes.subspan(2))
        out.push_back(sample_of(bytes[0], bytes[1]));
    if (!bytes.empty()) half_ = bytes.front();
}

}  // namespace oavc::services
