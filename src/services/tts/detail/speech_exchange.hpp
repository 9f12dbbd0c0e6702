#pragma once

#include "base/error.hpp"
#include "media/frame.hpp"
#include "services/errors.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// What a server and we say to each other about one sentence: an adapter without its connection.
/// Sans-I/O.
class SpeechExchange {
public:
    virtual ~SpeechExchange() = default;

    /// What to send, in order.
    virtual std::vector<std::string> requests() = 0;

    /// Takes what the server said and appends its audio to `audio`, all of it at rate(). No error:
    /// more is to come. Else the sentence is over: with ServiceErrc::end_of_stream all of it came.
    virtual error_code receive(
        std::string_view data, bool binary, std::vector<media::Sample>& audio
    ) = 0;

    /// The server ended the connection, perhaps with a close code (0: none). Why the sentence ends.
    virtual error_code on_close(std::uint16_t close_code) {
        static_cast<void>(close_code);
        return make_error_code(ServiceErrc::unavailable);
    }

    virtual SampleRate rate() const = 0;

    /// The server's own words about its failure, for the operator; may be empty.
    virtual std::string_view complaint() const { return {}; }

    /// Once it ended well: the connection may carry the next sentence.
    virtual bool reusable() const { return false; }
};

}  // namespace oavc::services
