#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "services/config.hpp"

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

/// Deepgram's streaming voices (v1/speak). Sans-I/O.
namespace oavc::services::deepgram {

/// The address with its query. `voice` is one of Deepgram's models; empty: the configured one.
std::string speak_url(const DeepgramTtsConfig& config, std::string_view voice);

/// The messages that have a text synthesised: Speak, several for a long one, then Flush.
std::vector<std::string> speak_messages(std::string_view text);

inline constexpr std::string_view clear_message = R"({"type":"Clear"})";

struct VoiceMessage {
    enum class Kind {
        flushed,        ///< the audio of a Flush was sent, but for what is still on its way
        cleared,        ///< nothing of what was there before Clear comes any more
        flush_refused,  ///< too many of them: this one is ignored
        error,
        other,  ///< Metadata, other warnings: nothing to do
    };
    Kind kind{Kind::other};
    std::string text;  ///< of warnings and errors
};

/// Errors: ServiceErrc::protocol when it is no JSON object.
Result<VoiceMessage> parse_voice_message(std::string_view json) noexcept;

/// Deepgram takes 20 Flush messages within 60 s and ignores more.
class FlushBudget {
public:
    static constexpr std::size_t most = 20;
    static constexpr Clock::duration window = 60s;

    bool spend(TimePoint now);

private:
    std::deque<TimePoint> spent_;
};

}  // namespace oavc::services::deepgram
