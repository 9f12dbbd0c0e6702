#pragma once

#include "async/deadline.hpp"
#include "media/frame.hpp"
#include "support/fake_websocket_server.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::test {

/// A vosk-server (protocols/vosk-server.md) that hears what the test wants:
///
///     FakeVosk server;
///     server.say({"where is my card", "yes"});    // one utterance after another
///     server.say_always("hello");                 // what is heard when none is left
///     server.recognise([](media::Samples audio) { return text_of(audio); });
///     config.endpoint.url = server.url();
///
/// Troubles: drop_after, stall, delay_finals, garble, close_at_once, pad_replies, and of
/// FakeWebSocketServer all but trouble(). They hold until they are taken back; thread: any.
class FakeVosk final : public FakeWebSocketServer {
public:
    /// What a server can do; the stock Python server all of it.
    struct Abilities {
        bool eof{true};
        bool reset{true};
    };
    using Recognise = std::function<std::string(media::Samples)>;

    /// What came in on one connection that sent anything.
    struct Session {
        std::string config;               ///< as it was sent; empty: none came
        std::vector<std::string> texts;   ///< all other text messages
        std::vector<std::size_t> frames;  ///< samples of each audio message
        std::vector<media::Sample> audio;
    };

    FakeVosk() : FakeWebSocketServer{{"/"}} { start(); }
    ~FakeVosk() { stop(); }

    void say(std::deque<std::string> texts) {
        with([&](Knobs& k) { k.texts = std::move(texts); });
    }
    void say_always(std::string text) {
        with([&](Knobs& k) { k.always = std::move(text); });
    }
    /// Called on the server's thread with the audio since the last final.
    void recognise(Recognise recognise) {
        with([&](Knobs& k) { k.recognise = std::move(recognise); });
    }
    void able(Abilities abilities) {
        with([&](Knobs& k) { k.abilities = abilities; });
    }
    /// Its own endpointer gives a final every so many audio messages; 0: never.
    void endpoint_every(std::size_t frames) {
        with([&](Knobs& k) { k.endpoint_every = frames; });
    }

    /// The next `times` connections are lost after so many audio messages.
    void drop_after(std::size_t frames, int times = 1) {
        with([&](Knobs& k) {
            k.drop_after = frames;
            k.drops = times;
        });
    }
    /// Audio is taken and never answered.
    void stall(bool stalled = true) {
        with([&](Knobs& k) { k.stalled = stalled; });
    }
    /// Finals come so much later.
    void delay_finals(milliseconds delay) {
        with([&](Knobs& k) { k.final_delay = delay; });
    }
    /// Answers are no JSON.
    void garble(bool garbled = true) {
        with([&](Knobs& k) { k.garbled = garbled; });
    }
    /// Connections are closed with this code right after the handshake; 0: not.
    void close_at_once(std::uint16_t code) {
        with([&](Knobs& k) { k.close_at_once = code; });
    }
    /// Answers are longer by so many bytes.
    void pad_replies(std::size_t bytes) {
        with([&](Knobs& k) { k.padding = bytes; });
    }

    std::vector<Session> sessions() const {
        const std::lock_guard lock{mutex_};
        std::vector<Session> all;
        for (const auto& session : sessions_)
            all.push_back(*session);
        return all;
    }

private:
    struct Knobs {
        std::deque<std::string> texts;
        std::string always{"hello"};
        Recognise recognise;
        Abilities abilities;
        std::size_t endpoint_every{0};
        std::size_t drop_after{0};
        int drops{0};
        bool stalled{false};
        milliseconds final_delay{0};
        bool garbled{false};
        std::uint16_t close_at_once{0};
        std::size_t padding{0};
    };

    template <class F>
    void with(F&& f) {
        const std::lock_guard lock{mutex_};
        f(knobs_);
    }
    Knobs knobs() const {
        const std::lock_guard lock{mutex_};
        return knobs_;
    }

    /// One connection's recogniser.
    class Recogniser {
    public:
        explicit Recogniser(FakeVosk& server) : server_{server} {}
        Recogniser(const Recogniser&) = delete;
        Recogniser& operator=(const Recogniser&) = delete;
        /// What was not heard to its end is heard by the next connection.
        ~Recogniser() {
            if (!text_) return;
            server_.with([&](Knobs& k) { k.texts.push_front(std::move(*text_)); });
        }

        void configure(std::string_view message) {
            const auto config = boost::json::parse(std::string{message}).at("config").as_object();
            if (const auto* rate = config.if_contains("sample_rate")) {
                rate_ = rate->to_number<double>();
            }
            words_ = config.contains("words") && config.at("words").as_bool();
            alternatives_ = config.contains("max_alternatives") &&
                            config.at("max_alternatives").to_number<int>() > 0;
        }
        void hear(media::Samples audio) {
            segment_.insert(segment_.end(), audio.begin(), audio.end());
            ++frames_;
        }
        std::string partial() { return "{\n  \"partial\" : " + quoted(heard(false)) + "\n}"; }
        /// `utterance_ends`: nothing of its text comes later.
        std::string final(bool utterance_ends) {
            const auto text = heard(utterance_ends);
            std::string json = "{\n  ";
            if (alternatives_) {
                json +=
                    "\"alternatives\" : [ { \"confidence\" : 214.7, \"text\" : " + quoted(text) +
                    " }, { \"confidence\" : 3, \"text\" : \"something else\" } ]";
            } else {
                if (words_ && !text.empty()) json += "\"result\" : " + times(text) + ",\n  ";
                json += "\"text\" : " + quoted(text);
            }
            said_ += words_in(text).size();
            started_ += static_cast<double>(segment_.size()) / rate_;
            segment_.clear();
            if (utterance_ends) {
                text_.reset();
                said_ = frames_ = 0;
            }
            return json + "\n}";
        }

    private:
        static std::string quoted(const std::string& text) {
            return boost::json::serialize(boost::json::string{text});
        }
        static std::vector<std::string> words_in(const std::string& text) {
            std::istringstream in{text};
            return {std::istream_iterator<std::string>{in}, {}};
        }

        /// The hook's text of the segment, or a word of the script for every second message.
        std::string heard(bool all) {
            const auto knobs = server_.knobs();
            if (knobs.recognise) return knobs.recognise(segment_);
            if (!text_) {
                if (segment_.empty()) return {};
                server_.with([&](Knobs& k) {
                    text_ = k.texts.empty() ? k.always : k.texts.front();
                    if (!k.texts.empty()) k.texts.pop_front();
                });
            }
            const auto words = words_in(*text_);
            const auto end = all ? words.size() : std::min(words.size(), frames_ / 2);
            std::string text;
            for (auto i = said_; i < end; ++i)
                text += (text.empty() ? "" : " ") + words[i];
            return text;
        }

        std::string times(const std::string& text) const {
            const auto words = words_in(text);
            const double each =
                static_cast<double>(segment_.size()) / rate_ / static_cast<double>(words.size());
            std::string json = "[ ";
            for (std::size_t i = 0; i < words.size(); ++i) {
                const double start = started_ + each * static_cast<double>(i);
                json += (i == 0 ? "" : ", ") +
                        ("{ \"conf\" : 0.98, \"start\" : " + std::to_string(start) +
                         ", \"end\" : " + std::to_string(start + each) + ", \"word\" : ") +
                        quoted(words[i]) + " }";
            }
            return json + " ]";
        }

        FakeVosk& server_;
        double rate_{8000};  ///< the stock server's default
        bool words_{false};
        bool alternatives_{false};
        std::optional<std::string> text_;  ///< of the script
        std::size_t said_{0};              ///< words of it in finals
        std::size_t frames_{0};            ///< of this utterance
        double started_{0};                ///< seconds before the segment
        std::vector<media::Sample> segment_;
    };

    asio::awaitable<void> serve(const net::HttpRequest&, net::WebSocket& socket) override {
        Recogniser recogniser{*this};
        std::shared_ptr<Session> session;
        if (const auto code = knobs().close_at_once; code != 0) {
            co_await socket.close(code, "internal error");
            co_return;
        }
        for (;;) {
            const auto message = co_await socket.read();
            if (message.has_error()) co_return;
            const std::string_view data = message->data;
            if (!session) {
                session = std::make_shared<Session>();
                const std::lock_guard lock{mutex_};
                sessions_.push_back(session);
            }
            const auto now = knobs();
            std::string reply;
            bool last = false;
            if (message->binary) {
                std::vector<media::Sample> audio(data.size() / sizeof(media::Sample));
                if (!audio.empty()) {
                    std::memcpy(audio.data(), data.data(), audio.size() * sizeof(media::Sample));
                }
                std::size_t frames = 0;
                {
                    const std::lock_guard lock{mutex_};
                    session->frames.push_back(audio.size());
                    session->audio.insert(session->audio.end(), audio.begin(), audio.end());
                    frames = session->frames.size();
                    if (knobs_.drops > 0 && frames >= knobs_.drop_after) {
                        --knobs_.drops;
                        co_return;
                    }
                }
                recogniser.hear(audio);
                const bool endpoint = now.endpoint_every != 0 && frames % now.endpoint_every == 0;
                reply = endpoint ? recogniser.final(false) : recogniser.partial();
            } else if (data.find("config") != std::string_view::npos) {
                const std::lock_guard lock{mutex_};
                session->config = data;
                recogniser.configure(data);
                continue;
            } else {
                {
                    const std::lock_guard lock{mutex_};
                    session->texts.emplace_back(data);
                }
                const bool eof = now.abilities.eof && data == R"({"eof" : 1})";
                const bool reset = now.abilities.reset && data == R"({"reset" : 1})";
                if (!eof && !reset) {
                    co_await socket.close(1011, "internal error");
                    co_return;
                }
                last = eof;
                if (now.final_delay > 0ms) co_await async::sleep_for(now.final_delay);
                if (!now.stalled) reply = recogniser.final(true);
            }
            if (now.stalled) continue;
            if (now.garbled) reply = "<html>502 Bad Gateway</html>";
            reply.append(now.padding, ' ');
            socket.send_text(reply);
            if (!last) continue;
            co_await socket.close(1000, "");
            co_return;
        }
    }

    Knobs knobs_;
    std::vector<std::shared_ptr<Session>> sessions_;
};

}  // namespace oavc::test
