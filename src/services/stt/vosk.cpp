#include "services/stt/vosk.hpp"

#include "async/background.hpp"
#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "net/http_client.hpp"
#include "net/url.hpp"
#include "observability/log.hpp"
#include "services/detail/back_off.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/trace_header.hpp"
#include "services/detail/warm_websocket.hpp"
#include "services/stt/detail/stt_inbox.hpp"
#include "services/stt/detail/vosk_protocol.hpp"

#include <fmt/format.h>

#include <deque>
#include <optional>
#include <stdexcept>
#include <utility>

namespace oavc::services {

namespace {

constexpr unsigned most_reconnects = 5;
constexpr Clock::duration longest_wait = 800ms;
/// Utterances of one call that wait for their final at once; the oldest then gets what there is.
constexpr std::size_t most_pending = 8;
constexpr std::size_t longest_reply = 1 << 20;
constexpr auto most_queued = 32s;  ///< of audio: a whole replay fits

struct Connection;

struct Talk {
    Talk(UtteranceId id, const VoskConfig& config, const std::string& first_message)
        : utterance{id, config, first_message} {}

    vosk::Utterance utterance;
    std::shared_ptr<Connection> connection;
    unsigned losses{0};
    bool over{false};  ///< its final was given, or it was cancelled
};

struct Connection {
    std::unique_ptr<net::WebSocket> socket;  ///< null once it is lost
    vosk::Line line;
    std::weak_ptr<Talk> talk;  ///< whose answers come
};

WarmWebSocket::Options socket_options(const VoskConfig& config, std::string traceparent) {
    WarmWebSocket::Options options;
    options.endpoint = config.endpoint;
    options.headers = with_trace({}, std::move(traceparent));
    options.limits.max_message = longest_reply;
    const SampleRate rate{static_cast<std::uint32_t>(config.sample_rate)};
    options.limits.max_queued_bytes = samples_in(most_queued, rate) * sizeof(media::Sample);
    return options;
}

/// A stream and what still runs for it. Owners: the stream, its tasks, a next() that waits.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(
        async::Shard& shard,
        std::shared_ptr<const VoskConfig> config,
        std::shared_ptr<VoskStt::Stats> stats,
        SttOptions options
    )
        : config_{std::move(config)},
          stats_{std::move(stats)},
          log_{std::move(options.log)},
          first_message_{vosk::config_message(*config_)},
          inbox_{shard.executor()},
          may_take_{shard.executor()} {
        warm_.emplace(shard, socket_options(*config_, std::move(options.traceparent)));
        background_.emplace(shard.executor(), [log = log_](std::exception_ptr) {
            log.error("vosk: a task failed");
        });
    }

    void begin(UtteranceId id) {
        if (current_ != nullptr && !current_->utterance.ended()) cancel();
        if (inbox_.failed()) return;
        ++stats_->utterances;
        if (pending_.size() == most_pending) finish(pending_.front());
        current_ = std::make_shared<Talk>(id, *config_, first_message_);
        pending_.push_back(current_);
        if (const auto idle = std::exchange(idle_, nullptr)) {
            attach(idle, current_);
        } else {
            background_->spawn(connect(shared_from_this(), current_));
        }
    }

    void push(media::Samples audio) {
        if (current_ == nullptr || current_->over || current_->utterance.ended()) return;
        current_->utterance.push(audio);
        pump(*current_);
    }

    void end() {
        if (current_ == nullptr || current_->over) return;
        current_->utterance.end();
        pump(*current_);
    }

    void cancel() {
        const auto talk = std::exchange(current_, nullptr);
        if (talk == nullptr) return;
        inbox_.forget(talk->utterance.id());
        if (talk->over) return;
        if (const auto left = part(*talk)) left->socket.reset();
        std::erase(pending_, talk);
    }

    /// The stream is gone.
    void close() {
        closed_ = true;
        drop_all();
        inbox_.fail(make_error_code(ServiceErrc::cancelled));
        warm_.reset();
        background_.reset();
    }

    static asio::awaitable<Result<SttEvent>> next(std::shared_ptr<Core> core) {
        co_return co_await core->inbox_.next();
    }

private:
    static asio::awaitable<void> connect(std::shared_ptr<Core> core, std::shared_ptr<Talk> talk);
    static asio::awaitable<void> read(
        std::shared_ptr<Core> core, std::shared_ptr<Connection> connection
    );
    asio::awaitable<Result<std::unique_ptr<net::WebSocket>>> take();

    void attach(const std::shared_ptr<Connection>& connection, const std::shared_ptr<Talk>& talk) {
        connection->talk = talk;
        talk->connection = connection;
        talk->utterance.attach(connection->line);
        pump(*talk);
    }

    static void pump(Talk& talk) {
        if (talk.connection == nullptr || talk.connection->socket == nullptr) return;
        talk.utterance.pump(talk.connection->line, *talk.connection->socket);
    }

    void on_message(Connection& connection, std::string_view text) {
        using Outcome = vosk::Utterance::Outcome;
        if (connection.line.take_owed(text)) return;
        const auto talk = connection.talk.lock();
        if (talk == nullptr || talk->over) return;
        const auto outcome = talk->utterance.on_message(text);
        if (outcome == Outcome::lost) connection.socket.reset();
        act(outcome, talk);
    }

    void on_closed(const std::shared_ptr<Connection>& connection) {
        const std::uint16_t code =
            connection->socket == nullptr ? 0 : connection->socket->peer_close_code();
        connection->socket.reset();
        if (idle_ == connection) idle_.reset();
        const auto talk = connection->talk.lock();
        if (talk == nullptr || talk->over || talk->connection != connection) return;
        act(talk->utterance.on_closed(code), talk);
    }

    void act(vosk::Utterance::Outcome outcome, const std::shared_ptr<Talk>& talk) {
        using Outcome = vosk::Utterance::Outcome;
        switch (outcome) {
            case Outcome::nothing:
                return pump(*talk);  // there may be room again
            case Outcome::interim:
                inbox_.put({SttEvent::Kind::interim, talk->utterance.id(), talk->utterance.text()});
                return pump(*talk);
            case Outcome::final:
                return finish(talk);
            case Outcome::lost:
                return retry(talk, make_error_code(ServiceErrc::unavailable));
            case Outcome::hopeless:
                return fail(make_error_code(ServiceErrc::protocol));
        }
    }

    void retry(const std::shared_ptr<Talk>& talk, const error_code& error) {
        talk->connection.reset();
        ++stats_->reconnects;
        if (!is_retryable(error) || ++talk->losses > most_reconnects) return fail(error);
        background_->spawn(connect(shared_from_this(), talk));
    }

    /// The utterance's final: what was heard of it.
    void finish(std::shared_ptr<Talk> talk) {
        SttEvent event{SttEvent::Kind::final, talk->utterance.id(), talk->utterance.text()};
        event.words = talk->utterance.words();
        // The server closes by itself after eof; where it does not, it hears a goodbye.
        if (const auto left = part(*talk)) left->socket->begin_close(1000, "");
        std::erase(pending_, talk);
        inbox_.put(std::move(event));
    }

    /// Ends what `talk` and its connection have to do with each other. Keeps the connection for
    /// the next utterance when that is possible, else returns it if it is open.
    std::shared_ptr<Connection> part(Talk& talk) {
        talk.over = true;
        stats_->lost_samples += talk.utterance.lost_samples();
        auto connection = std::exchange(talk.connection, nullptr);
        if (connection == nullptr || connection->socket == nullptr) return nullptr;
        connection->talk.reset();
        const bool usable = talk.utterance.release(connection->line, *connection->socket);
        if (!usable || idle_ != nullptr) return connection;
        idle_ = std::move(connection);
        return nullptr;
    }

    void fail(const error_code& error) {
        if (inbox_.failed()) return;
        log_.warn("vosk: recognition failed", log::kv("error", error));
        drop_all();
        inbox_.fail(error);
    }

    void drop_all() {
        for (const auto& talk : pending_) {
            talk->over = true;
            if (talk->connection != nullptr) talk->connection->socket.reset();
            talk->connection.reset();
        }
        pending_.clear();
        if (idle_ != nullptr) idle_->socket.reset();
        idle_.reset();
    }

    const std::shared_ptr<const VoskConfig> config_;
    const std::shared_ptr<VoskStt::Stats> stats_;
    const log::Logger log_;
    const std::string first_message_;
    SttInbox inbox_;
    std::optional<WarmWebSocket> warm_;
    bool taking_{false};                         ///< from warm_: one at a time
    async::Signal may_take_;                     ///< taking_ has become false
    std::shared_ptr<Talk> current_;              ///< the latest, also after its end
    std::deque<std::shared_ptr<Talk>> pending_;  ///< begun, and their final not given
    std::shared_ptr<Connection> idle_;           ///< open, for the next utterance
    bool closed_{false};
    std::optional<async::Background> background_;
};

asio::awaitable<Result<std::unique_ptr<net::WebSocket>>> Core::take() {
    while (taking_) {
        const bool go_on = co_await may_take_.wait();
        if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
    }
    taking_ = true;
    auto socket = co_await warm_->take();
    taking_ = false;
    may_take_.notify();
    co_return std::move(socket);
}

/// Finds `talk` a connection and stays with it.
asio::awaitable<void> Core::connect(std::shared_ptr<Core> core, std::shared_ptr<Talk> talk) {
    const auto wait = back_off(talk->losses, longest_wait);
    if (wait > Clock::duration{}) co_await async::sleep_for(wait);
    if (core->closed_ || talk->over) co_return;
    auto socket = co_await core->take();
    if (core->closed_ || talk->over) co_return;
    if (!socket) {
        core->retry(talk, socket.error());
        co_return;
    }
    const auto connection = std::make_shared<Connection>();
    connection->socket = std::move(*socket);
    core->attach(connection, talk);
    talk.reset();
    co_await read(std::move(core), connection);
}

asio::awaitable<void> Core::read(
    std::shared_ptr<Core> core, std::shared_ptr<Connection> connection
) {
    while (connection->socket != nullptr) {
        const auto message = co_await connection->socket->read();
        if (core->closed_) co_return;
        if (!message) break;
        core->on_message(*connection, message->data);
    }
    core->on_closed(connection);
}

class Stream final : public SttStream {
public:
    explicit Stream(std::shared_ptr<Core> core) : core_{std::move(core)} {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() override { core_->close(); }

    void begin(UtteranceId utterance) noexcept override { core_->begin(utterance); }
    void push(media::FrameView audio) noexcept override { core_->push(audio.samples); }
    void end() noexcept override { core_->end(); }
    void cancel() noexcept override { core_->cancel(); }
    asio::awaitable<Result<SttEvent>> next() override { return Core::next(core_); }

private:
    const std::shared_ptr<Core> core_;
};

void check(const VoskConfig& config) {
    const auto url = net::parse_url(config.endpoint.url);
    if (!url || (url->scheme != "ws" && url->scheme != "wss")) {
        throw std::runtime_error{"[stt.vosk] url: a ws:// or wss:// address is needed"};
    }
    if (config.sample_rate < 8'000 || config.sample_rate > 48'000) {
        throw std::runtime_error{fmt::format(
            "[stt.vosk] sample_rate: {} is not between 8000 and 48000", config.sample_rate
        )};
    }
    if (config.chunk < 20ms || config.chunk > 1s) {
        throw std::runtime_error{"[stt.vosk] chunk: 20 to 1000 milliseconds are possible"};
    }
    if (!vosk::parse_finalize(config.finalize)) {
        throw std::runtime_error{fmt::format(
            "[stt.vosk] finalize: '{}' is none of eof, reset, silence", config.finalize
        )};
    }
}

}  // namespace

VoskStt::VoskStt(VoskConfig config) : stats_{std::make_shared<Stats>()} {
    check(config);
    capabilities_ = {
        .input_rate = {static_cast<std::uint32_t>(config.sample_rate)},
        .interim_results = true,
        .endpointing = false,
        .word_times = config.words,
        .cancel = true,
    };
    config_ = std::make_shared<const VoskConfig>(std::move(config));
}

asio::awaitable<Result<std::unique_ptr<SttStream>>> VoskStt::open(
    async::Shard& shard, SttOptions options
) {
    std::unique_ptr<SttStream> stream =
        std::make_unique<Stream>(std::make_shared<Core>(shard, config_, stats_, std::move(options))
        );
    co_return stream;
}

asio::awaitable<Result<void>> VoskStt::probe(async::Shard& shard) {
    const auto config = config_;
    const auto& endpoint = config->endpoint;
    auto socket = co_await net::websocket_connect(
        shard, endpoint.url, {}, endpoint.connect_timeout, {}, endpoint.tls
    );
    if (!socket) co_return service_error(socket.error());
    // A server whose handler is broken closes by itself.
    co_await (*socket)->close(1000, "");
    if ((*socket)->peer_close_code() == 1011) co_return make_error_code(ServiceErrc::protocol);
    co_return Result<void>{};
}

std::vector<metrics::Count> VoskStt::counts() const {
    const auto seconds = [hz = static_cast<double>(capabilities_.input_rate.hz)](std::uint64_t n) {
        return static_cast<double>(n) / hz;
    };
    return {
        {"utterances", static_cast<double>(stats_->utterances)},
        {"reconnects", static_cast<double>(stats_->reconnects)},
        {"lost", seconds(stats_->lost_samples), metrics::Count::Unit::audio_seconds},
    };
}

}  // namespace oavc::services
