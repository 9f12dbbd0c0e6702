#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "net/websocket.hpp"
#include "services/config.hpp"
#include "services/stt/detail/replay_buffer.hpp"
#include "services/stt/stt.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The protocol of alphacep's vosk-server: JSON text and PCM s16le over a WebSocket. Every audio
/// message, and `eof` and `reset`, is answered with exactly one text message; the configuration is
/// not. Sans-I/O.
namespace oavc::services::vosk {

/// Byte for byte: the stock server compares text, and takes anything else for broken audio.
inline constexpr std::string_view eof_message = R"({"eof" : 1})";
inline constexpr std::string_view reset_message = R"({"reset" : 1})";

/// How the final of an utterance is asked for.
enum class Finalize { eof, reset, silence };
std::optional<Finalize> parse_finalize(std::string_view name) noexcept;

/// The first message of a connection.
std::string config_message(const VoskConfig& config);

struct Reply {
    enum class Kind {
        partial,  ///< what was heard since the last final; may shrink
        final,    ///< the server's endpointer fired, or it was asked to finish
        other,    ///< nothing we know, e.g. an acknowledgement: not an answer to audio
    };
    Kind kind{Kind::other};
    std::string text;
    std::vector<SttWord> words;  ///< times since the beginning of the connection's audio
};

/// Errors: ServiceErrc::protocol when it is no JSON object.
Result<Reply> parse_reply(std::string_view json) noexcept;

/// What was said on one connection so far. Owner: whoever owns its socket.
struct Line {
    bool configured{false};
    std::size_t samples{0};  ///< sent, of all utterances
    std::uint64_t owed{0};   ///< answers to come that belong to utterances of the past

    /// True when `json` was such an answer.
    bool take_owed(std::string_view json) noexcept;
};

/// One utterance on its way to the server, over one connection after another if need be.
class Utterance {
public:
    enum class Outcome {
        nothing,
        interim,   ///< text() has changed
        final,     ///< text() and words() are complete
        lost,      ///< this connection is of no use any more: try another
        hopeless,  ///< the server cannot be used: do not
    };
    Utterance(UtteranceId id, const VoskConfig& config, const std::string& first_message);

    UtteranceId id() const noexcept { return id_; }
    bool ended() const noexcept { return ended_; }

    void push(media::Samples audio) { audio_.append(audio); }
    void end() noexcept { ended_ = true; }

    /// A connection is there. What the last one did not answer for good is sent once more.
    void attach(const Line& line);
    /// Sends what is due, as far as the socket takes it.
    void pump(Line& line, net::WebSocket& socket);
    /// The utterance is over, or given up. True: the connection can be used for the next one.
    bool release(Line& line, net::WebSocket& socket);

    Outcome on_message(std::string_view json);
    /// The connection ended. `close_code` 0: without a close frame.
    Outcome on_closed(std::uint16_t close_code);

    /// All that was heard so far.
    std::string text() const;
    const std::vector<SttWord>& words() const noexcept { return words_; }
    std::uint64_t lost_samples() const noexcept { return audio_.lost(); }

private:
    bool complete(const Reply& reply) const noexcept;

    const UtteranceId id_;
    const std::string& first_message_;
    const SampleRate rate_;
    const std::size_t chunk_;
    const Finalize finalize_;
    ReplayBuffer audio_;
    bool ended_{false};

    // Of this connection.
    std::size_t first_{0};       ///< position of the first sample sent
    std::int64_t time_base_{0};  ///< position of the connection's first sample
    std::uint64_t asked_{0};     ///< messages of ours that are answered, one each
    std::uint64_t answered_{0};
    std::uint64_t audio_messages_{0};  ///< of asked_, those with audio of this utterance
    bool final_asked_{false};

    // What was heard.
    std::string settled_;  ///< finals, joined
    std::string partial_;
    std::vector<SttWord> words_;
    unsigned strikes_{0};  ///< connections in a row that were closed or garbled before any answer
};

}  // namespace oavc::services::vosk
