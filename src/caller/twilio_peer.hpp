#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "media/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller {

/// Where a TwiML document sends the call: the `<Connect><Stream>` in it.
struct StreamOrder {
    std::string url;
    std::map<std::string, std::string> parameters;
};

/// Reads the answer to the voice webhook as Twilio would. Error: a sentence for the user, also for
/// documents that refuse the call (`<Reject>`, `<Hangup>`).
Result<StreamOrder, ParseError> parse_twiml(std::string_view document);

/// X-Twilio-Signature: base64(HMAC-SHA1(token, url + each parameter's name and value, by name)).
std::string twilio_signature(
    std::string_view token,
    std::string_view url,
    const std::map<std::string, std::string>& parameters
);

/// application/x-www-form-urlencoded.
std::string form_encoded(const std::map<std::string, std::string>& parameters);

/// Twilio's side of one media stream: the messages it sends, and the playback buffer that plays
/// what the connector sends in real time, echoes marks and obeys `clear`. No sockets and no clock:
/// the owner calls `play` once per 20 ms and sends what `take_outgoing` returns.
class TwilioPeer {
public:
    /// Twilio discards what is beyond about ten minutes (warning 31931).
    static constexpr std::size_t max_buffer = 10 * 60 * 8'000;
    static constexpr std::size_t max_marks = 1'000;

    struct Identity {
        std::string account_sid;
        std::string call_sid;
        std::string stream_sid;
        std::string from;
        std::string to;
    };
    /// Random ids of the right form.
    static Identity make_identity(std::string account_sid, std::string from, std::string to);

    struct Stats {
        std::uint64_t sent{0};        ///< media messages to the connector
        std::uint64_t received{0};    ///< media messages from it
        std::uint64_t refused{0};     ///< messages that Twilio would warn about (31950)
        std::uint64_t overflowed{0};  ///< of these: media beyond max_buffer
        std::uint64_t clears{0};
        milliseconds deepest{0};      ///< most audio that ever lay in the buffer
        milliseconds longest_gap{0};  ///< longest time the buffer ran dry within speech (≤ 1 s: a
                                      ///< longer one is a pause)
    };

    explicit TwilioPeer(Identity identity);

    const Identity& identity() const noexcept { return identity_; }
    std::map<std::string, std::string> webhook_parameters() const;

    // What Twilio sends.
    void send_start(const std::map<std::string, std::string>& parameters, TimePoint now);
    void send_media(media::Samples samples, TimePoint now);
    void send_digit(char digit);
    void send_stop();
    std::vector<std::string> take_outgoing();

    /// A message from the connector. Wrong ones are counted and otherwise ignored; the error says
    /// what Twilio would complain about.
    Result<void> on_message(std::string_view message, TimePoint now);

    /// What the caller heard, and when its first sample sounded.
    struct Heard {
        TimePoint at;
        std::vector<media::Sample> samples;
    };

    /// Plays up to `now` and echoes the marks that this reached. Playback of an empty buffer begins
    /// the moment media comes in, and ends the moment a clear does.
    void advance(TimePoint now);
    std::vector<Heard> take_heard();

    milliseconds buffered() const noexcept;
    const Stats& stats() const noexcept { return stats_; }

private:
    struct Mark {
        std::uint64_t position;  ///< in samples received before it
        std::string name;
    };

    Result<void> on_media(std::string_view payload, TimePoint now);
    void on_mark(std::string name);
    void on_clear();
    void echo_reached();
    std::string head(std::string_view event);

    const Identity identity_;
    std::uint64_t sequence_{0};
    std::uint64_t chunk_{0};
    TimePoint began_{};
    std::deque<media::Sample> buffer_;
    std::uint64_t received_samples_{0};
    std::uint64_t played_samples_{0};  ///< or cleared
    std::deque<Mark> marks_;
    std::vector<std::string> outgoing_;
    TimePoint played_until_{};  ///< when the next sample of the buffer sounds
    std::vector<Heard> heard_;
    TimePoint dry_since_{};
    bool dry_{false};
    Stats stats_;
};

}  // namespace oavc::caller
