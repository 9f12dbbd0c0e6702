#include "media/inband_digits.hpp"

// spandsp's headers do not include what they need.
// clang-format off
#include <spandsp/telephony.h>
#include <spandsp/complex.h>
#include <spandsp/logging.h>
#include <spandsp/super_tone_rx.h>
#include <spandsp/dtmf.h>
// clang-format on

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

namespace oavc::media {

void InbandDigits::Destroy::operator()(dtmf_rx_state_s* detector) const noexcept {
    dtmf_rx_free(detector);
}

InbandDigits::InbandDigits(SampleRate rate)
    : detector_{dtmf_rx_init(nullptr, nullptr, nullptr)}, to_narrowband_{rate, narrowband} {
    if (!detector_) throw std::bad_alloc{};
}

std::optional<char> InbandDigits::on_frame(Samples frame) noexcept {
    std::optional<char> found;
    while (!frame.empty()) {  // a longer frame than promised comes in parts
        const auto part = frame.first(std::min<std::size_t>(frame.size(), 320));
        frame = frame.subspan(part.size());
        const auto size = to_narrowband_.process(part, narrow_);
        dtmf_rx(detector_.get(), narrow_.data(), static_cast<int>(size));
        char digit = 0;
        if (dtmf_rx_get(detector_.get(), &digit, 1) > 0 && !found) found = digit;
    }
    return found;
}

}  // namespace oavc::media
