#pragma once

// A Wyoming server over TCP, recogniser and voice in one (shared/protocols/wyoming.md): describe,
// transcribe … transcript and close, synthesize … audio-stop.
//
//     FakeWyoming server;                          // hears "merhaba", speaks tones at 22050 Hz
//     server.recogniser([](const std::vector<media::Sample>& audio) { return "text"; });
//     server.synthesizer([](const std::string& text) { return samples; });
//     server.set({.rate = {16'000}});
//     server.trouble({.stall_after = 2});          // counts events of an answer
//     server.freeze(); server.thaw(); server.stop(); server.start();
//     server.url(); server.events();

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "services/detail/wyoming_protocol.hpp"
#include "support/connection_count.hpp"
#include "support/fake_piper.hpp"
#include "support/freezer.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace oavc::test {

using Recogniser = std::function<std::string(const std::vector<media::Sample>& audio)>;

class FakeWyoming {
public:
    struct Manner {
        SampleRate rate{22'050};  ///< of the voice
        int width{2};
        int channels{1};
        bool rate_in_chunks_only{false};
        std::string error{};  ///< instead of every answer
    };

    /// One utterance as it came.
    struct Utterance {
        std::string language;
        std::vector<media::Sample> audio;
        std::size_t chunks{0};
        bool ended{false};  ///< audio-stop came
    };

    FakeWyoming() {
        shard_.start();
        start();
    }
    FakeWyoming(const FakeWyoming&) = delete;
    FakeWyoming& operator=(const FakeWyoming&) = delete;
    ~FakeWyoming() { stop(); }

    std::string url() const { return "tcp://127.0.0.1:" + std::to_string(port_); }

    void start() {
        tasks_ = std::make_unique<async::TaskGroup>(shard_.executor(), [](std::exception_ptr) {
            std::abort();
        });
        async::run_blocking(shard_, listen(this));
    }
    void stop() {
        thaw();
        if (tasks_ == nullptr) return;
        async::run_blocking(shard_, end(this));
        tasks_.reset();
    }
    void freeze() { freezer_.freeze(shard_); }
    void thaw() { freezer_.thaw(); }

    void recogniser(Recogniser hear) {
        with_lock([&] { recogniser_ = std::move(hear); });
    }
    void synthesizer(Synthesizer make) {
        with_lock([&] { synthesizer_ = std::move(make); });
    }
    void set(const Manner& manner) {
        with_lock([&] { manner_ = manner; });
    }
    void trouble(const Trouble& trouble) {
        with_lock([&] { trouble_ = trouble; });
    }

    const ConnectionCount& connections() const { return connections_; }
    std::vector<Utterance> utterances() const {
        const std::lock_guard lock{mutex_};
        return utterances_;
    }
    /// Data of every synthesize, as JSON text.
    std::vector<std::string> sentences() const {
        const std::lock_guard lock{mutex_};
        return sentences_;
    }

private:
    using tcp = boost::asio::ip::tcp;
    using Events = std::vector<std::string>;

    template <class F>
    void with_lock(F f) const {
        const std::lock_guard lock{mutex_};
        f();
    }

    static asio::awaitable<void> listen(FakeWyoming* self) {
        self->acceptor_ = std::make_unique<tcp::acceptor>(
            self->shard_.context(),
            tcp::endpoint{boost::asio::ip::address_v4::loopback(), self->port_},
            true
        );
        self->port_ = self->acceptor_->local_endpoint().port();
        self->tasks_->spawn(accept(self));
        co_return;
    }
    static asio::awaitable<void> end(FakeWyoming* self) {
        self->tasks_->cancel();
        co_await self->tasks_->join();
        self->acceptor_.reset();
    }
    static asio::awaitable<void> accept(FakeWyoming* self) {
        for (;;) {
            auto [error, socket] = co_await self->acceptor_->async_accept(as_result);
            if (error) co_return;
            self->tasks_->spawn(serve(self, std::move(socket)));
        }
    }

    static asio::awaitable<void> serve(FakeWyoming* self, tcp::socket socket) {
        const ConnectionCount::Open open{self->connections_};
        co_await self->converse(socket);
    }

    asio::awaitable<void> converse(tcp::socket& socket) {
        services::WyomingParser parser;
        std::size_t utterance = SIZE_MAX;
        std::array<char, 16'384> buffer;
        for (;;) {
            auto [error, size] =
                co_await socket.async_read_some(boost::asio::buffer(buffer), as_result);
            if (error) co_return;
            parser.feed({buffer.data(), size});
            for (;;) {
                auto event = parser.next();
                if (!event) co_return;  // as the real one: without a word
                if (!*event) break;
                bool last = false;
                const auto reply = take(**event, utterance, last);
                if (reply.empty()) continue;
                const bool alive = co_await answer(socket, reply);
                if (!alive || last) co_return;
            }
        }
    }

    Events take(const services::WyomingEvent& event, std::size_t& utterance, bool& last) {
        const std::lock_guard lock{mutex_};
        if (event.type == "describe") return {services::wyoming_event("info", {{"asr", nullptr}})};
        if (event.type == "synthesize") {
            sentences_.push_back(boost::json::serialize(event.data));
            return speech_for(std::string{event.text("text")});
        }
        if (event.type == "transcribe") {
            utterance = utterances_.size();
            utterances_.push_back({std::string{event.text("language")}, {}});
        }
        if (utterance == SIZE_MAX) return {};
        auto& heard = utterances_[utterance];
        if (event.type == "audio-chunk") {
            ++heard.chunks;
            const auto before = heard.audio.size();
            const auto samples = event.payload.size() / 2;
            heard.audio.resize(before + samples);
            std::memcpy(heard.audio.data() + before, event.payload.data(), samples * 2);
        }
        if (event.type != "audio-stop") return {};
        heard.ended = true;
        last = true;
        if (!manner_.error.empty()) return {error_event()};
        return {
            services::wyoming_event("transcript-start", {{"language", "tr"}}),
            services::wyoming_event("transcript-chunk", {{"text", "mer"}}),
            services::wyoming_event("transcript-stop"),
            services::wyoming_event(
                "transcript", {{"text", recogniser_(heard.audio)}, {"language", "tr"}}
            ),
        };
    }

    std::string error_event() const {
        return services::wyoming_event("error", {{"text", manner_.error}, {"code", "x"}});
    }

    Events speech_for(const std::string& text) const {
        if (!manner_.error.empty()) return {error_event()};
        const boost::json::object format{
            {"rate", manner_.rate.hz},
            {"width", manner_.width},
            {"channels", manner_.channels},
            {"timestamp", nullptr}};
        Events events;
        events.push_back(services::wyoming_event(
            "audio-start", manner_.rate_in_chunks_only ? boost::json::object{} : format
        ));
        events.push_back(services::wyoming_event("voice-started"));
        const auto bytes =
            bytes_of(synthesizer_ ? synthesizer_(text) : tone_for(text, manner_.rate));
        constexpr std::size_t chunk = 2'048;
        for (std::size_t at = 0; at < bytes.size(); at += chunk) {
            events.push_back(services::wyoming_event("audio-chunk", format, bytes.substr(at, chunk))
            );
        }
        events.push_back(services::wyoming_event("audio-stop", {{"timestamp", nullptr}}));
        return events;
    }

    asio::awaitable<bool> answer(tcp::socket& socket, Events events) {
        Trouble how;
        with_lock([&] { how = trouble_; });
        if (how.delay > 0ms) co_await async::sleep_for(how.delay);
        for (std::size_t sent = 0; sent <= events.size(); ++sent) {
            if (how.stall_after == sent) {
                co_await until_closed(socket);
                co_return false;
            }
            if (how.close_after == sent || how.drop_after == sent) {
                boost::system::error_code ignored;
                if (how.drop_after == sent) {
                    socket.set_option(tcp::socket::linger{true, 0}, ignored);
                }
                socket.close(ignored);
                co_return false;
            }
            if (sent == events.size()) break;
            if (how.pause > 0ms && sent > 0) co_await async::sleep_for(how.pause);
            if (how.garbage) events[sent].insert(0, "{\"this is\": not JSON\n");
            auto [error, size] = co_await boost::asio::async_write(
                socket, boost::asio::buffer(events[sent]), as_result
            );
            if (error) co_return false;
        }
        co_return true;
    }
    static asio::awaitable<void> until_closed(tcp::socket& socket) {
        std::array<char, 1'024> buffer;
        for (;;) {
            auto [error, size] =
                co_await socket.async_read_some(boost::asio::buffer(buffer), as_result);
            if (error) co_return;
        }
    }

    std::uint16_t port_{0};
    ConnectionCount connections_;
    Freezer freezer_;
    async::Shard shard_{78};
    std::unique_ptr<tcp::acceptor> acceptor_;
    std::unique_ptr<async::TaskGroup> tasks_;

    mutable std::mutex mutex_;
    Recogniser recogniser_{[](const std::vector<media::Sample>&) { return " Merhaba.\n"; }};
    Synthesizer synthesizer_;
    Manner manner_;
    Trouble trouble_;
    std::vector<Utterance> utterances_;
    std::vector<std::string> sentences_;
};

}  // namespace oavc::test
