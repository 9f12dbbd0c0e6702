#include "services/stt/wyoming_stt.hpp"

#include "async/mailbox.hpp"
#include "async/signal.hpp"
#include "base/bytes.hpp"
#include "observability/log.hpp"
#include "services/detail/language.hpp"
#include "services/detail/stream_error.hpp"
#include "services/detail/warm_tcp.hpp"
#include "services/detail/words.hpp"
#include "services/detail/wyoming_probe.hpp"
#include "services/detail/wyoming_protocol.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace oavc::services {

namespace json = boost::json;

namespace {

using Stats = WyomingStt::Stats;

/// Utterances of a call whose transcript is still to come. More: the server is hopelessly late.
constexpr std::size_t most_pending = 8;
/// What waits while nothing is connected.
constexpr milliseconds longest_backlog{10'000};
/// An utterance that has sent more than this is not told again when its connection breaks.
constexpr milliseconds longest_repeat{5'000};

const json::object& audio_format() {
    static const json::object format{{"rate", wideband.hz}, {"width", 2}, {"channels", 1}};
    return format;
}

/// One utterance and its connection. Owners: the stream, while it is spoken; the coroutine that
/// listens for its transcript.
class Utterance {
public:
    Utterance(UtteranceId id, std::string language, std::size_t chunk, std::shared_ptr<Stats> stats)
        : id_{id}, language_{std::move(language)}, chunk_{chunk}, stats_{std::move(stats)} {
        audio_.reserve(samples_in(milliseconds{1'000}, wideband));
    }

    UtteranceId id() const noexcept { return id_; }
    net::TcpStream& connection() noexcept { return *connection_; }
    bool ended() const noexcept { return ended_; }
    bool cancelled() const noexcept { return cancelled_; }

    void push(media::Samples samples) {
        audio_.insert(audio_.end(), samples.begin(), samples.end());
        if (connection_) return send_chunks();
        const auto most = samples_in(longest_backlog, wideband);
        if (audio_.size() <= most) return;
        const auto excess = audio_.size() - most;
        audio_.erase(audio_.begin(), audio_.begin() + static_cast<std::ptrdiff_t>(excess));
        stats_->dropped_samples += excess;
    }
    void end() {
        ended_ = true;
        if (connection_) send_end();
    }
    void cancel() noexcept {
        cancelled_ = true;
        connection_.reset();
    }

    /// Sends what was said so far, again if need be.
    void start(std::unique_ptr<net::TcpStream> connection) {
        connection_ = std::move(connection);
        sent_ = 0;
        json::object wanted;
        if (!language_.empty()) wanted["language"] = language_;
        send(wyoming_event("transcribe", wanted));
        send(wyoming_event("audio-start", audio_format()));
        send_chunks();
        if (ended_) send_end();
    }
    /// True: it can be told again on another connection.
    bool drop_connection() noexcept {
        connection_.reset();
        return repeatable_;
    }

private:
    /// A stalled connection shows as a transcript that does not come.
    void send(const std::string& event) { static_cast<void>(connection_->send(event)); }

    void send_chunk(std::size_t size) {
        const auto samples = media::Samples{audio_}.subspan(sent_, size);
        send(wyoming_event("audio-chunk", audio_format(), as_text(std::as_bytes(samples))));
        sent_ += size;
    }
    void send_chunks() {
        while (audio_.size() - sent_ >= chunk_)
            send_chunk(chunk_);
        if (sent_ <= samples_in(longest_repeat, wideband)) return;
        repeatable_ = false;
        audio_.erase(audio_.begin(), audio_.begin() + static_cast<std::ptrdiff_t>(sent_));
        sent_ = 0;
    }
    void send_end() {
        if (audio_.size() > sent_) send_chunk(audio_.size() - sent_);
        send(wyoming_event("audio-stop"));
    }

    const UtteranceId id_;
    const std::string language_;
    const std::size_t chunk_;  ///< samples
    const std::shared_ptr<Stats> stats_;
    std::unique_ptr<net::TcpStream> connection_;
    std::vector<media::Sample> audio_;
    std::size_t sent_{0};  ///< of `audio_`
    bool repeatable_{true};
    bool ended_{false};
    bool cancelled_{false};
};

/// Owners: the stream, what listens for its utterances, and a next() that waits.
struct Core {
    Core(
        async::Shard& shard,
        const Endpoint& endpoint,
        std::shared_ptr<Stats> counters,
        log::Logger logger
    )
        : stats{std::move(counters)},
          log{std::move(logger)},
          inbox{shard.executor(), 64},
          free{shard.executor()} {
        supply.emplace(shard, endpoint);
    }

    const std::shared_ptr<Stats> stats;
    const log::Logger log;
    std::optional<WarmTcp> supply;  ///< none: the stream is gone
    struct Item {
        SttEvent event;
        std::shared_ptr<Utterance> utterance;
    };
    async::Mailbox<Item> inbox;
    std::deque<std::shared_ptr<Utterance>> pending;
    bool taking{false};
    async::Signal free;  ///< `taking` is false

    void fail(error_code error) { inbox.close(error); }

    void deliver(const std::shared_ptr<Utterance>& utterance, std::string_view text) {
        std::erase(pending, utterance);
        inbox.push_or_drop_oldest(
            {{SttEvent::Kind::final, utterance->id(), std::string{text}}, utterance}
        );
    }
};

enum class Heard { transcript, connection_lost, failure };

/// What one event means. Nothing: go on.
std::optional<Heard> on_event(
    Core& core, const std::shared_ptr<Utterance>& utterance, const WyomingEvent& event
) {
    if (event.type == "error") {
        core.log.warn(
            "the recognition server complains",
            log::kv("provider", "wyoming"),
            log::kv("said", event.text("text").substr(0, 200))
        );
        core.fail(make_error_code(ServiceErrc::unavailable));
        return Heard::failure;
    }
    if (event.type != "transcript") return std::nullopt;
    if (!utterance->ended()) {
        core.fail(make_error_code(ServiceErrc::protocol));
        return Heard::failure;
    }
    core.deliver(utterance, trimmed(event.text("text")));
    return Heard::transcript;
}

asio::awaitable<Heard> listen(std::shared_ptr<Core> core, std::shared_ptr<Utterance> utterance) {
    WyomingParser parser;
    for (;;) {
        const auto bytes = co_await utterance->connection().read();
        if (utterance->cancelled()) co_return Heard::failure;
        if (!bytes) co_return Heard::connection_lost;
        parser.feed(*bytes);
        for (;;) {
            const auto event = parser.next();
            if (!event) {
                core->fail(event.error());
                co_return Heard::failure;
            }
            if (!*event) break;
            const auto heard = on_event(*core, utterance, **event);
            if (heard) co_return *heard;
        }
    }
}

/// From a connection to the transcript.
asio::awaitable<void> recognise(std::shared_ptr<Core> core, std::shared_ptr<Utterance> utterance) {
    // A server that restarts ends the connection and its spare together: the third is a fresh one.
    constexpr int most_attempts = 3;
    for (int attempt = 1;; ++attempt) {
        while (core->taking) {
            const bool go_on = co_await core->free.wait();
            if (!go_on) co_return;
        }
        if (utterance->cancelled() || !core->supply) co_return;
        core->taking = true;
        auto taken = co_await core->supply->take();
        core->taking = false;
        core->free.notify();
        if (!core->supply) co_return;
        if (!taken) co_return core->fail(taken.error());
        if (utterance->cancelled()) {
            core->supply->give_back(std::move(*taken));
            co_return;
        }
        utterance->start(std::move(*taken));
        const auto heard = co_await listen(core, utterance);
        const bool repeatable = utterance->drop_connection();
        if (heard != Heard::connection_lost || !core->supply) co_return;
        if (attempt == most_attempts || !repeatable) {
            co_return core->fail(make_error_code(ServiceErrc::unavailable));
        }
        ++core->stats->repeated;
    }
}

asio::awaitable<Result<SttEvent>> next(std::shared_ptr<Core> core) {
    for (;;) {
        auto item = co_await core->inbox.pop();
        if (!item) co_return service_error(item.error());
        if (item->utterance->cancelled()) continue;
        co_return std::move(item->event);
    }
}

class Stream final : public SttStream {
public:
    Stream(
        async::Shard& shard,
        const WyomingSttConfig& config,
        std::string language,
        std::shared_ptr<Stats> stats,
        log::Logger logger
    )
        : core_{std::make_shared<Core>(
              shard, config.endpoint, std::move(stats), std::move(logger)
          )},
          language_{std::move(language)},
          chunk_{samples_in(
              std::clamp(config.chunk, milliseconds{20}, milliseconds{1'000}), wideband
          )},
          listeners_{shard.executor(), [core = std::weak_ptr{core_}](std::exception_ptr) {
                         // Memory ran out, or a bug: this call's recogniser is done for.
                         if (const auto still = core.lock()) {
                             still->fail(make_error_code(ServiceErrc::unavailable));
                         }
                     }} {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() override {
        for (auto& utterance : core_->pending)
            utterance->cancel();
        core_->pending.clear();
        core_->supply.reset();
        core_->fail(make_error_code(ServiceErrc::cancelled));
    }

    void begin(UtteranceId utterance) noexcept override {
        if (open_) cancel();
        ++core_->stats->utterances;
        if (core_->pending.size() == most_pending) {
            return core_->fail(make_error_code(ServiceErrc::overloaded));
        }
        current_ = std::make_shared<Utterance>(utterance, language_, chunk_, core_->stats);
        open_ = true;
        core_->pending.push_back(current_);
        listeners_.spawn(recognise(core_, current_));
    }
    void push(media::FrameView audio) noexcept override {
        if (open_) current_->push(audio.samples);
    }
    void end() noexcept override {
        if (!open_) return;
        open_ = false;
        current_->end();
    }
    void cancel() noexcept override {
        open_ = false;
        if (current_ == nullptr) return;
        current_->cancel();
        std::erase(core_->pending, current_);
        current_.reset();
    }
    asio::awaitable<Result<SttEvent>> next() override { return services::next(core_); }

private:
    const std::shared_ptr<Core> core_;
    const std::string language_;
    const std::size_t chunk_;
    std::shared_ptr<Utterance> current_;  ///< the latest, also after its end
    bool open_{false};                    ///< … which has not ended
    async::Background listeners_;
};

}  // namespace

WyomingStt::WyomingStt(const WyomingSttConfig& config)
    : config_{config}, stats_{std::make_shared<Stats>()} {}

asio::awaitable<Result<std::unique_ptr<SttStream>>> WyomingStt::open(
    async::Shard& shard, SttOptions options
) {
    auto language = known_language(config_.language.empty() ? options.language : config_.language);
    std::unique_ptr<SttStream> stream =
        std::make_unique<Stream>(shard, config_, std::move(language), stats_, options.log);
    co_return stream;
}

asio::awaitable<Result<void>> WyomingStt::probe(async::Shard& shard) {
    return probe_wyoming(shard, config_.endpoint);
}

std::vector<metrics::Count> WyomingStt::counts() const {
    const auto seconds = [hz = static_cast<double>(capabilities_.input_rate.hz)](std::uint64_t n) {
        return static_cast<double>(n) / hz;
    };
    return {
        {"utterances", static_cast<double>(stats_->utterances)},
        {"repeated", static_cast<double>(stats_->repeated)},
        {"lost", seconds(stats_->dropped_samples), metrics::Count::Unit::audio_seconds},
    };
}

}  // namespace oavc::services
