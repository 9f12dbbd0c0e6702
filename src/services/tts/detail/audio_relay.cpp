#include "services/tts/detail/audio_relay.hpp"

#include "services/detail/stream_error.hpp"

#include <algorithm>
#include <utility>

namespace oavc::services {

bool AudioRelay::send(media::Samples samples, SampleRate rate) {
    if (cancelled_) return false;
    const auto before = buffer_.size();
    rate_ = rate;
    buffer_.insert(buffer_.end(), samples.begin(), samples.end());
    if (!begun_) {
        const auto added = buffer_.begin() + static_cast<std::ptrdiff_t>(before);
        const auto first = std::find_if(added, buffer_.end(), [](media::Sample sample) {
            return sample >= sound || sample <= -sound;
        });
        begun_ = first != buffer_.end();
        const auto keep = static_cast<std::ptrdiff_t>(samples_in(lead, rate));
        if (first - buffer_.begin() > keep) buffer_.erase(buffer_.begin(), first - keep);
        if (!begun_) return true;
    }
    constexpr milliseconds first_piece{20};
    constexpr milliseconds later_piece{200};
    if (buffer_.size() >= samples_in(first_sent_ ? later_piece : first_piece, rate)) flush();
    return true;
}

void AudioRelay::finish(error_code error) {
    if (cancelled_) return;
    if (begun_ && !buffer_.empty()) flush();
    link_.post([weak = inbox_, error] {
        if (const auto inbox = weak.lock()) inbox->close(error);
    });
}

void AudioRelay::flush() {
    first_sent_ = true;
    link_.post([weak = inbox_, chunk = TtsChunk{std::exchange(buffer_, {}), rate_}]() mutable {
        const auto inbox = weak.lock();
        if (inbox == nullptr || inbox->try_push(std::move(chunk))) return;
        inbox->close(make_error_code(ServiceErrc::overloaded));
    });
}

RelayReply::RelayReply(async::Shard& shard)
    : inbox_{std::make_shared<AudioRelay::Inbox>(shard.executor(), AudioRelay::inbox_bound)},
      relay_{std::make_shared<AudioRelay>(shard, inbox_)} {}

RelayReply::~RelayReply() {
    relay_->cancel();
    inbox_->clear();
    inbox_->close(make_error_code(ServiceErrc::cancelled));
}

asio::awaitable<Result<TtsChunk>> RelayReply::next() { return wait(inbox_); }

asio::awaitable<Result<TtsChunk>> RelayReply::wait(std::shared_ptr<AudioRelay::Inbox> inbox) {
    auto chunk = co_await inbox->pop();
    if (!chunk) co_return service_error(chunk.error());
    co_return chunk;
}

}  // namespace oavc::services
