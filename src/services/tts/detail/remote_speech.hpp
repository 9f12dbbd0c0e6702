#pragma once

#include "async/signal.hpp"
#include "base/sentence.hpp"
#include "net/tcp.hpp"
#include "net/websocket.hpp"
#include "observability/log.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/words.hpp"
#include "services/tts/detail/plain_text.hpp"
#include "services/tts/detail/speech_exchange.hpp"
#include "services/tts/tts.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace oavc::services {

/// What RemoteSpeech does with a connection.
inline void send_request(net::WebSocket& socket, const std::string& request) {
    // What cannot be sent is noticed by reading.
    static_cast<void>(socket.send_text(request));
}
inline std::string_view data_of(const net::WsMessage& message) { return message.data; }
inline bool is_binary(const net::WsMessage& message) { return message.binary; }
inline std::uint16_t close_code_of(const net::WebSocket& socket) {
    return socket.peer_close_code();
}
inline void send_request(net::TcpStream& stream, const std::string& request) {
    static_cast<void>(stream.send(request));
}
inline std::string_view data_of(std::string_view bytes) { return bytes; }
inline bool is_binary(std::string_view) { return true; }
inline std::uint16_t close_code_of(const net::TcpStream&) { return 0; }

/// One call's voice at a server that synthesises one sentence after another on a connection. Each
/// sentence takes a connection from `Supply` (WarmWebSocket, WarmTcp) and drops it when it is
/// cancelled: nothing of it can reach the next. A connection that was dead when it was taken is
/// replaced once.
///
/// Thread: the shard's.
template <class Supply>
class RemoteSpeech final : public TtsSession {
public:
    using MakeExchange = std::function<std::unique_ptr<SpeechExchange>(const std::string& text)>;

    /// `provider` lives as long as the program. `args` are the supply's, behind the shard.
    template <class... SupplyArgs>
    RemoteSpeech(
        async::Shard& shard,
        std::string_view provider,
        log::Logger log,
        MakeExchange make_exchange,
        SupplyArgs&&... args
    )
        : core_{std::make_shared<Core>(shard, provider, std::move(log), std::move(make_exchange))} {
        core_->supply.emplace(shard, std::forward<SupplyArgs>(args)...);
    }
    ~RemoteSpeech() override { core_->supply.reset(); }

    std::unique_ptr<TtsReply> speak(std::string text) override {
        auto sentence = std::make_shared<Sentence>();
        sentence->text = trimmed(to_plain_utf8(text));
        if (has_words(sentence->text)) {
            core_->order.push_back(sentence);
        } else {
            sentence->end = make_error_code(ServiceErrc::end_of_stream);
        }
        return std::make_unique<Reply>(core_, std::move(sentence));
    }

private:
    using Connection = typename Supply::Connection;

    struct Sentence {
        std::string text;
        std::unique_ptr<Connection> connection;
        std::unique_ptr<SpeechExchange> exchange;
        std::vector<media::Sample> audio;
        std::size_t taken{0};       ///< of `audio`
        SampleRate rate{wideband};  ///< of `audio`
        bool heard{false};          ///< audio came
        bool tried_again{false};
        bool abandoned{false};
        error_code end;
    };

    /// Owners: the session, its replies, and a next() that waits.
    struct Core {
        Core(async::Shard& shard, std::string_view name, log::Logger logger, MakeExchange make)
            : provider{name},
              log{std::move(logger)},
              make_exchange{std::move(make)},
              moved{shard.executor()} {}

        const std::string_view provider;
        const log::Logger log;
        const MakeExchange make_exchange;
        std::optional<Supply> supply;  ///< none: the session is gone
        std::deque<std::shared_ptr<Sentence>> order;
        async::Signal moved;  ///< another sentence is the first in `order`
        log::RateLimit complaints{10s};

        error_code finish(const std::shared_ptr<Sentence>& sentence, error_code why) {
            sentence->end = why;
            if (sentence->exchange) pass_on(sentence->exchange->complaint());
            const bool well = why == ServiceErrc::end_of_stream && sentence->exchange->reusable();
            if (well && supply) supply->give_back(std::move(sentence->connection));
            leave(sentence);
            return why;
        }
        void pass_on(std::string_view complaint) {
            constexpr std::size_t longest = 200;
            if (complaint.empty() || !complaints.allow(Clock::now())) return;
            log.warn(
                "the voice server complains",
                log::kv("provider", provider),
                log::kv("said", complaint.substr(0, longest)),
                log::kv("suppressed", complaints.suppressed())
            );
        }
        void leave(const std::shared_ptr<Sentence>& sentence) {
            sentence->connection.reset();
            std::erase(order, sentence);
            moved.notify();
        }
    };

    class Reply final : public TtsReply {
    public:
        Reply(std::shared_ptr<Core> core, std::shared_ptr<Sentence> sentence)
            : core_{std::move(core)}, sentence_{std::move(sentence)} {}
        Reply(const Reply&) = delete;
        Reply& operator=(const Reply&) = delete;
        ~Reply() override {
            sentence_->abandoned = true;
            core_->leave(sentence_);
        }
        asio::awaitable<Result<TtsChunk>> next() override {
            return RemoteSpeech::next(core_, sentence_);
        }

    private:
        const std::shared_ptr<Core> core_;
        const std::shared_ptr<Sentence> sentence_;
    };

    /// Half a second at a time: however much a server sends at once, the pipeline works on little.
    static TtsChunk slice(Sentence& sentence) {
        const auto most = samples_in(milliseconds{500}, sentence.rate);
        const auto size = std::min(most, sentence.audio.size() - sentence.taken);
        const auto begin = sentence.audio.begin() + static_cast<std::ptrdiff_t>(sentence.taken);
        TtsChunk chunk{{begin, begin + static_cast<std::ptrdiff_t>(size)}, sentence.rate};
        sentence.taken += size;
        if (sentence.taken == sentence.audio.size()) {
            sentence.audio.clear();
            sentence.taken = 0;
        }
        return chunk;
    }

    /// Sends the request on a connection of its own.
    static asio::awaitable<Result<void>> begin(
        std::shared_ptr<Core> core, std::shared_ptr<Sentence> sentence
    ) {
        if (!core->supply) co_return make_error_code(ServiceErrc::cancelled);
        auto taken = co_await core->supply->take();
        if (sentence->abandoned) co_return make_error_code(ServiceErrc::cancelled);
        if (!taken) co_return taken.error();
        sentence->connection = std::move(*taken);
        sentence->exchange = core->make_exchange(sentence->text);
        for (const auto& request : sentence->exchange->requests())
            send_request(*sentence->connection, request);
        co_return Result<void>{};
    }

    static asio::awaitable<Result<TtsChunk>> next(
        std::shared_ptr<Core> core, std::shared_ptr<Sentence> sentence
    ) {
        const auto cancelled = make_error_code(ServiceErrc::cancelled);
        for (;;) {
            if (sentence->abandoned) co_return cancelled;
            if (!sentence->audio.empty()) co_return slice(*sentence);
            if (sentence->end) co_return sentence->end;
            if (core->order.front() != sentence) {
                const bool go_on = co_await core->moved.wait();
                if (!go_on) co_return cancelled;
                continue;
            }
            if (!sentence->connection) {
                const auto begun = co_await begin(core, sentence);
                if (begun.has_value()) continue;
                if (begun.error() == cancelled) co_return cancelled;
                co_return core->finish(sentence, begun.error());
            }
            const auto message = co_await sentence->connection->read();
            if (sentence->abandoned) co_return cancelled;
            if (!message) {
                if (message.error() == asio::error::operation_aborted) co_return cancelled;
                const auto why = sentence->exchange->on_close(close_code_of(*sentence->connection));
                const bool again = why == ServiceErrc::unavailable && !sentence->heard &&
                                   !std::exchange(sentence->tried_again, true);
                if (!again) co_return core->finish(sentence, why);
                sentence->connection.reset();
                continue;
            }
            const auto end = sentence->exchange->receive(
                data_of(*message), is_binary(*message), sentence->audio
            );
            sentence->rate = sentence->exchange->rate();
            if (!sentence->audio.empty()) sentence->heard = true;
            if (end) core->finish(sentence, end);
        }
    }

    const std::shared_ptr<Core> core_;
};

}  // namespace oavc::services
