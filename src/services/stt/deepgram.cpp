#include "services/stt/deepgram.hpp"

#include "async/background.hpp"
#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "net/http_client.hpp"
#include "observability/log.hpp"
#include "services/detail/back_off.hpp"
#include "services/detail/deepgram.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/trace_header.hpp"
#include "services/stt/detail/deepgram_listen.hpp"
#include "services/stt/detail/stt_inbox.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <optional>
#include <utility>

namespace oavc::services {

namespace {

constexpr unsigned most_reconnects = 5;
constexpr Clock::duration longest_wait = 10s;
/// While an utterance waits; while none does, the next one ends the wait.
constexpr Clock::duration longest_busy_wait = 800ms;
constexpr auto most_queued = 32s;  ///< of audio: a whole replay fits

/// A stream and what still runs for it. Owners: the stream, its tasks, a next() that waits.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(
        async::Shard& shard,
        std::shared_ptr<const DeepgramSttConfig> config,
        std::shared_ptr<DeepgramStt::Stats> stats,
        std::string url,
        SttOptions options
    )
        : shard_{shard},
          config_{std::move(config)},
          stats_{std::move(stats)},
          log_{std::move(options.log)},
          url_{std::move(url)},
          headers_{with_trace(
              deepgram::authorization(config_->api_key), std::move(options.traceparent)
          )},
          listener_{config_->chunk},
          inbox_{shard.executor()},
          wanted_{shard.executor()},
          clock_{shard.executor()} {}

    /// Begins to connect.
    void start() {
        background_.emplace(shard_.executor(), [log = log_](std::exception_ptr) {
            log.error("deepgram: a task failed");
        });
        background_->spawn(supply(shared_from_this()));
        background_->spawn(keep_time(shared_from_this()));
    }

    void begin(UtteranceId id) {
        if (inbox_.failed()) return;
        if (!listener_.busy()) wanted_.notify();
        listener_.begin(id);
        deliver();
    }
    void push(media::Samples audio) {
        if (inbox_.failed()) return;
        listener_.push(audio);
        pump();
    }
    void end() {
        if (inbox_.failed()) return;
        listener_.end();
        pump();
        deliver();
        clock_.cancel();
    }
    void cancel(UtteranceId id) {
        listener_.cancel(id);
        inbox_.forget(id);
        pump();
    }

    /// The stream is gone.
    void close() {
        closed_ = true;
        socket_.reset();
        clock_.cancel();
        inbox_.fail(make_error_code(ServiceErrc::cancelled));
        background_.reset();
    }

    static asio::awaitable<Result<SttEvent>> next(std::shared_ptr<Core> core) {
        co_return co_await core->inbox_.next();
    }

private:
    using Outcome = deepgram::Listener::Outcome;

    static asio::awaitable<void> supply(std::shared_ptr<Core> core);
    static asio::awaitable<void> keep_time(std::shared_ptr<Core> core);
    asio::awaitable<error_code> serve();

    void pump() {
        if (socket_ != nullptr) listener_.pump(*socket_, Clock::now());
        stats_->lost_samples += listener_.take_lost_samples();
    }
    void deliver() {
        while (auto event = listener_.next_event()) {
            if (event->kind == SttEvent::Kind::final) losses_ = 0;
            inbox_.put(std::move(*event));
        }
    }
    void fail(const error_code& error) {
        if (inbox_.failed()) return;
        log_.warn(
            "deepgram: recognition failed",
            log::kv("error", error),
            log::kv("request", listener_.request_id())
        );
        socket_.reset();
        inbox_.fail(error);
    }

    async::Shard& shard_;
    const std::shared_ptr<const DeepgramSttConfig> config_;
    const std::shared_ptr<DeepgramStt::Stats> stats_;
    const log::Logger log_;
    const std::string url_;
    const net::HttpHeaders headers_;
    deepgram::Listener listener_;
    SttInbox inbox_;
    async::Signal wanted_;  ///< an utterance has begun
    asio::steady_timer clock_;
    std::unique_ptr<net::WebSocket> socket_;
    unsigned losses_{0};  ///< of connections, since the last final
    bool closed_{false};
    std::optional<async::Background> background_;
};

/// Keeps the call connected.
asio::awaitable<void> Core::supply(std::shared_ptr<Core> core) {
    using namespace asio::experimental::awaitable_operators;
    const auto& endpoint = core->config_->endpoint;
    net::WsLimits limits;
    limits.max_queued_bytes = samples_in(most_queued, wideband) * sizeof(media::Sample);
    for (;;) {
        auto socket = co_await net::websocket_connect(
            core->shard_, core->url_, core->headers_, endpoint.connect_timeout, limits, endpoint.tls
        );
        if (core->closed_) co_return;
        error_code error = socket ? error_code{} : service_error(socket.error());
        if (socket) {
            ++core->stats_->connections;
            core->socket_ = std::move(*socket);
            const auto opened = Clock::now();
            error = co_await core->serve();
            if (core->closed_) co_return;
            if (Clock::now() - opened > longest_wait) core->losses_ = 0;
            ++core->stats_->lost_connections;
        }
        core->socket_.reset();
        core->listener_.detach();
        const bool busy = core->listener_.busy();
        ++core->losses_;
        if (!is_retryable(error) || error == ServiceErrc::protocol ||
            (busy && core->losses_ > most_reconnects)) {
            core->fail(error);
            co_return;
        }
        const auto wait = back_off(core->losses_, busy ? longest_busy_wait : longest_wait);
        if (wait > Clock::duration{}) co_await (async::sleep_for(wait) || core->wanted_.wait());
        if (core->closed_) co_return;
    }
}

/// One connection, to its end.
asio::awaitable<error_code> Core::serve() {
    listener_.attach();
    pump();
    clock_.cancel();
    for (;;) {
        const auto message = co_await socket_->read();
        if (closed_) co_return make_error_code(ServiceErrc::cancelled);
        auto outcome = Outcome::ok;
        if (message) {
            outcome = listener_.on_message(message->data, Clock::now());
        } else {
            outcome = listener_.on_closed(socket_->peer_close_code());
        }
        deliver();
        if (outcome == Outcome::hopeless) co_return make_error_code(ServiceErrc::protocol);
        if (outcome == Outcome::lost) co_return make_error_code(ServiceErrc::unavailable);
        pump();  // there may be room again
        clock_.cancel();
    }
}

/// KeepAlive, and finals that nothing else gives.
asio::awaitable<void> Core::keep_time(std::shared_ptr<Core> core) {
    while (!core->closed_) {
        core->clock_.expires_at(core->listener_.next_deadline());
        co_await core->clock_.async_wait(as_result);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) co_return;
        core->listener_.on_time(Clock::now());
        core->deliver();
        core->pump();
    }
}

class Stream final : public SttStream {
public:
    explicit Stream(std::shared_ptr<Core> core) : core_{std::move(core)} { core_->start(); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() override { core_->close(); }

    void begin(UtteranceId utterance) noexcept override {
        if (open_) cancel();
        current_ = utterance;
        open_ = true;
        core_->begin(utterance);
    }
    void push(media::FrameView audio) noexcept override {
        if (open_) core_->push(audio.samples);
    }
    void end() noexcept override {
        if (!open_) return;
        open_ = false;
        core_->end();
    }
    void cancel() noexcept override {
        open_ = false;
        if (current_) core_->cancel(*current_);
        current_.reset();
    }
    asio::awaitable<Result<SttEvent>> next() override { return Core::next(core_); }

private:
    const std::shared_ptr<Core> core_;
    std::optional<UtteranceId> current_;  ///< the latest, also after its end
    bool open_{false};                    ///< … which has not ended
};

}  // namespace

DeepgramStt::DeepgramStt(DeepgramSttConfig config) : stats_{std::make_shared<Stats>()} {
    deepgram::check("[stt.deepgram]", config.endpoint, config.api_key);
    if (config.chunk < 20ms || config.chunk > 250ms) {
        throw std::runtime_error{"[stt.deepgram] chunk: 20 to 250 milliseconds are possible"};
    }
    capabilities_ = {
        .input_rate = wideband,
        .interim_results = true,
        .endpointing = true,
        .word_times = true,
        .cancel = true,
    };
    config_ = std::make_shared<const DeepgramSttConfig>(std::move(config));
}

asio::awaitable<Result<std::unique_ptr<SttStream>>> DeepgramStt::open(
    async::Shard& shard, SttOptions options
) {
    auto url = deepgram::listen_url(*config_, options.language);
    std::unique_ptr<SttStream> stream = std::make_unique<Stream>(
        std::make_shared<Core>(shard, config_, stats_, std::move(url), std::move(options))
    );
    co_return stream;
}

asio::awaitable<Result<void>> DeepgramStt::probe(async::Shard& shard) {
    const auto config = config_;
    auto socket = co_await net::websocket_connect(
        shard,
        deepgram::listen_url(*config, {}),
        deepgram::authorization(config->api_key),
        config->endpoint.connect_timeout,
        {},
        config->endpoint.tls
    );
    if (!socket) co_return service_error(socket.error());
    (*socket)->send_text(R"({"type":"CloseStream"})");
    co_await (*socket)->close(1000, "");
    co_return Result<void>{};
}

std::vector<metrics::Count> DeepgramStt::counts() const {
    const auto seconds = [hz = static_cast<double>(capabilities_.input_rate.hz)](std::uint64_t n) {
        return static_cast<double>(n) / hz;
    };
    return {
        {"connections", static_cast<double>(stats_->connections)},
        {"lost_connections", static_cast<double>(stats_->lost_connections)},
        {"lost", seconds(stats_->lost_samples), metrics::Count::Unit::audio_seconds},
    };
}

}  // namespace oavc::services
