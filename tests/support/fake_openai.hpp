#pragma once

// A server with OpenAI's chat completions, as protocols/openai-compatible.md has them, on a real
// loopback socket.
//
//     FakeOpenAi openai;
//     config.endpoint.url = openai.url();                  // ends with /v1
//     openai.want_key("secret");                           // without it: 401
//     openai.say({"Hel", "lo."});
//     openai.behave([](ChatBehaviour& b) { b.stall_after = 1; });
//     openai.stop(); openai.start(); openai.freeze(true);  // killed, restarted, hung
//     openai.asks().back().body; openai.abandoned();       // what came, how many were cancelled

#include "support/chat_behaviour.hpp"
#include "support/scripted_http_server.hpp"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::test {

class FakeOpenAi {
public:
    std::string url() const { return server_.url("/v1"); }
    std::uint16_t port() const noexcept { return server_.port(); }
    void stop() { server_.stop(); }
    void start() { server_.start(); }
    void freeze(bool frozen) noexcept { server_.freeze(frozen); }

    void say(std::vector<std::string> tokens) {
        behave([&](ChatBehaviour& each) { each.tokens = std::move(tokens); });
    }
    template <class F>
    void behave(F&& change) {
        const std::lock_guard lock{mutex_};
        change(behaviour_);
    }
    void reset() {
        const std::lock_guard lock{mutex_};
        behaviour_ = {};
    }
    void want_key(std::string key) {
        const std::lock_guard lock{mutex_};
        key_ = std::move(key);
    }
    /// Replies do not end with [DONE].
    void without_done(bool without) noexcept { without_done_ = without; }

    std::vector<ChatAsk> asks() const {
        const std::lock_guard lock{mutex_};
        return asks_;
    }
    /// Replies of which the client did not want the end.
    std::size_t abandoned() const noexcept { return abandoned_; }
    std::size_t connections() const noexcept { return server_.connections(); }

private:
    using Exchange = ScriptedHttpServer::Exchange;

    static std::string text(const std::string& value) {
        return boost::json::serialize(boost::json::value(value));
    }
    static std::string error(std::string_view what, std::string_view type) {
        return fmt::format(
            R"({{"error":{{"message":"{}","type":"{}","param":null,"code":null}}}})", what, type
        );
    }

    void answer(Exchange& http) {
        const auto& request = http.request();
        const auto found = request.headers.find("authorization");
        const std::string authorization = found == request.headers.end() ? "" : found->second;
        ChatBehaviour behaviour;
        std::string key;
        {
            const std::lock_guard lock{mutex_};
            behaviour = behaviour_;
            key = key_;
        }
        if (!key.empty() && authorization != "Bearer " + key) {
            return http.respond(
                401, "application/json", error("Incorrect API key", "invalid_request_error")
            );
        }
        if (request.method == "GET" && request.target == "/v1/models") {
            return http.respond(
                200, "application/json", R"({"object":"list","data":[{"id":"gpt-4.1-mini"}]})"
            );
        }
        if (request.method != "POST" || request.target != "/v1/chat/completions") {
            return http.respond(404, "application/json", R"({"detail":"Not Found"})");
        }
        {
            const std::lock_guard lock{mutex_};
            asks_.push_back({request.target, request.body, authorization, request.on_connection});
        }
        if (behaviour.refuse != 0) {
            return http.respond(
                behaviour.refuse,
                "application/json",
                behaviour.refusal_body.empty() ? error("overloaded", "server_error")
                                               : behaviour.refusal_body
            );
        }
        if (!play_reply(http, behaviour, dialect())) ++abandoned_;
    }

    static std::string chunk(std::string_view delta, std::string_view finish_reason = "null") {
        return fmt::format(
            R"(data: {{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,)"
            R"("model":"gpt-4.1-mini","choices":[{{"index":0,"delta":{},)"
            R"("finish_reason":{}}}],"usage":null}})",
            delta,
            finish_reason
        );
    }

    ChatDialect dialect() const {
        ChatDialect made;
        made.content_type = "text/event-stream";
        made.line_end = "\n\n";
        made.token = [](const std::string& token) {
            return chunk(fmt::format(R"({{"role":"assistant","content":{}}})", text(token)));
        };
        made.thought = [](const std::string& thought) {
            return ": keep-alive\n\n" +
                   chunk(fmt::format(R"({{"content":null,"reasoning":{}}})", text(thought)));
        };
        made.calls = [](const ChatBehaviour& behaviour) {
            std::vector<std::string> all;
            int index = 0;
            for (const auto& [function, arguments] : behaviour.calls) {
                all.push_back(chunk(fmt::format(
                    R"({{"role":"assistant","content":null,"tool_calls":[{{"index":{},)"
                    R"("id":"call_{}","type":"function","function":{{"name":"{}",)"
                    R"("arguments":""}}}}]}})",
                    index,
                    index,
                    function
                )));
                const auto half = arguments.size() / 2;
                for (const auto& piece : {arguments.substr(0, half), arguments.substr(half)}) {
                    all.push_back(chunk(fmt::format(
                        R"({{"tool_calls":[{{"index":{},"function":{{"arguments":{}}}}}]}})",
                        index,
                        text(piece)
                    )));
                }
                ++index;
            }
            return all;
        };
        made.last = [this] {
            std::vector<std::string> lines{
                chunk("{}", R"("stop")"),
                R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[],)"
                R"("usage":{"prompt_tokens":14,"completion_tokens":3,"total_tokens":17}})"};
            if (!without_done_) lines.emplace_back("data: [DONE]");
            return lines;
        };
        made.error = "data: " + error("The server had an error", "server_error");
        made.garbage = "data: <html>";
        return made;
    }

    mutable std::mutex mutex_;
    ChatBehaviour behaviour_;
    std::string key_;
    std::vector<ChatAsk> asks_;
    std::atomic<bool> without_done_{false};
    std::atomic<std::size_t> abandoned_{0};
    ScriptedHttpServer server_{[this](Exchange& http) { answer(http); }};  ///< last: uses the rest
};

}  // namespace oavc::test
