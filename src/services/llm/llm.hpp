#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "services/served.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

/// What a model can do. The pipeline branches on this, never on a provider's name.
struct LlmCapabilities {
    bool tools{false};   ///< LlmRequest::tools are offered to the model
    bool cancel{false};  ///< destroying a reply also stops the work at the server
};

/// A function that the model wants to have called.
struct ToolCall {
    std::string id;  ///< the provider's name for this call; may be empty
    std::string name;
    std::string arguments;  ///< a JSON object as text; invalid JSON of the model becomes {}
};

/// A wish for keys that the caller presses.
struct KeypadRequest {
    std::size_t count{20};    ///< complete with so many
    milliseconds first{10s};  ///< how long to wait for the first
    char terminator{'#'};     ///< … or with this one
};

struct ChatMessage {
    enum class Role { system, user, assistant, tool };
    Role role{Role::user};
    std::string text;
    std::vector<ToolCall> tool_calls{};  ///< of assistant
    std::string tool_call_id{};          ///< of tool: what `text` answers
    std::string tool_name{};             ///< of tool
    /// Of user: the keys pressed in this turn; empty: none in time. A secret: engines inside the
    /// process may use it, nobody sends it anywhere. `text` says as much of it as it may.
    std::optional<std::string> keys{};
};

/// A function that the model may ask for.
struct Tool {
    std::string name;
    std::string description;
    std::string parameters;  ///< JSON schema of the arguments, as text
};

struct LlmOptions {
    std::string language;
    /// W3C trace context of the call, for the handshake with a server; empty: none.
    std::string traceparent{};
    log::Logger log{};  ///< the call's: its lines name it
};

/// One question. `messages` ends with what the caller just said, or with what became of a tool
/// call; what the assistant said before is what the caller really heard of it.
struct LlmRequest {
    std::vector<ChatMessage> messages;
    std::vector<Tool> tools;
    /// What of this very reply was said already, by a provider that then failed: the model goes on
    /// behind it. Engines that cannot answer anew.
    std::string said_already;
    /// W3C trace context of this question, for the request to a server; empty: none.
    std::string traceparent{};
};

struct LlmEvent {
    enum class Kind {
        text,  ///< `text` continues the reply; any split, also inside a word
        // Once all was heard:
        transfer,     ///< hand the caller to `text` (SIP URI or number)
        hang_up,      ///< end the call
        send_digits,  ///< press the keys `text`: '0'–'9', '*', '#', 'A'–'D', 'w' (half a second)
        collect,      ///< wait for the caller's keys: `keypad`
        tool_call,    ///< `tool`
        restart,      ///< the piece of a sentence that came last is void: the reply goes on anew
    };
    Kind kind{Kind::text};
    std::string text{};
    ToolCall tool{};
    KeypadRequest keypad{};
};

/// One streaming reply. Destruction cancels it at the server too; nothing of it leaks into the
/// next.
class LlmReply {
public:
    virtual ~LlmReply() = default;

    /// Next piece; ServiceErrc::end_of_stream when complete. Cancellable.
    virtual asio::awaitable<Result<LlmEvent>> next() = 0;

    /// Known from the first event on.
    virtual Served served() const { return {}; }
};

/// One call's connection to a model. Thread: the call's shard.
class LlmSession {
public:
    virtual ~LlmSession() = default;

    /// Never waits: connecting and sending happen within next(). One reply at a time.
    virtual std::unique_ptr<LlmReply> ask(LlmRequest request) = 0;
};

/// A model behind one interface. One object for all calls, safe from several shards at once.
class LlmService {
public:
    virtual ~LlmService() = default;
    virtual std::string_view name() const noexcept = 0;
    virtual const LlmCapabilities& capabilities() const noexcept = 0;
    virtual asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) = 0;

    /// Does it answer? Without effect on calls: a connection, a handshake, a health request.
    /// Engines inside the process have nothing to ask.
    virtual asio::awaitable<Result<void>> probe(async::Shard& shard) {
        static_cast<void>(shard);
        co_return Result<void>{};
    }

    /// Called once at start, in the background while calls may come already: looks whether the
    /// model is there, fetches and loads it where that is configured. May take minutes. Says in
    /// the log what it does and what is wrong.
    virtual asio::awaitable<Result<void>> prepare(async::Shard& shard) {
        static_cast<void>(shard);
        co_return Result<void>{};
    }

    /// What it counts itself, since start-up, for metrics: always the same names. Thread: any.
    virtual std::vector<metrics::Count> counts() const { return {}; }
};

}  // namespace oavc::services
