#pragma once

#include "base/result.hpp"
#include "net/http_stream.hpp"
#include "services/llm/llm.hpp"

#include <memory>
#include <optional>
#include <string_view>

namespace oavc::services {

/// Makes a reply's events out of the body of an HTTP answer. One per reply. Sans-I/O: what differs
/// between the protocols, while streamed_reply() does what they share.
class ReplyReader {
public:
    virtual ~ReplyReader() = default;

    /// Bytes of the body as they came, any split. Take the events out before the next push.
    virtual void push(std::string_view bytes) = 0;
    /// The body is over, or broke off: from now on next() always has an answer.
    virtual void finish() = 0;

    /// The next event; nothing: it takes more bytes. ServiceErrc::end_of_stream, or any other
    /// error, is the last.
    virtual std::optional<Result<LlmEvent>> next() = 0;

    /// What an answer with another status than 200 means. `body` is at most 64 KiB of anything.
    virtual error_code refused(int status, std::string_view body) = 0;
};

/// A reply that is asked for over HTTP by its first next(), and read as it comes. Destruction
/// closes the connection unless the reply was read to its end.
std::unique_ptr<LlmReply> streamed_reply(
    std::shared_ptr<net::HttpConnections> connections,
    net::HttpConnections::Request request,
    std::unique_ptr<ReplyReader> reader
);

}  // namespace oavc::services
