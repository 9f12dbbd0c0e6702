#pragma once

// The predecessor's language model server (shared/protocols/llama-ws.md).
//
//     FakeLlama llama;                                    // answers "Evet." in two chunks
//     llama.model([](const std::string& user) { return "You said: " + user; });
//     llama.set({.rag_context = "Opening hours …"});
//     llama.say({R"({"chunk":"a"})", R"({"error":"boom"})"});   // these messages, as they are
//     llama.url(); llama.requests(); and the knobs of fake_websocket_server.hpp

#include "support/fake_websocket_server.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <functional>
#include <string>
#include <vector>

namespace oavc::test {

class FakeLlama final : public FakeWebSocketServer {
public:
    struct Manner {
        std::string rag_context{};  ///< sent first, when given
    };

    FakeLlama() : FakeWebSocketServer{{"/"}} { start(); }
    ~FakeLlama() { stop(); }

    void set(const Manner& manner) {
        const std::lock_guard lock{mutex_};
        manner_ = manner;
    }
    /// From what the server reads of a request, its last user message, to the answer. Each word
    /// becomes a chunk.
    void model(std::function<std::string(const std::string& user)> answer) {
        const std::lock_guard lock{mutex_};
        model_ = std::move(answer);
    }
    /// Every answer consists of these; empty: the model's again.
    void say(std::vector<std::string> messages) {
        const std::lock_guard lock{mutex_};
        fixed_ = std::move(messages);
    }
    /// As they came.
    std::vector<std::string> requests() const {
        const std::lock_guard lock{mutex_};
        return requests_;
    }

protected:
    asio::awaitable<void> serve(const net::HttpRequest&, net::WebSocket& socket) override {
        for (;;) {
            const auto message = co_await socket.read();
            if (!message) co_return;
            auto reply = make_reply(std::string{message->data});
            const bool alive = co_await answer(socket, std::move(reply));
            if (!alive) co_return;
        }
    }

private:
    /// The last user message, or the prompt; empty: neither.
    static std::string question_in(const boost::json::object& request) {
        std::string question;
        if (const auto* const prompt = request.if_contains("prompt")) {
            if (prompt->is_string()) question = prompt->get_string();
        }
        const auto* const messages = request.if_contains("messages");
        if (messages == nullptr || !messages->is_array()) return question;
        for (const auto& message : messages->get_array()) {
            const auto* const object = message.if_object();
            if (object == nullptr) continue;
            const auto* const role = object->if_contains("role");
            const auto* const content = object->if_contains("content");
            if (role == nullptr || content == nullptr || !content->is_string()) continue;
            if (role->is_string() && role->get_string() == "user") question = content->get_string();
        }
        return question;
    }

    std::vector<Outgoing> make_reply(const std::string& text) {
        std::function<std::string(const std::string&)> model;
        Manner how;
        std::vector<std::string> fixed;
        {
            const std::lock_guard lock{mutex_};
            requests_.push_back(text);
            model = model_;
            how = manner_;
            fixed = fixed_;
        }
        std::vector<Outgoing> reply;
        for (auto& message : fixed)
            reply.push_back({std::move(message)});
        if (!reply.empty()) return reply;

        boost::system::error_code bad;
        const auto request = boost::json::parse(text, bad);
        if (bad) return {{R"({"error":"Invalid JSON: ..."})"}};
        if (!request.is_object()) return {{R"({"error":"Message must be a JSON object"})"}};
        const auto question = question_in(request.get_object());
        if (question.empty()) return {{R"({"error":"Prompt text is required"})"}};
        if (!how.rag_context.empty()) {
            reply.push_back({boost::json::serialize(boost::json::object{
                {"rag_context", how.rag_context}, {"context_length", how.rag_context.size()}})});
        }
        const auto words = model(question);
        for (std::size_t at = 0; at < words.size();) {
            const auto end = std::min(words.find(' ', at + 1), words.size());
            reply.push_back(
                {boost::json::serialize(boost::json::object{{"chunk", words.substr(at, end - at)}})}
            );
            at = end;
        }
        reply.push_back({R"({"done":true})"});
        return reply;
    }

    Manner manner_;
    std::function<std::string(const std::string&)> model_{
        [](const std::string&) { return std::string{"Evet efendim."}; }};
    std::vector<std::string> fixed_;
    std::vector<std::string> requests_;
};

}  // namespace oavc::test
