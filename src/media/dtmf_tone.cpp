#include "media/dtmf_tone.hpp"

#include <array>
#include <cmath>
#include <numbers>

namespace oavc::media {

namespace {

constexpr std::string_view keys = "123A456B789C*0#D";   // row by row of the keypad
constexpr std::array rows{697.0, 770.0, 852.0, 941.0};  // Hz
constexpr std::array columns{1209.0, 1336.0, 1477.0, 1633.0};
constexpr double amplitude = 8192;

double step(double frequency, SampleRate rate) noexcept {
    return 2 * std::numbers::pi * frequency / rate.hz;
}

}  // namespace

bool is_dtmf_digit(char c) noexcept { return keys.find(c) != std::string_view::npos; }

DtmfTone::DtmfTone(char digit, SampleRate rate) noexcept {
    const auto key = is_dtmf_digit(digit) ? keys.find(digit) : 0;
    low_step_ = step(rows[key / 4], rate);
    high_step_ = step(columns[key % 4], rate);
}

void DtmfTone::fill(std::span<Sample> out) noexcept {
    for (Sample& sample : out) {
        sample = static_cast<Sample>(std::lround(amplitude * (std::sin(low_) + std::sin(high_))));
        low_ = std::fmod(low_ + low_step_, 2 * std::numbers::pi);
        high_ = std::fmod(high_ + high_step_, 2 * std::numbers::pi);
    }
}

}  // namespace oavc::media
