#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::services {

struct ChatMessage {
    enum class Role { system, user, assistant };
    Role role{Role::user};
    std::string text;
};

struct LlmOptions {
    std::string language;
};

/// One question. `messages` ends with what the caller just said; what the assistant said before is
/// what the caller really heard of it.
struct LlmRequest {
    std::vector<ChatMessage> messages;
};

struct LlmEvent {
    enum class Kind {
        text,      ///< `text` continues the reply; any split, also inside a word
        transfer,  ///< hand the caller to `text` (SIP URI or number) once all was heard
        hang_up,   ///< end the call once all was heard
    };
    Kind kind{Kind::text};
    std::string text;
};

/// One streaming reply. Destruction cancels it at the server too; nothing of it leaks into the
/// next.
class LlmReply {
public:
    virtual ~LlmReply() = default;

    /// Next piece; ServiceErrc::end_of_stream when complete. Cancellable.
    virtual asio::awaitable<Result<LlmEvent>> next() = 0;
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
    virtual asio::awaitable<Result<std::unique_ptr<LlmSession>>> open(
        async::Shard& shard, LlmOptions options
    ) = 0;
};

}  // namespace oavc::services
