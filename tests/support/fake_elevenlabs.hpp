#pragma once

// ElevenLabs' stream-input endpoint (shared/protocols/elevenlabs.md), strict about what it takes.
//
//     FakeElevenLabs server;                         // voice "voice1", key "secret"
//     server.synthesizer([](const std::string& text) { return samples; });
//     server.set({.final_message = false, .chunk_bytes = 333, .idle_limit = 50ms});
//     server.base_url(); server.sessions(); and the knobs of fake_websocket_server.hpp

#include "base/base64.hpp"
#include "base/bytes.hpp"
#include "media/g711.hpp"
#include "support/fake_piper.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace oavc::test {

class FakeElevenLabs final : public FakeWebSocketServer {
public:
    struct Manner {
        bool final_message{true};        ///< isFinal before the close
        std::size_t chunk_bytes{1'000};  ///< of decoded audio; may be odd
        std::string error{};             ///< this JSON instead of audio, then close 1008
        milliseconds idle_limit{0};      ///< without a message: error, then close 1008; 0: none
    };

    FakeElevenLabs() : FakeWebSocketServer{{"/v1/text-to-speech/voice1/stream-input"}} { start(); }
    ~FakeElevenLabs() { stop(); }

    std::string base_url() const { return "ws://127.0.0.1:" + std::to_string(port()); }

    void set(const Manner& manner) {
        const std::lock_guard lock{mutex_};
        manner_ = manner;
    }
    /// Samples are at the rate that the handshake asks for.
    void synthesizer(Synthesizer make) {
        const std::lock_guard lock{mutex_};
        synthesizer_ = std::move(make);
    }
    /// The messages of every connection that said something, in order of their first.
    std::vector<std::vector<std::string>> sessions() const {
        const std::lock_guard lock{mutex_};
        return sessions_;
    }

protected:
    int check(const net::HttpRequest& request) override {
        return request.header("xi-api-key") == "secret" ? 0 : 401;
    }

    asio::awaitable<void> serve(const net::HttpRequest& handshake, net::WebSocket& socket)
        override {
        const auto how = manner();
        const auto format = query_value(handshake.target, "output_format");
        std::size_t session = SIZE_MAX;
        std::string text;
        for (;;) {
            const auto limit = how.idle_limit > 0ms ? Clock::duration{how.idle_limit} : 1h;
            auto reading = socket.read();
            const auto message = co_await async::with_deadline(std::move(reading), limit);
            if (!message) {
                if (message.error() == boost::asio::error::timed_out) {
                    socket.send_text(
                        R"({"message":"Input timeout exceeded","error":"input_timeout_exceeded",)"
                        R"("code":1008})"
                    );
                    co_await socket.close(1008, "input_timeout_exceeded");
                }
                co_return;
            }
            const auto piece = take(std::string{message->data}, session);
            if (piece.empty()) break;
            text += piece;
            if (text.front() != ' ') {
                socket.send_text(R"({"message":"no settings","error":"invalid_input_message"})");
                co_await socket.close(1008, "invalid_input_message");
                co_return;
            }
        }
        if (!how.error.empty()) {
            socket.send_text(how.error);
            co_await socket.close(1008, "error");
            co_return;
        }
        auto reply = make_reply(text.substr(text.find_first_not_of(' ')), format);
        const bool alive = co_await answer(socket, std::move(reply));
        if (alive) co_await socket.close(1000, "");
    }

private:
    Manner manner() const {
        const std::lock_guard lock{mutex_};
        return manner_;
    }
    static std::string query_value(const std::string& target, const std::string& key) {
        const auto at = target.find(key + "=");
        if (at == std::string::npos) return {};
        const auto begin = at + key.size() + 1;
        return target.substr(begin, target.find('&', begin) - begin);
    }

    /// The message's text; empty ends the input.
    std::string take(const std::string& message, std::size_t& session) {
        const std::lock_guard lock{mutex_};
        if (session == SIZE_MAX) {
            session = sessions_.size();
            sessions_.emplace_back();
        }
        sessions_[session].push_back(message);
        boost::system::error_code bad;
        const auto json = boost::json::parse(message, bad);
        if (bad || !json.is_object()) return {};
        const auto* const text = json.get_object().if_contains("text");
        return text != nullptr && text->is_string() ? std::string{text->get_string()} : "";
    }

    std::vector<Outgoing> make_reply(const std::string& text, const std::string& format) {
        const std::lock_guard lock{mutex_};
        const auto hz = static_cast<std::uint32_t>(std::stoul(format.substr(format.find('_') + 1)));
        const auto samples = synthesizer_ ? synthesizer_(text) : tone_for(text, {hz});
        std::string bytes = bytes_of(samples);
        if (!format.starts_with("pcm")) {
            bytes.resize(samples.size());
            const auto out = std::as_writable_bytes(std::span{bytes});
            if (format.starts_with("ulaw")) media::g711::ulaw_encode(samples, out);
            if (format.starts_with("alaw")) media::g711::alaw_encode(samples, out);
        }
        std::vector<Outgoing> reply;
        for (std::size_t at = 0; at < bytes.size(); at += manner_.chunk_bytes) {
            const auto audio =
                base64::encode(as_bytes(std::string_view{bytes}.substr(at, manner_.chunk_bytes)));
            reply.push_back({boost::json::serialize(boost::json::object{
                {"audio", audio}, {"isFinal", nullptr}, {"alignment", nullptr}})});
        }
        if (manner_.final_message) {
            reply.push_back({R"({"audio":null,"isFinal":true,"alignment":null})"});
        }
        return reply;
    }

    Manner manner_;
    Synthesizer synthesizer_;
    std::vector<std::vector<std::string>> sessions_;
};

}  // namespace oavc::test
