#include "media/detail/silero_stream.hpp"

#include "base/assert.hpp"
#include "media/detail/doubler.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::media::detail {

SileroStream::SileroStream(
    std::shared_ptr<const SileroModel> model, SampleRate line, std::size_t windows
)
    : model_{std::move(model)},
      rate_{line},
      narrow_{line == narrowband},
      net_{silero_net()},
      window_{narrow_ ? SileroModel::window / 2 : SileroModel::window},
      ahead_{narrow_ ? Doubler::ahead : 0},
      behind_{narrow_ ? Doubler::behind : 0},
      ring_(behind_ + (windows + 1) * window_ + ahead_ + samples_in(frame_time, line)) {
    OAVC_ASSERT(line == narrowband || line == wideband);
    reset();
}

void SileroStream::reset() noexcept {
    state_ = {};
    std::ranges::fill(ring_, Sample{0});  // there was silence before
    pushed_ = next_ = behind_;
}

void SileroStream::push(Samples frame) noexcept {
    OAVC_ASSERT(pushed_ - next_ + behind_ + frame.size() <= ring_.size());
    const auto at = static_cast<std::size_t>(pushed_ % ring_.size());
    const auto head = std::min(frame.size(), ring_.size() - at);
    std::ranges::copy(frame.first(head), ring_.begin() + static_cast<std::ptrdiff_t>(at));
    std::ranges::copy(frame.subspan(head), ring_.begin());
    pushed_ += frame.size();
}

std::size_t SileroStream::ready() const noexcept {
    const std::uint64_t waiting = pushed_ - next_;
    return waiting < ahead_ ? 0 : static_cast<std::size_t>((waiting - ahead_) / window_);
}

void SileroStream::skip() noexcept {
    OAVC_ASSERT(ready() > 0);
    next_ += window_;
}

void SileroStream::read(std::uint64_t from, std::size_t count, float* to) const noexcept {
    auto at = static_cast<std::size_t>(from % ring_.size());
    for (std::size_t i = 0; i < count;) {
        const auto piece = std::min(count - i, ring_.size() - at);
        for (std::size_t j = 0; j < piece; ++j)
            to[i + j] = static_cast<float>(ring_[at + j]) / 32'768.0F;
        i += piece;
        at = 0;
    }
}

float SileroStream::judge() noexcept {
    OAVC_ASSERT(ready() > 0);
    std::array<float, SileroModel::window> window;
    if (narrow_) {
        std::array<float, Doubler::input> line;
        read(next_ - behind_, line.size(), line.data());
        doubler().run(line, window);
    } else {
        read(next_, window.size(), window.data());
    }
    next_ += window_;
    return net_(*model_, state_, window);
}

}  // namespace oavc::media::detail
