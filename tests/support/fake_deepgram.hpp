#pragma once

#include "media/frame.hpp"
#include "support/fake_websocket_server.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <iterator>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace oavc::test {

/// Deepgram, both halves (protocols/deepgram.md): a recogniser that hears what the test wants, and
/// a voice that speaks 10 ms for each character.
///
///     FakeDeepgram server;
///     stt.endpoint.url = server.listen_url();
///     tts.endpoint.url = server.speak_url();
///     server.say({"where is my card"});            // one utterance (Finalize) after another
///     server.say_always("hello");                  // what is heard when none is left
///     server.recognise([](media::Samples audio) { return text_of(audio); });
///
/// What is spoken by the voice has the value of its sentence's number on the connection, from 1, so
/// that leaks can be heard; voice_sample() tells it. Troubles: the knobs below, and of
/// FakeWebSocketServer all but trouble(). They hold until they are taken back; thread: any.
class FakeDeepgram final : public FakeWebSocketServer {
public:
    using Recognise = std::function<std::string(media::Samples)>;
    using Synthesise =
        std::function<std::vector<media::Sample>(const std::string& text, SampleRate rate)>;

    /// Troubles and habits of the recogniser.
    struct Listen {
        std::size_t settle_every{0};  ///< audio messages per result that is_final; 0: never
        bool answers_finalize{true};
        bool stalled{false};  ///< takes audio and says nothing
        bool garbled{false};
        std::size_t drop_after{0};  ///< the next `drops` connections end after so many messages
        int drops{0};
        std::uint16_t drop_code{0};       ///< with a close frame of this code; 0: without
        milliseconds idle_limit{10'000};  ///< without a message: closed with 1011
        std::size_t padding{0};           ///< of each answer
    };
    /// Troubles and habits of the voice.
    struct Speak {
        std::size_t piece{2'001};           ///< bytes per message, odd to be difficult
        milliseconds pace{0};               ///< between messages
        bool flushed_early{false};          ///< before the last audio
        std::size_t after_clear{0};         ///< messages of audio that are sent after Clear came
        bool flushed_after_cleared{false};  ///< the Flushed of what was cleared comes late
        bool answers_clear{true};
        bool stalled{false};         ///< takes text and says nothing
        std::size_t stall_after{0};  ///< messages of audio of a sentence; 0: never
        std::size_t drop_after{0};   ///< likewise, the connection is lost, `drops` times
        int drops{0};
        bool garbled{false};
        std::size_t flush_limit{20};
        std::string error;  ///< said instead of audio
    };

    /// What came in on one connection.
    struct Session {
        bool voice{false};
        std::vector<std::string> texts;   ///< text messages
        std::vector<std::size_t> frames;  ///< samples of each audio message
        std::vector<media::Sample> audio;
    };

    FakeDeepgram() : FakeWebSocketServer{{"/v1/listen", "/v1/speak"}} { start(); }
    ~FakeDeepgram() { stop(); }

    std::string listen_url() const { return url(0); }
    std::string speak_url() const { return url(1); }

    void say(std::deque<std::string> texts) {
        with([&] { texts_ = std::move(texts); });
    }
    void say_always(std::string text) {
        with([&] { always_ = std::move(text); });
    }
    /// Called on the server's thread with the audio since the last result that was final.
    void recognise(Recognise recognise) {
        with([&] { recognise_ = std::move(recognise); });
    }
    /// The voice's audio for a sentence, in place of its number.
    void synthesise(Synthesise synthesise) {
        with([&] { synthesise_ = std::move(synthesise); });
    }
    void listen(const Listen& habits) {
        with([&] { listen_ = habits; });
    }
    void speak(const Speak& habits) {
        with([&] { speak_ = habits; });
    }

    std::vector<Session> sessions() const {
        return with([&] {
            std::vector<Session> all;
            for (const auto& session : sessions_)
                all.push_back(*session);
            return all;
        });
    }
    /// The samples of a connection's sentence number `n`, from 1.
    static media::Sample voice_sample(int n) { return static_cast<media::Sample>(n * 256 + 7); }

private:
    template <class F>
    std::invoke_result_t<F> with(F&& f) const {
        const std::lock_guard lock{mutex_};
        return f();
    }

    std::shared_ptr<Session> new_session(bool voice) {
        const auto session = std::make_shared<Session>();
        session->voice = voice;
        with([&] { sessions_.push_back(session); });
        return session;
    }

    // --- Recogniser -----------------------------------------------------------------------------

    class Recogniser {
    public:
        explicit Recogniser(FakeDeepgram& server) : server_{server} {}
        Recogniser(const Recogniser&) = delete;
        Recogniser& operator=(const Recogniser&) = delete;
        /// What was not heard to its end is heard by the next connection.
        ~Recogniser() {
            if (text_) server_.with([&] { server_.texts_.push_front(std::move(*text_)); });
        }

        void hear(media::Samples audio) {
            segment_.insert(segment_.end(), audio.begin(), audio.end());
            const bool silent =
                std::all_of(audio.begin(), audio.end(), [](media::Sample s) { return s == 0; });
            if (!silent) ++frames_;
        }
        bool heard_something() const { return !segment_.empty(); }

        std::string results(bool is_final, bool from_finalize) {
            const auto text = heard(from_finalize);
            const double duration = static_cast<double>(segment_.size()) / rate;
            boost::json::array words;
            const auto split = words_in(text);
            const double each = split.empty() ? 0 : duration / static_cast<double>(split.size());
            for (std::size_t i = 0; i < split.size(); ++i) {
                const double start = started_ + each * static_cast<double>(i);
                words.push_back(boost::json::object{
                    {"word", split[i]},
                    {"start", start},
                    {"end", start + each},
                    {"confidence", 0.97}});
            }
            boost::json::object alternative{{"transcript", text}, {"confidence", 0.97}};
            if (!words.empty()) alternative["words"] = words;
            boost::json::array alternatives;
            alternatives.push_back(alternative);
            boost::json::object message{
                {"type", "Results"},
                {"channel_index", {0, 1}},
                {"start", started_},
                {"duration", duration},
                {"is_final", is_final},
                {"speech_final", is_final && !from_finalize},
                {"from_finalize", from_finalize}};
            message["channel"] = boost::json::object{{"alternatives", alternatives}};
            message["metadata"] = boost::json::object{{"request_id", "a-request"}};
            if (is_final) {
                said_ += split.size();
                started_ += duration;
                segment_.clear();
            }
            if (from_finalize) {
                text_.reset();
                said_ = frames_ = 0;
            }
            return boost::json::serialize(message);
        }

    private:
        static constexpr double rate = 16'000;

        static std::vector<std::string> words_in(const std::string& text) {
            std::istringstream in{text};
            return {std::istream_iterator<std::string>{in}, {}};
        }
        /// The hook's text of the segment, or a word of the script for every fifth message.
        std::string heard(bool all) {
            const auto hook = server_.with([&] { return server_.recognise_; });
            if (hook) return hook(segment_);
            if (!text_) {
                if (frames_ == 0) return {};
                server_.with([&] {
                    text_ = server_.texts_.empty() ? server_.always_ : server_.texts_.front();
                    if (!server_.texts_.empty()) server_.texts_.pop_front();
                });
            }
            const auto words = words_in(*text_);
            const auto end = all ? words.size() : std::min(words.size(), frames_ / 5);
            std::string text;
            for (auto i = said_; i < end; ++i)
                text += (text.empty() ? "" : " ") + words[i];
            return text;
        }

        FakeDeepgram& server_;
        std::optional<std::string> text_;  ///< of the script
        std::size_t said_{0};              ///< words of it in finals
        std::size_t frames_{0};            ///< of this utterance, silent ones aside
        double started_{0};                ///< seconds before the segment
        std::vector<media::Sample> segment_;
    };

    asio::awaitable<void> listen_to(net::WebSocket& socket) {
        Recogniser recogniser{*this};
        const auto session = new_session(false);
        for (;;) {
            const auto limit = with([&] { return listen_.idle_limit; });
            const auto message = co_await async::with_deadline(socket.read(), limit);
            if (message.has_error()) {
                if (message.error() == asio::error::timed_out) {
                    co_await socket.close(1011, "NET-0001");
                }
                co_return;
            }
            const std::string data{message->data};
            const auto habits = with([&] { return listen_; });
            std::string answer;
            if (message->binary) {
                std::vector<media::Sample> audio(data.size() / sizeof(media::Sample));
                if (!audio.empty()) {
                    std::memcpy(audio.data(), data.data(), audio.size() * sizeof(media::Sample));
                }
                const bool drop = with([&] {
                    session->frames.push_back(audio.size());
                    session->audio.insert(session->audio.end(), audio.begin(), audio.end());
                    const bool now =
                        listen_.drops > 0 && session->frames.size() >= listen_.drop_after;
                    if (now) --listen_.drops;
                    return now;
                });
                if (drop) {
                    if (habits.drop_code != 0) co_await socket.close(habits.drop_code, "DATA-0000");
                    co_return;
                }
                recogniser.hear(audio);
                const bool settle =
                    habits.settle_every != 0 && session->frames.size() % habits.settle_every == 0;
                answer = recogniser.results(settle, false);
            } else {
                with([&] { session->texts.push_back(data); });
                if (data == R"({"type":"Finalize"})" && habits.answers_finalize &&
                    recogniser.heard_something()) {
                    answer = recogniser.results(true, true);
                } else if (data == R"({"type":"CloseStream"})") {
                    socket.send_text(R"({"type":"Metadata","request_id":"a-request"})");
                    co_await socket.close(1000, "");
                    co_return;
                }
            }
            if (answer.empty() || habits.stalled) continue;
            if (habits.garbled) answer = "<html>502 Bad Gateway</html>";
            answer.append(habits.padding, ' ');
            socket.send_text(answer);
        }
    }

    // --- Voice ----------------------------------------------------------------------------------

    /// What one connection still has to say, in order.
    struct Voice {
        int rate{24'000};
        int sentences{0};
        int sequence{0};
        std::size_t flushes{0};
        std::string text;                 ///< spoken to the buffer
        std::deque<std::string> pending;  ///< audio, and "" for Flushed
        std::size_t sent_of_sentence{0};  ///< messages
    };

    asio::awaitable<void> speak_to(net::WebSocket& socket, std::string_view query) {
        const auto session = new_session(true);
        Voice voice;
        if (const auto at = query.find("sample_rate="); at != std::string_view::npos) {
            voice.rate = std::atoi(std::string{query.substr(at + 12)}.c_str());
        }
        socket.send_text(R"({"type":"Metadata","request_id":"a-request"})");
        for (;;) {
            const auto habits = with([&] { return speak_; });
            if (!voice.pending.empty() && !stuck(habits, voice)) {
                auto reading = socket.read();
                const auto message = co_await async::with_deadline(
                    std::move(reading), std::max(habits.pace, milliseconds{0})
                );
                if (message.has_error() && message.error() != asio::error::timed_out) co_return;
                if (!message.has_error()) {
                    take(socket, *session, voice, std::string{message->data});
                } else if (!say_next(socket, voice)) {
                    co_return;
                }
                continue;
            }
            const auto message = co_await socket.read();
            if (message.has_error()) co_return;
            take(socket, *session, voice, std::string{message->data});
        }
    }

    static bool stuck(const Speak& habits, const Voice& voice) {
        return habits.stalled ||
               (habits.stall_after != 0 && voice.sent_of_sentence >= habits.stall_after);
    }

    /// False: the connection is lost.
    bool say_next(net::WebSocket& socket, Voice& voice) {
        auto piece = std::move(voice.pending.front());
        voice.pending.pop_front();
        if (piece.empty()) {
            socket.send_text(
                R"({"type":"Flushed","sequence_id":)" + std::to_string(voice.sequence++) + "}"
            );
            return true;
        }
        const bool drop = with([&] {
            const bool now = speak_.drops > 0 && voice.sent_of_sentence >= speak_.drop_after;
            if (now) --speak_.drops;
            return now;
        });
        if (drop) return false;
        ++voice.sent_of_sentence;
        socket.send_binary(piece);
        return true;
    }

    void take(net::WebSocket& socket, Session& session, Voice& voice, const std::string& data) {
        with([&] { session.texts.push_back(data); });
        const auto habits = with([&] { return speak_; });
        if (habits.garbled) {
            socket.send_text("<html>502 Bad Gateway</html>");
            return;
        }
        const auto message = boost::json::parse(data).as_object();
        const std::string type{message.at("type").as_string()};
        if (type == "Speak") {
            voice.text += std::string{message.at("text").as_string()};
        } else if (type == "Flush") {
            if (!habits.error.empty()) {
                socket.send_text(
                    R"({"type":"Error","code":"X","description":")" + habits.error + "\"}"
                );
            } else if (++voice.flushes > habits.flush_limit) {
                socket.send_text(
                    R"({"type":"Warning","code":"LIMIT","description":"Too many Flush messages"})"
                );
            } else {
                synthesise(voice, habits);
            }
        } else if (type == "Clear") {
            for (std::size_t i = 0; i < habits.after_clear && !voice.pending.empty(); ++i) {
                if (!voice.pending.front().empty()) socket.send_binary(voice.pending.front());
                voice.pending.pop_front();
            }
            const bool unfinished = !voice.pending.empty();
            voice.pending.clear();
            voice.text.clear();
            if (!habits.answers_clear) return;
            socket.send_text(
                R"({"type":"Cleared","sequence_id":)" + std::to_string(voice.sequence++) + "}"
            );
            if (habits.flushed_after_cleared && unfinished) voice.pending.emplace_back();
        }
    }

    void synthesise(Voice& voice, const Speak& habits) const {
        const auto text = std::exchange(voice.text, {});
        const SampleRate rate{static_cast<std::uint32_t>(voice.rate)};
        const auto custom = with([&] { return synthesise_; });
        const std::vector<media::Sample> numbered(
            samples_in(10ms, rate) * text.size(), voice_sample(++voice.sentences)
        );
        const auto audio = custom ? custom(text, rate) : numbered;
        std::string bytes(audio.size() * sizeof(media::Sample), '\0');
        if (!audio.empty()) std::memcpy(bytes.data(), audio.data(), bytes.size());
        voice.sent_of_sentence = 0;
        const auto before = voice.pending.size();
        for (std::size_t at = 0; at < bytes.size(); at += habits.piece)
            voice.pending.push_back(bytes.substr(at, habits.piece));
        const bool early = habits.flushed_early && voice.pending.size() > before;
        voice.pending.emplace(early ? std::prev(voice.pending.end()) : voice.pending.end());
    }

    asio::awaitable<void> serve(const net::HttpRequest& handshake, net::WebSocket& socket)
        override {
        if (handshake.path() == "/v1/listen") {
            co_await listen_to(socket);
        } else {
            co_await speak_to(socket, handshake.query());
        }
    }

    std::deque<std::string> texts_;
    std::string always_{"hello"};
    Recognise recognise_;
    Synthesise synthesise_;
    Listen listen_;
    Speak speak_;
    std::vector<std::shared_ptr<Session>> sessions_;
};

}  // namespace oavc::test
