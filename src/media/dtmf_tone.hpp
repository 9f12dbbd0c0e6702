#pragma once

#include "base/units.hpp"
#include "media/frame.hpp"

#include <span>
#include <string_view>

namespace oavc::media {

/// Which tones a key has (ITU-T Q.23): '0'–'9', '*', '#', 'A'–'D'.
bool is_dtmf_digit(char c) noexcept;

/// A key's two tones as samples, each 12 dB below full scale: within what receivers take (ITU-T
/// Q.24), far from clipping. Keeps its phase from call to call.
class DtmfTone {
public:
    DtmfTone(char digit, SampleRate rate) noexcept;

    void fill(std::span<Sample> out) noexcept;

private:
    double low_step_;  ///< radians per sample
    double high_step_;
    double low_{0};
    double high_{0};
};

}  // namespace oavc::media
