#pragma once

#include "base/time.hpp"
#include "caller/measure.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace oavc::caller {

/// Both directions of one call on the wire's clock, at 8 kHz: for the recording, the measures and
/// the recogniser. At most `longest` is kept.
class Tape {
public:
    static constexpr std::chrono::minutes longest{30};

    /// Sample 0 is `began`.
    explicit Tape(TimePoint began) : began_{began} {}

    void sent(TimePoint at, media::Samples samples);
    void heard(TimePoint at, media::Samples samples);

    const Activity& sent_activity() const noexcept { return sent_activity_; }
    const Activity& heard_activity() const noexcept { return heard_activity_; }
    TimePoint began() const noexcept { return began_; }

    /// What was heard in [from, until), silence where nothing was.
    std::vector<media::Sample> heard_between(TimePoint from, TimePoint until) const;

    /// Stereo WAV, 8 kHz: caller left, connector right. False: could not be written.
    bool write_wav(const std::string& path) const;

private:
    void place(std::vector<media::Sample>& track, TimePoint at, media::Samples samples) const;
    std::ptrdiff_t position(TimePoint at) const noexcept;

    const TimePoint began_;
    std::vector<media::Sample> left_;
    std::vector<media::Sample> right_;
    Activity sent_activity_;
    Activity heard_activity_;
};

}  // namespace oavc::caller
