#pragma once

#include "media/frame.hpp"

#include <vector>

namespace oavc::services {

/// A whole recording at another rate, without delay. Not for streams.
std::vector<media::Sample> resample(media::Samples samples, SampleRate from, SampleRate to);

}  // namespace oavc::services
