#pragma once

#include "async/mailbox.hpp"
#include "services/detail/shard_link.hpp"
#include "services/tts/tts.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace oavc::services {

/// Carries one synthesis from the thread that makes it to the shard that plays it: cuts leading
/// silence and brings the audio into sensible pieces. The first piece is small, so that playing
/// starts at once.
class AudioRelay {
public:
    /// Engines begin with up to 0.3 s of silence, which a caller would have to wait through; this
    /// much stays.
    static constexpr milliseconds lead{10};
    /// Sound begins with the first sample this large.
    static constexpr media::Sample sound = 100;

    /// Pieces of one reply that wait to be played: five minutes.
    static constexpr std::size_t inbox_bound = 2'048;

    using Inbox = async::Mailbox<TtsChunk>;

    AudioRelay(async::Shard& shard, const std::shared_ptr<Inbox>& inbox)
        : link_{shard}, inbox_{inbox} {}

    // Thread: the one that synthesises.

    /// Audio at `rate`, which is the same in every call. False: nobody wants it any more.
    bool send(media::Samples samples, SampleRate rate);
    /// No more comes. `error`: why not, end_of_stream if all is well.
    void finish(error_code error);

    // Thread: the shard's.

    /// Nothing reaches the inbox any more, and the synthesis is told at its next send.
    void cancel() noexcept {
        cancelled_ = true;
        link_.cut();
    }

    bool cancelled() const noexcept { return cancelled_; }

private:
    void flush();

    ShardLink link_;
    const std::weak_ptr<Inbox> inbox_;  ///< locked on the shard only
    std::atomic<bool> cancelled_{false};

    SampleRate rate_{wideband};
    std::vector<media::Sample> buffer_;
    bool begun_{false};  ///< the first sound came
    bool first_sent_{false};
};

/// The shard's end of a relay: the reply that a TtsSession gives out.
class RelayReply final : public TtsReply {
public:
    explicit RelayReply(async::Shard& shard);
    ~RelayReply() override;
    asio::awaitable<Result<TtsChunk>> next() override;

    const std::shared_ptr<AudioRelay>& relay() const noexcept { return relay_; }
    /// Fails before anything was synthesised.
    void fail(error_code error) { inbox_->close(error); }

private:
    static asio::awaitable<Result<TtsChunk>> wait(std::shared_ptr<AudioRelay::Inbox> inbox);

    std::shared_ptr<AudioRelay::Inbox> inbox_;  ///< shared with a next() that waits
    std::shared_ptr<AudioRelay> relay_;         ///< shared with the synthesis
};

}  // namespace oavc::services
