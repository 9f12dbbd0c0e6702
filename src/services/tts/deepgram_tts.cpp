#include "services/tts/deepgram_tts.hpp"

#include "async/background.hpp"
#include "async/deadline.hpp"
#include "async/signal.hpp"
#include "base/bytes.hpp"
#include "net/http_client.hpp"
#include "observability/log.hpp"
#include "services/detail/deepgram.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/trace_header.hpp"
#include "services/tts/detail/deepgram_speak.hpp"
#include "services/tts/detail/pcm_joiner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

namespace oavc::services {

namespace {

/// `Flushed` may overtake the last audio by this much.
constexpr auto after_flushed = 40ms;
/// A server that does not confirm Clear by then gets another connection.
constexpr auto longest_clear = 500ms;
/// A connection that was lost after this long is replaced before anybody asks.
constexpr auto settled_after = 5s;
/// Of one reply's audio that nobody has taken.
constexpr auto longest_backlog = 120s;

/// One sentence. Owners: its reply, and the session until it is done.
struct Job {
    Job(asio::any_io_executor executor, std::string sentence)
        : text{std::move(sentence)}, changed{std::move(executor)} {}

    std::string text;
    async::Signal changed;
    std::deque<TtsChunk> chunks;
    std::size_t samples{0};  ///< in chunks
    bool sent{false};
    bool heard{false};    ///< some audio came
    bool flushed{false};  ///< nearly all of it
    bool repeated{false};
    bool done{false};
    error_code error;
};

struct Connection {
    std::unique_ptr<net::WebSocket> socket;  ///< null once it is lost
    PcmJoiner pcm;
    deepgram::FlushBudget budget;
    TimePoint opened{Clock::now()};
    bool clearing{false};       ///< between Clear and Cleared
    bool stale_flushed{false};  ///< the Flushed of what was cleared may still come
};

/// A session and what still runs for it. Owners: the session, its replies and tasks.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(
        async::Shard& shard,
        std::shared_ptr<const DeepgramTtsConfig> config,
        std::shared_ptr<DeepgramTts::Stats> stats,
        std::string url,
        TtsOptions options
    )
        : shard_{shard},
          config_{std::move(config)},
          stats_{std::move(stats)},
          log_{std::move(options.log)},
          url_{std::move(url)},
          headers_{with_trace(
              deepgram::authorization(config_->api_key), std::move(options.traceparent)
          )} {}

    void start() {
        background_.emplace(shard_.executor(), [log = log_](std::exception_ptr) {
            log.error("deepgram: a task failed");
        });
        connect_again();
    }

    std::shared_ptr<Job> speak(std::string text) {
        const auto job = std::make_shared<Job>(shard_.executor(), std::move(text));
        job->done = job->text.find_first_not_of(" \t\r\n") == std::string::npos;
        if (closed_) job->error = make_error_code(ServiceErrc::cancelled);
        if (closed_ || job->done) return job;
        jobs_.push_back(job);
        advance();
        return job;
    }

    /// Nobody listens to it any more.
    void drop(const std::shared_ptr<Job>& job) {
        if (closed_) return;
        if (job->sent && !job->done && connection_ != nullptr) clear(*connection_, *job);
        std::erase(jobs_, job);
        advance();
    }

    void close() {
        closed_ = true;
        for (const auto& job : jobs_) {
            job->error = make_error_code(ServiceErrc::cancelled);
            job->changed.notify();
        }
        jobs_.clear();
        lose_connection();
        background_.reset();
    }

    static asio::awaitable<Result<TtsChunk>> next(
        std::shared_ptr<Core> core, std::shared_ptr<Job> job
    ) {
        static_cast<void>(core);
        for (;;) {
            if (!job->chunks.empty()) {
                auto chunk = std::move(job->chunks.front());
                job->chunks.pop_front();
                job->samples -= chunk.samples.size();
                co_return chunk;
            }
            if (job->error) co_return job->error;
            if (job->done) co_return make_error_code(ServiceErrc::end_of_stream);
            const bool go_on = co_await job->changed.wait();
            if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
        }
    }

private:
    static asio::awaitable<void> connect(std::shared_ptr<Core> core);
    static asio::awaitable<void> read(
        std::shared_ptr<Core> core, std::shared_ptr<Connection> connection
    );
    static asio::awaitable<void> end_later(std::shared_ptr<Core> core, std::shared_ptr<Job> job);
    static asio::awaitable<void> expect_cleared(
        std::shared_ptr<Core> core, std::shared_ptr<Connection> connection
    );

    /// Has the oldest sentence spoken if it is its turn.
    void advance() {
        if (closed_ || jobs_.empty() || jobs_.front()->sent) return;
        if (connection_ == nullptr) return connect_again();
        if (connection_->clearing) return;
        if (!connection_->budget.spend(Clock::now())) {
            ++stats_->flushes_spent;
            lose_connection();
            return connect_again();
        }
        auto& job = *jobs_.front();
        job.sent = true;
        connection_->pcm.clear();
        for (const auto& message : deepgram::speak_messages(job.text)) {
            if (connection_->socket->send_text(message)) continue;
            on_lost(make_error_code(ServiceErrc::unavailable));
            return;
        }
    }

    void connect_again() {
        if (connecting_ || closed_) return;
        connecting_ = true;
        background_->spawn(connect(shared_from_this()));
    }

    void clear(Connection& connection, const Job& job) {
        ++stats_->cleared;
        connection.clearing = true;
        connection.stale_flushed = !job.flushed;
        if (connection.socket->send_text(deepgram::clear_message)) {
            background_->spawn(expect_cleared(shared_from_this(), connection_));
        } else {
            lose_connection();
        }
    }

    void lose_connection() {
        if (const auto connection = std::exchange(connection_, nullptr)) {
            connection->socket.reset();
        }
    }

    /// What is spoken at the moment, if it is not to be thrown away.
    std::shared_ptr<Job> speaking() const {
        if (jobs_.empty() || !jobs_.front()->sent) return nullptr;
        return connection_ == nullptr || connection_->clearing ? nullptr : jobs_.front();
    }

    void on_audio(std::string_view bytes) {
        const auto job = speaking();
        if (job == nullptr) {
            stats_->dropped_bytes += bytes.size();
            return;
        }
        std::vector<media::Sample> samples;
        connection_->pcm.push(as_bytes(bytes), samples);
        if (samples.empty()) return;
        const SampleRate rate{static_cast<std::uint32_t>(config_->sample_rate)};
        job->samples += samples.size();
        if (job->samples > samples_in(longest_backlog, rate)) {
            return on_lost(make_error_code(ServiceErrc::protocol));
        }
        job->heard = true;
        job->chunks.push_back({std::move(samples), rate});
        job->changed.notify();
    }

    void on_message(std::string_view text) {
        using Kind = deepgram::VoiceMessage::Kind;
        const auto message = deepgram::parse_voice_message(text);
        if (!message) return on_lost(message.error());
        switch (message->kind) {
            case Kind::flushed:
                return on_flushed();
            case Kind::cleared:
                connection_->clearing = false;
                return advance();
            case Kind::flush_refused:
                ++stats_->warnings;
                return on_lost(make_error_code(ServiceErrc::overloaded));
            case Kind::error:
                log_.warn("deepgram: the voice failed", log::kv("error", message->text));
                return on_lost(make_error_code(ServiceErrc::unavailable));
            case Kind::other:
                if (!message->text.empty()) ++stats_->warnings;
                return;
        }
    }

    void on_flushed() {
        const auto job = speaking();
        if (job == nullptr || (!job->heard && connection_->stale_flushed)) {
            connection_->stale_flushed = false;
            return;
        }
        if (job->flushed) return;
        connection_->stale_flushed = false;
        job->flushed = true;
        background_->spawn(end_later(shared_from_this(), job));
    }

    /// The connection is of no use any more. What was being spoken is said once more if nobody
    /// heard anything of it; a refusal would only be repeated.
    void on_lost(const error_code& error) {
        const bool old =
            connection_ != nullptr && Clock::now() - connection_->opened > settled_after;
        lose_connection();
        ++stats_->lost_connections;
        if (jobs_.empty()) {
            if (old) connect_again();
            return;
        }
        const auto job = jobs_.front();
        if (job->sent) {
            if (job->flushed) {
                finish(job, {});
            } else if (!job->heard && !job->repeated && error == ServiceErrc::unavailable) {
                job->repeated = true;
                job->sent = false;
            } else {
                finish(job, error);
            }
        }
        advance();
    }

    void finish(const std::shared_ptr<Job>& job, const error_code& error) {
        job->done = true;
        job->error = error;
        job->changed.notify();
        std::erase(jobs_, job);
    }

    async::Shard& shard_;
    const std::shared_ptr<const DeepgramTtsConfig> config_;
    const std::shared_ptr<DeepgramTts::Stats> stats_;
    const log::Logger log_;
    const std::string url_;
    const net::HttpHeaders headers_;
    std::deque<std::shared_ptr<Job>> jobs_;  ///< not done; the first is, or will be, spoken
    std::shared_ptr<Connection> connection_;
    bool connecting_{false};
    bool closed_{false};
    std::optional<async::Background> background_;
};

asio::awaitable<void> Core::connect(std::shared_ptr<Core> core) {
    const auto& endpoint = core->config_->endpoint;
    auto socket = co_await net::websocket_connect(
        core->shard_, core->url_, core->headers_, endpoint.connect_timeout, {}, endpoint.tls
    );
    core->connecting_ = false;
    if (core->closed_) co_return;
    if (!socket) {
        // All who wait would be told the same; whoever speaks next makes another attempt.
        const auto error = service_error(socket.error());
        while (!core->jobs_.empty())
            core->finish(core->jobs_.front(), error);
        co_return;
    }
    ++core->stats_->connections;
    const auto connection = std::make_shared<Connection>();
    connection->socket = std::move(*socket);
    core->connection_ = connection;
    core->advance();
    co_await read(std::move(core), connection);
}

/// Reads all the time: pings are answered, and what nobody waits for does not pile up.
asio::awaitable<void> Core::read(
    std::shared_ptr<Core> core, std::shared_ptr<Connection> connection
) {
    while (connection->socket != nullptr) {
        const auto message = co_await connection->socket->read();
        if (core->closed_ || core->connection_ != connection) co_return;
        if (!message) {
            core->on_lost(make_error_code(ServiceErrc::unavailable));
        } else if (message->binary) {
            core->on_audio(message->data);
        } else {
            core->on_message(message->data);
        }
    }
}

asio::awaitable<void> Core::end_later(std::shared_ptr<Core> core, std::shared_ptr<Job> job) {
    co_await async::sleep_for(after_flushed);
    if (core->closed_ || job->done) co_return;
    core->finish(job, {});
    core->advance();
}

asio::awaitable<void> Core::expect_cleared(
    std::shared_ptr<Core> core, std::shared_ptr<Connection> connection
) {
    co_await async::sleep_for(longest_clear);
    if (core->closed_ || core->connection_ != connection || !connection->clearing) co_return;
    core->on_lost(make_error_code(ServiceErrc::timed_out));
}

class Reply final : public TtsReply {
public:
    Reply(std::shared_ptr<Core> core, std::shared_ptr<Job> job)
        : core_{std::move(core)}, job_{std::move(job)} {}
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;
    ~Reply() override { core_->drop(job_); }

    asio::awaitable<Result<TtsChunk>> next() override { return Core::next(core_, job_); }

private:
    const std::shared_ptr<Core> core_;
    const std::shared_ptr<Job> job_;
};

class Session final : public TtsSession {
public:
    explicit Session(std::shared_ptr<Core> core) : core_{std::move(core)} { core_->start(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() override { core_->close(); }

    std::unique_ptr<TtsReply> speak(std::string text) override {
        auto job = core_->speak(std::move(text));
        return std::make_unique<Reply>(core_, std::move(job));
    }

private:
    const std::shared_ptr<Core> core_;
};

}  // namespace

DeepgramTts::DeepgramTts(DeepgramTtsConfig config) : stats_{std::make_shared<Stats>()} {
    deepgram::check("[tts.deepgram]", config.endpoint, config.api_key);
    constexpr std::array rates{8'000, 16'000, 24'000, 32'000, 48'000};
    if (std::find(rates.begin(), rates.end(), config.sample_rate) == rates.end()) {
        throw std::runtime_error{fmt::format(
            "[tts.deepgram] sample_rate: {} is none of 8000, 16000, 24000, 32000, 48000",
            config.sample_rate
        )};
    }
    capabilities_ = {
        .output_rate = {static_cast<std::uint32_t>(config.sample_rate)}, .cancel = true};
    config_ = std::make_shared<const DeepgramTtsConfig>(std::move(config));
}

asio::awaitable<Result<std::unique_ptr<TtsSession>>> DeepgramTts::open(
    async::Shard& shard, TtsOptions options
) {
    auto url = deepgram::speak_url(*config_, options.voice);
    std::unique_ptr<TtsSession> session = std::make_unique<Session>(
        std::make_shared<Core>(shard, config_, stats_, std::move(url), std::move(options))
    );
    co_return session;
}

asio::awaitable<Result<void>> DeepgramTts::probe(async::Shard& shard) {
    const auto config = config_;
    auto socket = co_await net::websocket_connect(
        shard,
        deepgram::speak_url(*config, {}),
        deepgram::authorization(config->api_key),
        config->endpoint.connect_timeout,
        {},
        config->endpoint.tls
    );
    if (!socket) co_return service_error(socket.error());
    (*socket)->send_text(R"({"type":"Close"})");
    co_await (*socket)->close(1000, "");
    co_return Result<void>{};
}

std::vector<metrics::Count> DeepgramTts::counts() const {
    return {
        {"connections", static_cast<double>(stats_->connections)},
        {"lost_connections", static_cast<double>(stats_->lost_connections)},
        {"cleared", static_cast<double>(stats_->cleared)},
        {"flushes_spent", static_cast<double>(stats_->flushes_spent)},
        {"warnings", static_cast<double>(stats_->warnings)},
        {"dropped", static_cast<double>(stats_->dropped_bytes), metrics::Count::Unit::bytes},
    };
}

}  // namespace oavc::services
