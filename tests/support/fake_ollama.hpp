#pragma once

// An Ollama server, as protocols/ollama.md has it, on a real loopback socket.
//
//     FakeOllama ollama;                                   // has the model "llama3.2:3b"
//     config.endpoint.url = ollama.url();
//     ollama.say({"Hel", "lo."});                          // what it answers
//     ollama.behave([](ChatBehaviour& b) { b.stall_after = 1; });
//     ollama.stop(); ollama.start(); ollama.freeze(true);  // killed, restarted, hung
//     ollama.asks().back().body; ollama.abandoned();       // what came, how many were cancelled

#include "support/chat_behaviour.hpp"
#include "support/scripted_http_server.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::test {

class FakeOllama {
public:
    struct Model {
        std::uint64_t size{2'019'393'189};
        std::vector<std::string> capabilities{"completion", "tools"};
    };
    /// How pulling behaves.
    struct Pulling {
        std::uint64_t layer_size{1'000'000'000};  ///< of each of two layers
        int steps{5};                             ///< progress lines of a layer
        bool fails{false};                        ///< an error line in mid-way
        bool breaks_off{false};                   ///< the connection ends in mid-way
    };

    std::string url() const { return server_.url(); }
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

    void add_model(const std::string& name, Model model) {
        const std::lock_guard lock{mutex_};
        models_[name] = std::move(model);
    }
    void remove_model(const std::string& name) {
        const std::lock_guard lock{mutex_};
        models_.erase(name);
    }
    bool has_model(const std::string& name) const {
        const std::lock_guard lock{mutex_};
        return models_.contains(name);
    }
    /// What `pull` can fetch.
    void publish(const std::string& name) {
        const std::lock_guard lock{mutex_};
        registry_.push_back(name);
    }
    void pulling(Pulling pulling) {
        const std::lock_guard lock{mutex_};
        pulling_ = pulling;
    }
    /// Loading a model (an empty prompt) takes so long.
    void load_time(std::chrono::milliseconds time) {
        const std::lock_guard lock{mutex_};
        load_time_ = time;
    }

    /// Questions, that is what came to /api/chat and /api/generate with something to answer.
    std::vector<ChatAsk> asks() const {
        const std::lock_guard lock{mutex_};
        return asks_;
    }
    /// Bodies of the requests to load a model.
    std::vector<std::string> loads() const {
        const std::lock_guard lock{mutex_};
        return loads_;
    }
    /// Replies of which the client did not want the end.
    std::size_t abandoned() const noexcept { return abandoned_; }
    std::size_t connections() const noexcept { return server_.connections(); }

private:
    using Exchange = ScriptedHttpServer::Exchange;
    static constexpr std::string_view json_type = "application/json; charset=utf-8";

    static std::string text(const std::string& value) {
        return boost::json::serialize(boost::json::value(value));
    }
    static std::string error(const std::string& what) {
        return fmt::format(R"({{"error":{}}})", text(what));
    }
    static std::string member(const boost::json::value& body, const char* name) {
        const auto* const found = body.is_object() ? body.get_object().if_contains(name) : nullptr;
        return found != nullptr && found->is_string() ? std::string{found->get_string()} : "";
    }
    static std::string tagged(const std::string& name) {
        return name.find(':') == std::string::npos ? name + ":latest" : name;
    }

    void answer(Exchange& http) {
        const auto& request = http.request();
        const auto& target = request.target;
        if (request.method == "GET") {
            if (target == "/") return http.respond(200, "text/plain", "Ollama is running");
            if (target == "/api/version") {
                return http.respond(200, json_type, R"({"version":"0.12.3"})");
            }
            if (target == "/api/tags") return http.respond(200, json_type, tags());
            return http.respond(404, "text/plain", "404 page not found");
        }
        boost::system::error_code failed;
        const auto body = boost::json::parse(request.body, failed);
        if (failed) return http.respond(400, json_type, error(failed.message()));
        const auto model = tagged(member(body, "model"));
        if (target == "/api/pull") return pull(http, model);
        if (!has_model(model)) {
            return http.respond(404, json_type, error("model '" + model + "' not found"));
        }
        if (target == "/api/show") return http.respond(200, json_type, show(model));
        if (target == "/api/delete" && request.method == "DELETE") {
            remove_model(model);
            return http.respond(200, json_type, "");
        }
        if (target == "/api/chat") return chat(http, body, true);
        if (target == "/api/generate") return chat(http, body, false);
        http.respond(404, "text/plain", "404 page not found");
    }

    std::string tags() const {
        const std::lock_guard lock{mutex_};
        std::string list;
        for (const auto& [name, model] : models_) {
            list += fmt::format(
                R"({}{{"name":"{}","model":"{}","modified_at":"2026-08-21T10:00:00.1+02:00",)"
                R"("size":{},"digest":"a80c4f17acd5","details":{{"format":"gguf",)"
                R"("family":"llama","families":["llama"],"parameter_size":"3.2B",)"
                R"("quantization_level":"Q4_K_M"}}}})",
                list.empty() ? "" : ",",
                name,
                name,
                model.size
            );
        }
        return fmt::format(R"({{"models":[{}]}})", list);
    }

    std::string show(const std::string& name) const {
        const std::lock_guard lock{mutex_};
        std::string capabilities;
        for (const auto& each : models_.at(name).capabilities) {
            capabilities += fmt::format(R"({}"{}")", capabilities.empty() ? "" : ",", each);
        }
        return fmt::format(
            R"({{"license":"any","parameters":"stop \"<|eot_id|>\"\ntemperature 0.6",)"
            R"("template":"{{{{ .Prompt }}}}","details":{{"family":"llama",)"
            R"("parameter_size":"3.2B","quantization_level":"Q4_K_M"}},)"
            R"("model_info":{{"general.architecture":"llama","llama.context_length":131072}},)"
            R"("capabilities":[{}]}})",
            capabilities
        );
    }

    void pull(Exchange& http, const std::string& model) {
        Pulling how;
        bool known = false;
        {
            const std::lock_guard lock{mutex_};
            how = pulling_;
            for (const auto& each : registry_)
                known = known || tagged(each) == model;
        }
        http.begin(200, "application/x-ndjson");
        if (!http.send("{\"status\":\"pulling manifest\"}\n")) return;
        if (!known) {
            http.send(error("pull model manifest: file does not exist") + "\n");
            return http.end();
        }
        for (const std::string digest : {"3e4cb1417446", "ca7a9654b546"}) {
            for (int step = 0; step <= how.steps; ++step) {
                const auto done = how.layer_size / static_cast<std::uint64_t>(how.steps) *
                                  static_cast<std::uint64_t>(step);
                std::string line = fmt::format(
                    R"({{"status":"pulling {0}","digest":"sha256:{0}","total":{1})",
                    digest,
                    how.layer_size
                );
                if (done > 0) line += fmt::format(R"(,"completed":{})", done);
                if (!http.send(line + "}\n")) return;
                if (how.breaks_off && step == 2) return;
                if (how.fails && step == 2) {
                    http.send(error("max retries exceeded: no space left on device") + "\n");
                    return http.end();
                }
            }
        }
        http.send("{\"status\":\"verifying sha256 digest\"}\n{\"status\":\"writing manifest\"}\n");
        add_model(model, {});
        http.send("{\"status\":\"success\"}\n");
        http.end();
    }

    void chat(Exchange& http, const boost::json::value& body, bool is_chat) {
        const auto& request = http.request();
        const auto& object = body.get_object();
        const bool empty = is_chat ? !object.contains("messages") : member(body, "prompt").empty();
        ChatBehaviour behaviour;
        std::chrono::milliseconds load_time;
        bool tools = false;
        {
            const std::lock_guard lock{mutex_};
            behaviour = behaviour_;
            load_time = load_time_;
            for (const auto& each : models_.at(tagged(member(body, "model"))).capabilities)
                tools = tools || each == "tools";
            if (empty) {
                loads_.push_back(request.body);
            } else {
                asks_.push_back({request.target, request.body, "", request.on_connection});
            }
        }
        if (behaviour.refuse != 0) {
            const auto text = behaviour.refusal_body.empty()
                                  ? error("server busy, please try again.")
                                  : behaviour.refusal_body;
            return http.respond(behaviour.refuse, json_type, text);
        }
        if (empty) {
            if (!http.pause(load_time)) return;
            return http.respond(
                200,
                json_type,
                R"({"model":"m","created_at":"2026-08-21T10:00:00Z","response":"",)"
                R"("done":true,"done_reason":"load"})"
            );
        }
        if (object.contains("tools") && !tools) {
            return http.respond(400, json_type, error("\"m\" does not support tools"));
        }
        if (!play_reply(http, behaviour, dialect(is_chat))) ++abandoned_;
    }

    static ChatDialect dialect(bool is_chat) {
        constexpr std::string_view head =
            R"({"model":"llama3.2:3b","created_at":"2026-08-21T10:00:00.123456789Z",)";
        ChatDialect made;
        made.content_type = "application/x-ndjson";
        made.line_end = "\n";
        const auto line = [=](std::string_view said, std::string_view rest) {
            return is_chat ? fmt::format(
                                 R"({}"message":{{"role":"assistant",{}}},{}}})", head, said, rest
                             )
                           : fmt::format("{}{},{}}}", head, said, rest);
        };
        const std::string name = is_chat ? R"("content":)" : R"("response":)";
        made.token = [=](const std::string& token) {
            return line(name + text(token), R"("done":false)");
        };
        made.thought = [=](const std::string& thought) {
            return line(name + R"("","thinking":)" + text(thought), R"("done":false)");
        };
        made.calls = [=](const ChatBehaviour& behaviour) {
            std::vector<std::string> all;
            for (const auto& [function, arguments] : behaviour.calls) {
                all.push_back(line(
                    fmt::format(
                        R"("content":"","tool_calls":[{{"id":"call_{}","function":)"
                        R"({{"index":{},"name":"{}","arguments":{}}}}}])",
                        all.size(),
                        all.size(),
                        function,
                        arguments
                    ),
                    R"("done":false)"
                ));
            }
            return all;
        };
        made.last = [=] {
            return std::vector{line(
                name + R"("")",
                R"("done":true,"done_reason":"stop","total_duration":812000000,"eval_count":3)"
            )};
        };
        made.error = R"({"error":"an error was encountered while running the model"})";
        made.garbage = R"({"message":{"content":"%$)";
        return made;
    }

    mutable std::mutex mutex_;
    ChatBehaviour behaviour_;
    std::map<std::string, Model> models_{{"llama3.2:3b", {}}};
    std::vector<std::string> registry_;
    Pulling pulling_;
    std::chrono::milliseconds load_time_{0};
    std::vector<ChatAsk> asks_;
    std::vector<std::string> loads_;
    std::atomic<std::size_t> abandoned_{0};
    ScriptedHttpServer server_{[this](Exchange& http) { answer(http); }};  ///< last: uses the rest
};

}  // namespace oavc::test
