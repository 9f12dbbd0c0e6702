#include "services/stt/whisper/faster_whisper_stt.hpp"

#include "async/mailbox.hpp"
#include "observability/log.hpp"
#include "services/detail/language.hpp"
#include "services/detail/shard_link.hpp"
#include "services/detail/stream_error.hpp"
#include "services/errors.hpp"
#include "services/stt/whisper/decode_pool.hpp"
#include "services/stt/whisper/local_agreement.hpp"

#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <stdexcept>
#include <utility>

namespace oavc::services::whisper {

namespace {

/// Utterances of one call that wait for their result at once; the oldest then gets an empty one.
constexpr std::size_t most_pending = 8;
constexpr std::size_t inbox_bound = 32;
/// Reserved when an utterance begins: most are shorter.
constexpr std::size_t usual_length = samples_in(4000ms, rate);
/// Fallback temperatures of finals: 0, 0.4, 0.8. Whisper's own step of 0.2 means up to six decodes.
constexpr double temperature_step = 0.4;
/// Interims are decoded over a context that fits their audio: encoder time falls with it. Quality
/// falls, too, below about 10 s.
constexpr int shortest_context = 512;
constexpr int whole_context = 1500;

std::string prompt_of(const FasterWhisperConfig& config) {
    std::string prompt = config.initial_prompt;
    for (const auto& word : config.hotwords) {
        if (!prompt.empty()) prompt += prompt == config.initial_prompt ? " " : ", ";
        prompt += word;
    }
    return prompt;
}

std::size_t threads_of(const FasterWhisperConfig& config) {
    if (config.cpu_threads > 0) return static_cast<std::size_t>(config.cpu_threads);
    const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
    return std::max<std::size_t>(1, cores / std::max<std::size_t>(config.num_workers, 1));
}

}  // namespace

struct FasterWhisperStt::Shared {
    Shared(std::shared_ptr<const WhisperEngine> engine, const FasterWhisperConfig& config_)
        : config{config_},
          prompt{prompt_of(config_)},
          threads{static_cast<int>(threads_of(config_))},
          filter{config_},
          pool{std::move(engine), config_.num_workers, config_.max_queue} {}

    void note_drop(DropReason reason, const SpeechSpan& speech) {
        ++dropped[static_cast<std::size_t>(reason)];
        log::Logger{}.debug(
            "whisper: nothing taken from an utterance",
            log::kv("reason", name_of(reason)),
            log::kv("speech_ms", speech.length),
            log::kv("level_dbfs", speech.level_dbfs)
        );
    }

    const FasterWhisperConfig config;
    const std::string prompt;
    const int threads;
    const HallucinationFilter filter;
    DropStats dropped{};
    DecodePool pool;  ///< last: its threads use the others
};

namespace {

using Shared = FasterWhisperStt::Shared;
using Kind = DecodeJob::Kind;

/// The shard's side of a stream. Owners: the stream, and a next() that still waits. Jobs know it
/// weakly and reach it through the link.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(async::Shard& shard, std::shared_ptr<Shared> shared, std::string language)
        : link_{std::make_shared<ShardLink>(shard)},
          shared_{std::move(shared)},
          language_{std::move(language)},
          call_{shared_->pool.new_call()},
          inbox_{shard.executor(), inbox_bound + most_pending},
          deadline_{shard.executor()} {}

    void close() {
        link_->cut();
        deadline_.cancel();
        while (!utterances_.empty())
            drop(utterances_.begin());
        inbox_.close(make_error_code(ServiceErrc::cancelled));
    }

    void begin(UtteranceId id) {
        if (!utterances_.empty() && !utterances_.back().ended) cancel();
        if (utterances_.size() == most_pending) {
            deliver(SttEvent::Kind::final, utterances_.front(), {});
            drop(utterances_.begin());
            finish_ready();
        }
        auto& utterance = utterances_.emplace_back();
        utterance.serial = ++serial_;
        utterance.id = id;
        utterance.cancelled = cancelled_ = std::make_shared<bool>(false);
        utterance.audio.reserve(usual_length);
    }

    void push(media::Samples samples) {
        if (utterances_.empty() || utterances_.back().ended) return;
        auto& utterance = utterances_.back();
        auto& audio = utterance.audio;
        while (!samples.empty()) {
            const auto taken =
                samples.first(std::min(samples.size(), longest_piece - audio.size()));
            audio.insert(audio.end(), taken.begin(), taken.end());
            samples = samples.subspan(taken.size());
            if (audio.size() < longest_piece) break;
            const auto cut = static_cast<std::ptrdiff_t>(quietest_cut(audio));
            std::vector<media::Sample> rest{audio.begin() + cut, audio.end()};
            audio.erase(audio.begin() + cut, audio.end());
            if (!decode_final(utterance, std::exchange(audio, std::move(rest)))) return;
        }
        if (shared_->config.partials) try_partial(utterance);
    }

    void end() {
        if (utterances_.empty() || utterances_.back().ended) return;
        auto& utterance = utterances_.back();
        utterance.ended = true;
        if (!decode_final(utterance, std::exchange(utterance.audio, {}))) return;
        finish_ready();
    }

    void cancel() {
        if (cancelled_ != nullptr) *cancelled_ = true;  // what waits in the inbox goes, too
        if (const auto utterance = find(serial_); utterance != utterances_.end()) drop(utterance);
    }

    static asio::awaitable<Result<SttEvent>> next(std::shared_ptr<Core> core) {
        for (;;) {
            auto item = co_await core->inbox_.pop();
            if (!item) co_return service_error(item.error());
            if (*item->cancelled) continue;
            co_return std::move(item->event);
        }
    }

private:
    using Job = std::shared_ptr<DecodeJob>;

    struct Piece {
        Job job;  ///< until its text is there
        std::string text;
    };
    struct Utterance {
        std::uint64_t serial{0};  ///< unique within the stream, unlike ids
        UtteranceId id;
        std::shared_ptr<bool> cancelled;   ///< shared with its events in the inbox
        std::vector<media::Sample> audio;  ///< not handed out for a final yet
        std::deque<Piece> pieces;
        bool ended{false};
        Job partial;
        std::size_t partial_at{0};  ///< audio.size() at the last partial
        LocalAgreement agreement;   ///< of the piece that is growing
        std::string shown;          ///< the last interim
    };
    struct Item {
        SttEvent event;
        std::shared_ptr<const bool> cancelled;
    };

    std::deque<Utterance>::iterator find(std::uint64_t serial) {
        return std::ranges::find(utterances_, serial, &Utterance::serial);
    }

    void drop(std::deque<Utterance>::iterator utterance) {
        for (auto& piece : utterance->pieces) {
            if (piece.job != nullptr) shared_->pool.forget(piece.job);
        }
        if (utterance->partial != nullptr) shared_->pool.forget(utterance->partial);
        utterances_.erase(utterance);
    }

    Job make_job(Kind kind, const Utterance& utterance, std::vector<media::Sample> audio) {
        const auto deadline =
            kind == Kind::final ? Clock::now() + shared_->config.deadline : TimePoint::max();
        auto job = std::make_shared<DecodeJob>(kind, call_, deadline);
        job->speech = measure_speech(audio, shared_->config.min_level_dbfs);
        const auto seconds = static_cast<int>((audio.size() + rate.hz - 1) / rate.hz);
        auto& parameters = job->parameters;
        parameters.language = language_;
        parameters.prompt = shared_->prompt;
        parameters.every_window = !shared_->config.hotwords.empty();
        parameters.threads = shared_->threads;
        parameters.max_tokens = 12 * seconds + 10;
        if (kind == Kind::final) {
            parameters.beam_size = shared_->config.beam_size;
            parameters.temperature_step = temperature_step;
        } else {
            constexpr int frames_per_second = 50;
            constexpr int margin = 64;
            parameters.audio_context =
                std::clamp(seconds * frames_per_second + margin, shortest_context, whole_context);
        }
        job->audio = std::move(audio);
        // Reports come from the pool, which is a part of `shared` and ends before it. An owner here
        // could be the last one, and the pool's thread would have to wait for itself.
        job->report = [weak = weak_from_this(),
                       link = link_,
                       &shared = *shared_,
                       serial = utterance.serial,
                       piece = utterance.pieces.size(
                       )](const DecodeJob& done, const Result<Decoded>& result) {
            auto text = text_of(shared, done, result);
            link->post([weak, serial, piece, &done, kind = done.kind, text = std::move(text)] {
                const auto core = weak.lock();
                if (core == nullptr) return;
                kind == Kind::final ? core->on_final(serial, piece, text)
                                    : core->on_partial(serial, piece, &done, text);
            });
        };
        return job;
    }

    /// Thread: a decoding one's.
    static Result<std::string> text_of(
        Shared& shared, const DecodeJob& job, const Result<Decoded>& decoded
    ) {
        if (!decoded) return decoded.error();
        auto verdict = shared.filter.after_decoding(*decoded, job.speech, job.parameters.prompt);
        if (verdict.dropped) shared.note_drop(*verdict.dropped, job.speech);
        return std::move(verdict.text);
    }

    /// False: the stream has failed.
    bool decode_final(Utterance& utterance, std::vector<media::Sample> audio) {
        utterance.partial_at = 0;
        utterance.agreement = {};
        if (utterance.partial != nullptr) {
            shared_->pool.forget(std::exchange(utterance.partial, nullptr));
        }
        auto job = make_job(Kind::final, utterance, std::move(audio));
        if (const auto reason = shared_->filter.before_decoding(job->speech)) {
            if (!job->audio.empty()) shared_->note_drop(*reason, job->speech);
            utterance.pieces.emplace_back();
            return true;
        }
        utterance.pieces.push_back({job, {}});
        if (!shared_->pool.submit(job)) {
            fail(make_error_code(ServiceErrc::overloaded));
            return false;
        }
        watch(job->deadline);
        return true;
    }

    void try_partial(Utterance& utterance) {
        const auto step = samples_in(shared_->config.partial_interval, rate);
        if (utterance.audio.size() < utterance.partial_at + step) return;
        utterance.partial_at = utterance.audio.size();
        auto job = make_job(Kind::partial, utterance, utterance.audio);
        if (shared_->filter.before_decoding(job->speech)) return;
        if (shared_->pool.submit(job)) utterance.partial = std::move(job);
    }

    void on_final(std::uint64_t serial, std::size_t piece, const Result<std::string>& text) {
        const auto utterance = find(serial);
        if (utterance == utterances_.end()) return;
        if (!text) return fail(text.error());
        utterance->pieces[piece] = {nullptr, *text};
        finish_ready();
    }

    /// `job` is only a name here: it may be gone.
    void on_partial(
        std::uint64_t serial,
        std::size_t piece,
        const DecodeJob* job,
        const Result<std::string>& hypothesis
    ) {
        const auto utterance = find(serial);
        if (utterance == utterances_.end()) return;
        if (utterance->partial.get() == job) utterance->partial.reset();
        if (hypothesis && piece == utterance->pieces.size()) show_partial(*utterance, *hypothesis);
    }

    void show_partial(Utterance& utterance, const std::string& hypothesis) {
        auto text = joined(utterance);
        const auto& stable = utterance.agreement.update(hypothesis);
        if (!text.empty() && !stable.empty()) text += ' ';
        text += stable;
        if (text.empty() || text == utterance.shown) return;
        utterance.shown = text;
        deliver(SttEvent::Kind::interim, utterance, std::move(text));
    }

    /// Utterances whose pieces are all there, in order.
    void finish_ready() {
        while (!utterances_.empty()) {
            auto& first = utterances_.front();
            const bool waits = std::ranges::any_of(first.pieces, [](const Piece& piece) {
                return piece.job != nullptr;
            });
            if (!first.ended || waits) return;
            deliver(SttEvent::Kind::final, first, joined(first));
            utterances_.pop_front();
        }
    }

    static std::string joined(const Utterance& utterance) {
        std::string text;
        for (const auto& piece : utterance.pieces) {
            if (!text.empty() && !piece.text.empty()) text += ' ';
            text += piece.text;
        }
        return text;
    }

    void deliver(SttEvent::Kind kind, const Utterance& utterance, std::string text) {
        Item item{
            {.kind = kind, .utterance = utterance.id, .text = std::move(text)},
            utterance.cancelled};
        if (kind == SttEvent::Kind::final) {
            inbox_.push_or_drop_oldest(std::move(item));
        } else if (inbox_.size() < inbox_bound) {
            inbox_.try_push(std::move(item));  // a reader this slow can miss an interim
        }
    }

    void fail(error_code error) {
        while (!utterances_.empty())
            drop(utterances_.begin());
        inbox_.close(error);
    }

    /// The pool's threads may all be busy at a deadline: the shard looks.
    void watch(TimePoint deadline) {
        if (watched_ && *watched_ <= deadline) return;
        watched_ = deadline;
        deadline_.expires_at(deadline);
        deadline_.async_wait([weak = weak_from_this()](const error_code& error) {
            const auto core = weak.lock();
            if (core == nullptr || error) return;
            core->watched_.reset();
            core->shared_->pool.expire();
            core->watch_the_next();
        });
    }

    void watch_the_next() {
        std::optional<TimePoint> next;
        for (const auto& utterance : utterances_) {
            for (const auto& piece : utterance.pieces) {
                if (piece.job == nullptr || piece.job->settled) continue;
                next = std::min(next.value_or(TimePoint::max()), piece.job->deadline);
            }
        }
        if (next) watch(*next);
    }

    const std::shared_ptr<ShardLink> link_;
    const std::shared_ptr<Shared> shared_;
    const std::string language_;
    const std::uint64_t call_;
    async::Mailbox<Item> inbox_;
    std::deque<Utterance> utterances_;  ///< begun, and their final not delivered
    std::uint64_t serial_{0};
    std::shared_ptr<bool> cancelled_;  ///< of the utterance begun last
    asio::steady_timer deadline_;
    std::optional<TimePoint> watched_;
};

class Stream final : public SttStream {
public:
    Stream(async::Shard& shard, std::shared_ptr<Shared> shared, std::string language)
        : core_{std::make_shared<Core>(shard, std::move(shared), std::move(language))} {}
    ~Stream() override { core_->close(); }

    void begin(UtteranceId utterance) noexcept override { core_->begin(utterance); }
    void push(media::FrameView audio) noexcept override { core_->push(audio.samples); }
    void end() noexcept override { core_->end(); }
    void cancel() noexcept override { core_->cancel(); }
    asio::awaitable<Result<SttEvent>> next() override { return Core::next(core_); }

private:
    const std::shared_ptr<Core> core_;
};

}  // namespace

FasterWhisperStt::FasterWhisperStt(
    std::shared_ptr<const WhisperEngine> engine, const FasterWhisperConfig& config
)
    : engine_{std::move(engine)},
      capabilities_{.input_rate = rate, .interim_results = config.partials, .endpointing = false} {
    const auto code = known_language(config.language);
    const bool fixed = !code.empty() && config.language != "agent";
    if (fixed && !engine_->knows_language(code)) {
        throw std::runtime_error{fmt::format(
            "[stt.faster-whisper] language: Whisper does not know '{}' (tr, en, …, auto, agent)",
            config.language
        )};
    }
    if (fixed && code != "en" && !engine_->multilingual()) {
        throw std::runtime_error{fmt::format(
            "[stt.faster-whisper] language: this model understands English only, not '{}'",
            config.language
        )};
    }
    if (config.beam_size < 1 || config.beam_size > 8) {
        throw std::runtime_error{"[stt.faster-whisper] beam_size: 1 to 8"};
    }
    shared_ = std::make_shared<Shared>(engine_, config);
}

FasterWhisperStt::~FasterWhisperStt() = default;

asio::awaitable<Result<std::unique_ptr<SttStream>>> FasterWhisperStt::open(
    async::Shard& shard, SttOptions options
) {
    const auto& setting = shared_->config.language;
    auto language = known_language(setting == "agent" ? options.language : setting);
    if (!engine_->multilingual() && language.empty()) language = "en";
    const bool known = language.empty() || (engine_->knows_language(language) &&
                                            (engine_->multilingual() || language == "en"));
    if (!known) {
        options.log.warn(
            "the Whisper model does not understand the agent's language",
            log::kv("language", language)
        );
        co_return make_error_code(ServiceErrc::configuration);
    }
    std::unique_ptr<SttStream> stream =
        std::make_unique<Stream>(shard, shared_, std::move(language));
    co_return stream;
}

const DecodeStats& FasterWhisperStt::stats() const noexcept { return shared_->pool.stats(); }
const DropStats& FasterWhisperStt::dropped() const noexcept { return shared_->dropped; }

std::vector<metrics::Count> FasterWhisperStt::counts() const {
    using Unit = metrics::Count::Unit;
    const DecodeStats& seen = stats();
    const auto seconds = [](std::uint64_t ms) { return static_cast<double>(ms) / 1000; };
    std::vector<metrics::Count> counts{
        {"finals", static_cast<double>(seen.finals)},
        {"partials", static_cast<double>(seen.partials)},
        {"refused", static_cast<double>(seen.refused)},
        {"late", static_cast<double>(seen.late)},
        {"failed", static_cast<double>(seen.failed)},
        {"hurried", static_cast<double>(seen.hurried)},
        {"skipped", static_cast<double>(seen.skipped)},
        {"superseded", static_cast<double>(seen.superseded)},
        {"aborted", static_cast<double>(seen.aborted)},
        {"decoded", seconds(seen.audio_ms), Unit::audio_seconds},
        {"decoding", seconds(seen.decode_ms), Unit::work_seconds},
        {"waiting", seconds(seen.wait_ms), Unit::work_seconds},
    };
    static constexpr std::array<std::string_view, drop_reasons.size()> names{
        "dropped_too_quiet",
        "dropped_too_short",
        "dropped_broken_text",
        "dropped_low_probability",
        "dropped_too_fast",
        "dropped_repetition",
        "dropped_known_phrase",
        "dropped_prompt_echo"};
    for (std::size_t i = 0; i < names.size(); ++i)
        counts.push_back({names[i], static_cast<double>(shared_->dropped[i])});
    return counts;
}

}  // namespace oavc::services::whisper
