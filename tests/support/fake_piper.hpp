#pragma once

// A Piper WebSocket server as the predecessor had it (shared/protocols/piper-ws.md).
//
//     FakePiper piper;                                   // greets, starts, sends, ends
//     piper.set({.greeting = false, .end = R"({"status":"completed"})", .frame_bytes = 1377});
//     piper.synthesizer([](const std::string& text) { return samples; });
//     piper.url(); piper.requests(); and the knobs of fake_websocket_server.hpp

#include "media/frame.hpp"
#include "support/fake_websocket_server.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cmath>
#include <cstring>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

namespace oavc::test {

using Synthesizer = std::function<std::vector<media::Sample>(const std::string& text)>;

/// 60 ms of a 440 Hz tone for each byte of the text.
inline std::vector<media::Sample> tone_for(const std::string& text, SampleRate rate) {
    std::vector<media::Sample> samples(samples_in(milliseconds{60}, rate) * text.size());
    const double step = 2 * std::numbers::pi * 440 / rate.hz;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        samples[i] = static_cast<media::Sample>(8000 * std::sin(step * static_cast<double>(i)));
    }
    return samples;
}

inline std::string bytes_of(const std::vector<media::Sample>& samples) {
    std::string bytes(samples.size() * sizeof(media::Sample), '\0');
    std::memcpy(bytes.data(), samples.data(), bytes.size());
    return bytes;
}

class FakePiper final : public FakeWebSocketServer {
public:
    struct Manner {
        std::string greeting{R"({"type":"connected","message":"Piper TTS hazır"})"};
        std::string start{R"({"type":"start"})"};  ///< empty: none, as with the other messages
        std::string end{R"({"type":"end"})"};
        std::string error{};            ///< instead of audio
        std::string wav_header{};       ///< before the audio
        std::size_t frame_bytes{4096};  ///< may be odd
        bool greet_late{false};         ///< between start and audio instead
    };

    explicit FakePiper(SampleRate rate = {22'050}) : FakeWebSocketServer{{"/tts"}} {
        synthesizer_ = [rate](const std::string& text) { return tone_for(text, rate); };
        start();
    }
    ~FakePiper() { stop(); }

    void set(const Manner& manner) {
        const std::lock_guard lock{mutex_};
        manner_ = manner;
    }
    void synthesizer(Synthesizer make) {
        const std::lock_guard lock{mutex_};
        synthesizer_ = std::move(make);
    }
    /// As they came.
    std::vector<std::string> requests() const {
        const std::lock_guard lock{mutex_};
        return requests_;
    }

protected:
    asio::awaitable<void> serve(const net::HttpRequest&, net::WebSocket& socket) override {
        const auto greeting = manner().greeting;
        if (!greeting.empty() && !manner().greet_late) socket.send_text(greeting);
        for (;;) {
            const auto message = co_await socket.read();
            if (!message) co_return;
            auto reply = make_reply(std::string{message->data});
            const bool alive = co_await answer(socket, std::move(reply));
            if (!alive) co_return;
        }
    }

private:
    Manner manner() const {
        const std::lock_guard lock{mutex_};
        return manner_;
    }

    std::vector<Outgoing> make_reply(const std::string& request) {
        Synthesizer synthesize;
        Manner how;
        {
            const std::lock_guard lock{mutex_};
            requests_.push_back(request);
            synthesize = synthesizer_;
            how = manner_;
        }
        std::vector<Outgoing> reply;
        const auto say = [&](const std::string& text) {
            if (!text.empty()) reply.push_back({text, false});
        };
        say(how.start);
        if (!how.error.empty()) {
            say(how.error);
            return reply;
        }
        if (how.greet_late) say(how.greeting);
        boost::system::error_code bad;
        const auto json = boost::json::parse(request, bad);
        const auto* const text =
            bad || !json.is_object() ? nullptr : json.as_object().if_contains("text");
        if (text == nullptr || !text->is_string()) {
            say(R"({"error":"text is required"})");
            return reply;
        }
        const auto bytes = how.wav_header + bytes_of(synthesize(std::string{text->as_string()}));
        for (std::size_t at = 0; at < bytes.size(); at += how.frame_bytes)
            reply.push_back({bytes.substr(at, how.frame_bytes), true});
        say(how.end);
        return reply;
    }

    Manner manner_;
    Synthesizer synthesizer_;
    std::vector<std::string> requests_;
};

}  // namespace oavc::test
