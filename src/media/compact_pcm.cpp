#include "media/compact_pcm.hpp"

#include "base/assert.hpp"
#include "media/g711.hpp"

#include <cstring>

namespace oavc::media {

void CompactPcm::pack(Samples in, std::span<std::byte> out) const noexcept {
    OAVC_ASSERT(out.size() == bytes(in.size()));
    if (rate_ == narrowband) {
        g711::ulaw_encode(in, out);
    } else if (!in.empty()) {
        std::memcpy(out.data(), in.data(), out.size());
    }
}

void CompactPcm::unpack(std::span<const std::byte> in, std::span<Sample> out) const noexcept {
    OAVC_ASSERT(in.size() == bytes(out.size()));
    if (rate_ == narrowband) {
        g711::ulaw_decode(in, out);
    } else if (!in.empty()) {
        std::memcpy(out.data(), in.data(), in.size());
    }
}

}  // namespace oavc::media
