#include "caller/tape.hpp"

#include "base/units.hpp"
#include "media/wav.hpp"

#include <algorithm>

namespace oavc::caller {

namespace {

/// Packets jitter around their place; only a bigger step is a real pause (or jump) of the stream.
constexpr std::ptrdiff_t jitter_samples = static_cast<std::ptrdiff_t>(samples_in(60ms, narrowband));
constexpr std::size_t max_samples = samples_in(Tape::longest, narrowband);

}  // namespace

std::ptrdiff_t Tape::position(TimePoint at) const noexcept {
    return std::chrono::duration_cast<microseconds>(at - began_).count() * narrowband.hz /
           1'000'000;
}

void Tape::place(std::vector<media::Sample>& track, TimePoint at, media::Samples samples) const {
    const auto end = static_cast<std::ptrdiff_t>(track.size());
    const auto wanted = position(at);
    if (wanted > end + jitter_samples || (track.empty() && wanted > 0)) {
        track.resize(std::min(static_cast<std::size_t>(wanted), max_samples));
    }
    const auto room = max_samples - std::min(track.size(), max_samples);
    const auto kept = samples.first(std::min(samples.size(), room));
    track.insert(track.end(), kept.begin(), kept.end());
}

void Tape::sent(TimePoint at, media::Samples samples) {
    place(left_, at, samples);
    sent_activity_.add(at, samples);
}

void Tape::heard(TimePoint at, media::Samples samples) {
    place(right_, at, samples);
    heard_activity_.add(at, samples);
}

std::vector<media::Sample> Tape::heard_between(TimePoint from, TimePoint until) const {
    const auto size = static_cast<std::ptrdiff_t>(right_.size());
    const auto begin = std::clamp<std::ptrdiff_t>(position(from), 0, size);
    const auto end = std::clamp<std::ptrdiff_t>(position(until), begin, size);
    return {right_.begin() + begin, right_.begin() + end};
}

bool Tape::write_wav(const std::string& path) const {
    auto writer = media::WavWriter::open(path, narrowband, 2);
    if (writer.has_error()) return false;
    return writer->write_stereo(left_, right_).has_value() && writer->close().has_value();
}

}  // namespace oavc::caller
