#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "transports/errors.hpp"

#include <string>

namespace oavc::pipeline {

/// What somebody outside wants of a running call.
struct CallCommand {
    enum class Kind {
        hang_up,
        transfer,
        hold,
        resume,
        send_digits,
        say,
        pause_recording,
        resume_recording,
    };
    Kind kind{Kind::hang_up};
    /// transfer: SIP URI, number, or a name among the agent's targets; send_digits: keys, 'w' waits
    /// for half a second; say: the words.
    std::string text{};
    bool attended{false};        ///< transfer: the target is asked first
    milliseconds patience{30s};  ///< … and has so long to answer
    bool goodbye{false};         ///< hang_up: after the agent's goodbye was heard
    bool interrupt{false};       ///< say: at once, instead of what we are saying
};

/// Reaches running calls from anywhere. Thread: any.
class CallCommands {
public:
    /// Completes once the command was carried out or refused, on `here`. `call`: session id or the
    /// carrier's own. hang_up with goodbye, and say: as soon as it is accepted.
    /// Errors: transports::CallControlErrc; `gone` also when no such call runs.
    virtual asio::awaitable<Result<void>> command(
        async::Shard& here, std::string call, CallCommand command
    ) = 0;

protected:
    ~CallCommands() = default;
};

}  // namespace oavc::pipeline
