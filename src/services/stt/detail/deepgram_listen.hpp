#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "net/websocket.hpp"
#include "services/config.hpp"
#include "services/stt/detail/replay_buffer.hpp"
#include "services/stt/stt.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Deepgram's streaming recognition (v1/listen). Sans-I/O.
namespace oavc::services::deepgram {

/// The address with its query. `language` is what the call asks for, where the configuration names
/// none: without its region, as a model that does not have it refuses the connection.
std::string listen_url(const DeepgramSttConfig& config, std::string_view language);

struct Message {
    enum class Kind {
        results,  ///< what was heard in a stretch of time
        error,    ///< `text` says which; the connection ends
        other,    ///< Metadata, SpeechStarted, UtteranceEnd …: nothing to do
    };
    Kind kind{Kind::other};
    std::string text;
    std::vector<SttWord> words;  ///< times as `begin`
    // Since the beginning of the connection's audio.
    milliseconds begin{0};
    milliseconds end{0};
    bool is_final{false};       ///< this stretch will not change; the utterance may well go on
    bool from_finalize{false};  ///< the answer to Finalize
    std::string request_id;     ///< names the session for Deepgram's support
};

/// Errors: ServiceErrc::protocol when it is no JSON object.
Result<Message> parse_message(std::string_view json) noexcept;

/// A call's utterances on their way over one connection, or over several after another. Time is an
/// argument.
class Listener {
public:
    /// While nothing else is sent.
    static constexpr Clock::duration keep_alive_interval = 4s;
    /// Finalize is not answered when everything was: then what is there is the final.
    static constexpr Clock::duration finalize_limit = 500ms;
    /// Utterances that wait for their final at once; the oldest then gets what there is.
    static constexpr std::size_t most_pending = 8;

    enum class Outcome {
        ok,
        lost,      ///< the connection is of no use any more
        hopeless,  ///< the server does not understand us
    };

    explicit Listener(milliseconds chunk);

    void begin(UtteranceId id);
    void push(media::Samples audio);
    void end();
    void cancel(UtteranceId id);

    /// A connection is there. What the last one did not answer for good is sent once more.
    void attach();
    void detach() noexcept;
    /// Sends what is due, as far as the socket takes it.
    void pump(net::WebSocket& socket, TimePoint now);

    Outcome on_message(std::string_view json, TimePoint now);
    Outcome on_closed(std::uint16_t close_code) noexcept;
    void on_time(TimePoint now);
    /// When on_time() and pump() have something to do. TimePoint::max(): never.
    TimePoint next_deadline() const noexcept;

    /// What to tell the call. Empty: nothing (any more).
    std::optional<SttEvent> next_event();

    /// Utterances wait for the server.
    bool busy() const noexcept { return !utterances_.empty(); }
    std::uint64_t take_lost_samples() noexcept { return std::exchange(lost_samples_, 0); }
    const std::string& request_id() const noexcept { return request_id_; }

private:
    struct Utterance {
        explicit Utterance(UtteranceId name);

        UtteranceId id;
        ReplayBuffer audio;
        bool ended{false};
        bool cancelled{false};
        std::string settled;  ///< finals, joined
        std::string interim;
        std::vector<SttWord> words;
        // Of this connection.
        bool attached{false};
        std::int64_t first{0};   ///< position on the connection of its first sample
        std::int64_t last{0};    ///< … and behind its last one, once finalized
        std::int64_t offset{0};  ///< position on the connection less position in the utterance
        std::optional<TimePoint> finalized;
        bool heard{false};  ///< something came for it

        std::string text() const;
    };

    bool send(net::WebSocket& socket, Utterance& utterance, TimePoint now);
    void on_results(Message message);
    /// How many utterances there are up to the one that was heard at `position`; 0: none.
    std::size_t count_to(std::int64_t position) const noexcept;
    void finish(std::size_t count);
    void forget(const Utterance& utterance) noexcept;

    const std::size_t chunk_;
    std::deque<Utterance> utterances_;
    std::deque<SttEvent> events_;
    bool open_{false};
    bool audio_sent_{false};    ///< on this connection
    std::int64_t position_{0};  ///< samples sent on this connection
    TimePoint last_sent_{};
    unsigned strikes_{0};
    std::uint64_t lost_samples_{0};
    std::string request_id_;
};

}  // namespace oavc::services::deepgram
