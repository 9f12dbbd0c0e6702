#include "transports/rtp/frame_converter.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace oavc::transports::rtp {

namespace {

/// The resampler sees 3 ms ahead at 8 kHz, and its chunks vary by a sample.
constexpr milliseconds lead{4};

}  // namespace

FrameConverter::FrameConverter(SampleRate in, SampleRate out)
    : resampler_{in, out},
      frame_samples_{samples_in(frame_time, out)},
      buffer_(
          samples_in(lead, out) + frame_samples_ + resampler_.max_output(samples_in(frame_time, in))
      ) {
    reset();
}

void FrameConverter::reset() noexcept {
    resampler_.reset();
    filled_ = samples_in(lead, output_rate());
    given_ = 0;
    std::fill_n(buffer_.begin(), filled_, media::Sample{0});
}

media::FrameView FrameConverter::convert(media::FrameView frame) noexcept {
    const auto begin = buffer_.begin();
    std::copy(
        begin + static_cast<std::ptrdiff_t>(given_),
        begin + static_cast<std::ptrdiff_t>(filled_),
        begin
    );
    filled_ -= std::exchange(given_, 0);
    const auto most = samples_in(frame_time, input_rate());
    filled_ += resampler_.process(
        frame.samples.first(std::min(frame.samples.size(), most)),
        std::span{buffer_}.subspan(filled_)
    );
    if (filled_ < frame_samples_) {  // a short frame came: what is missing is silence
        std::fill(
            begin + static_cast<std::ptrdiff_t>(filled_),
            begin + static_cast<std::ptrdiff_t>(frame_samples_),
            media::Sample{0}
        );
        filled_ = frame_samples_;
    }
    given_ = frame_samples_;
    return {media::Samples{buffer_}.first(frame_samples_), output_rate()};
}

}  // namespace oavc::transports::rtp
