#pragma once

#include "base/ids.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

/// Our reply's audio between synthesis and the wire, and the ledger of what the caller heard of it.
/// Positions count samples at the transport's rate from the reply's begin. Bound: producers stop
/// while `queued()` exceeds `high_water`. Thread: the call's shard.
class PlayoutQueue {
public:
    /// Synthesis runs at most this far ahead of playing.
    static constexpr milliseconds high_water{3000};
    /// What can be taken back after a pause: this much, or half of it more than ever lay unheard at
    /// the carrier; `high_water` at most.
    static constexpr milliseconds history{1000};

    explicit PlayoutQueue(media::AudioFormat format) noexcept : format_{format} {}

    /// Drops everything and starts a new reply.
    void begin();

    /// The audio appended from here on speaks `text`.
    void begin_sentence(std::string text);
    /// Copied.
    void append(media::Samples samples);
    /// Shared: `samples` live as long as `owner`, which lives until they were played. What many
    /// callers hear is in memory once.
    void append(media::Samples samples, std::shared_ptr<const void> owner);
    /// No more audio comes: the last partial frame is filled up with silence.
    void finish() noexcept { finished_ = true; }

    /// Takes the next frame. False: not enough audio there (yet).
    bool take_frame(std::span<media::Sample> frame) noexcept;

    /// So much of what was taken is not heard yet: it may have to be put back.
    void keep(milliseconds unheard) noexcept;

    /// Puts back what was taken but not heard. Bounded by `history`.
    void rewind(milliseconds unheard) noexcept;

    bool finished() const noexcept { return finished_; }
    /// Everything was taken.
    bool drained() const noexcept { return finished_ && taken_ >= appended_; }
    milliseconds queued() const noexcept;
    std::uint64_t taken() const noexcept { return taken_; }
    bool empty() const noexcept { return appended_ == 0; }

    /// The words whose audio the caller has heard when all taken audio but `unheard` was played:
    /// whole sentences, and of the one that is cut the words that fit its share of time.
    std::string heard_text(milliseconds unheard) const;

    /// Gives back the memory of a reply that is over.
    void release() noexcept;

private:
    struct Sentence {
        std::string text;
        std::uint64_t begin;  ///< samples
        std::uint64_t end;
    };

    /// A stretch of audio, ours or somebody's.
    struct Piece {
        std::vector<media::Sample> own;     ///< empty: shared
        std::shared_ptr<const void> owner;  ///< null: own
        media::Samples samples;
        std::uint64_t end;  ///< position behind its last sample
    };

    void forget_played();
    void appended(std::size_t samples);

    media::AudioFormat format_;
    std::vector<Piece> pieces_;   ///< in order; the first begins at sample `base_`
    milliseconds kept_{history};  ///< of what was taken
    std::uint64_t base_{0};
    std::uint64_t taken_{0};
    std::uint64_t appended_{0};
    bool finished_{false};
    std::vector<Sentence> sentences_;
};

/// The words of `text` that fit into `share` (0 … 1) of its time, letters counted as time.
std::string_view spoken_part(std::string_view text, double share) noexcept;

}  // namespace oavc::pipeline
