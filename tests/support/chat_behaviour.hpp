#pragma once

// What the fakes of language model servers do, good and bad. All of it can be changed while the
// server runs; an answer that has begun keeps what it began with.

#include "support/scripted_http_server.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::test {

struct ChatBehaviour {
    std::vector<std::string> tokens{"Hello", " from", " the", " model."};
    std::vector<std::pair<std::string, std::string>> calls;  ///< function name, JSON of arguments
    std::vector<std::string> thinking;                       ///< comes before the tokens
    std::chrono::milliseconds first_after{0};                ///< also the wait for the head
    std::chrono::milliseconds gap{0};                        ///< between tokens

    int refuse{0};               ///< an HTTP status instead of an answer
    std::string refusal_body{};  ///< as it is; empty: the server's usual shape

    // After so many tokens, one of:
    std::optional<std::size_t> stall_after;    ///< nothing more, the connection stays open
    std::optional<std::size_t> cut_after;      ///< the connection breaks off
    std::optional<std::size_t> end_after;      ///< a proper end of HTTP, but not of the reply
    std::optional<std::size_t> error_after;    ///< the server reports an error
    std::optional<std::size_t> garbage_after;  ///< something that is no JSON
    std::optional<std::size_t> flood_after;    ///< a line of three megabytes

    bool byte_by_byte{false};  ///< every byte of the body in a chunk of its own
    bool crlf{false};          ///< lines end with \r\n
};

/// How a fake server writes the parts of a streamed reply. Each is one line or event, end included.
struct ChatDialect {
    std::string content_type;
    std::string line_end;  ///< "\n", or "\n\n" for events
    std::function<std::string(const std::string& token)> token;
    std::function<std::string(const std::string& thought)> thought;
    std::function<std::vector<std::string>(const ChatBehaviour&)> calls;
    std::function<std::vector<std::string>()> last;  ///< what ends a reply
    std::string error;
    std::string garbage;
};

/// Answers with a stream. False: the client left before the end.
inline bool play_reply(
    ScriptedHttpServer::Exchange& http, const ChatBehaviour& behaviour, const ChatDialect& dialect
) {
    const auto send = [&](std::string text) {
        if (behaviour.crlf) {
            std::string ends;
            for (const char letter : text)
                ends += letter == '\n' ? "\r\n" : std::string(1, letter);
            text = ends;
        }
        if (!behaviour.byte_by_byte) return http.send(text);
        for (const char byte : text) {
            if (!http.send({&byte, 1})) return false;
        }
        return true;
    };
    if (!http.pause(behaviour.first_after)) return false;
    if (!http.begin(200, dialect.content_type)) return false;
    for (const auto& thought : behaviour.thinking) {
        if (!send(dialect.thought(thought) + dialect.line_end)) return false;
    }
    for (std::size_t said = 0;; ++said) {
        if (behaviour.stall_after == said) {
            http.hang();
            return false;
        }
        if (behaviour.cut_after == said) return true;
        if (behaviour.end_after == said) {
            http.end();
            return true;
        }
        if (behaviour.error_after == said) {
            send(dialect.error + dialect.line_end);
            http.end();
            return true;
        }
        if (behaviour.garbage_after == said) send(dialect.garbage + dialect.line_end);
        if (behaviour.flood_after == said) {
            return send(std::string(3'000'000, 'x')) && http.pause(std::chrono::hours{1});
        }
        if (said == behaviour.tokens.size()) break;
        if (said > 0 && !http.pause(behaviour.gap)) return false;
        if (!send(dialect.token(behaviour.tokens[said]) + dialect.line_end)) return false;
    }
    for (const auto& call : dialect.calls(behaviour)) {
        if (!send(call + dialect.line_end)) return false;
    }
    for (const auto& line : dialect.last()) {
        if (!send(line + dialect.line_end)) return false;
    }
    http.end();
    return true;
}

/// A request that a fake was asked.
struct ChatAsk {
    std::string target;
    std::string body;
    std::string authorization;
    std::size_t on_connection{0};  ///< the how manieth of its connection, from 0
};

}  // namespace oavc::test
