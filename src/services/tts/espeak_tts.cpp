#include "services/tts/espeak_tts.hpp"

#include "base/sentence.hpp"
#include "services/errors.hpp"
#include "services/tts/detail/audio_relay.hpp"
#include "services/tts/detail/child_process.hpp"
#include "services/tts/detail/plain_text.hpp"
#include "services/tts/detail/wav_stream.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace oavc::services {

namespace {

/// It makes speech 1000 times faster than real time: when nothing comes for this long, it hangs.
constexpr auto longest_silence = 5s;
/// How often a thread that reads looks whether anybody still listens.
constexpr milliseconds glance{20};
constexpr std::size_t most_waiting = 256;

bool is_voice_name(std::string_view voice) noexcept {
    constexpr std::size_t longest = 60;
    return !voice.empty() && voice.size() <= longest && voice.front() != '-' &&
           std::all_of(voice.begin(), voice.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '+' || c == '/';
           });
}

/// UTF-8 text on standard input, a WAV file on standard output.
std::vector<std::string> command_line(const EspeakConfig& config, const std::string& voice) {
    const auto speed = std::clamp(config.words_per_minute, 80, 450);
    return {
        config.command, "--stdin", "--stdout", "-b", "1", "-s", std::to_string(speed), "-v", voice};
}

}  // namespace

/// The threads, each with at most one process, and the sentences that wait for them.
class EspeakWorkers {
public:
    explicit EspeakWorkers(const EspeakConfig& config) : config_{config} {
        const auto count = std::clamp<std::size_t>(config.processes, 1, 64);
        for (std::size_t i = 0; i < count; ++i) {
            threads_.emplace_back([this] {
                ::pthread_setname_np(::pthread_self(), "espeak");
                run();
            });
        }
    }
    EspeakWorkers(const EspeakWorkers&) = delete;
    EspeakWorkers& operator=(const EspeakWorkers&) = delete;
    ~EspeakWorkers() {
        {
            const std::lock_guard lock{mutex_};
            stopping_ = true;
        }
        filled_.notify_all();
        for (auto& thread : threads_)
            thread.join();
    }

    struct Sentence {
        std::string text;
        std::string voice;
        std::shared_ptr<AudioRelay> relay;
    };

    bool try_submit(Sentence sentence) {
        {
            const std::lock_guard lock{mutex_};
            // What nobody waits for any more makes room first.
            std::erase_if(sentences_, [](const auto& s) { return s.relay->cancelled(); });
            if (sentences_.size() >= most_waiting) {
                ++stats.refused;
                return false;
            }
            sentences_.push_back(std::move(sentence));
        }
        filled_.notify_one();
        return true;
    }

    EspeakTts::Stats stats;

private:
    void run() {
        std::optional<ChildProcess> ahead;
        std::string ahead_voice;
        for (;;) {
            std::unique_lock lock{mutex_};
            filled_.wait(lock, [this] { return stopping_ || !sentences_.empty(); });
            if (stopping_) return;
            auto sentence = std::move(sentences_.front());
            sentences_.pop_front();
            lock.unlock();

            if (sentence.relay->cancelled()) continue;
            std::optional<ChildProcess> process;
            if (ahead && ahead_voice == sentence.voice)
                process = std::exchange(ahead, std::nullopt);
            const auto outcome = synthesize(sentence, std::move(process));
            sentence.relay->finish(outcome);
            if (outcome != ServiceErrc::end_of_stream) continue;
            if (auto next = start(sentence.voice)) {
                ahead = std::move(*next);
                ahead_voice = sentence.voice;
            }
        }
    }

    Result<ChildProcess> start(const std::string& voice) {
        ++stats.started;
        return ChildProcess::start(command_line(config_, voice));
    }

    error_code synthesize(const Sentence& sentence, std::optional<ChildProcess> process) {
        const auto text = to_plain_utf8(sentence.text);
        if (!has_words(text)) return make_error_code(ServiceErrc::end_of_stream);
        // The one started ahead may have ended since.
        if (!process || !process->give_input(text)) {
            auto started = start(sentence.voice);
            if (!started) return make_error_code(ServiceErrc::unavailable);
            process = std::move(*started);
            if (!process->give_input(text)) return make_error_code(ServiceErrc::unavailable);
        }
        WavStream wav;
        std::vector<media::Sample> samples;
        std::array<std::byte, 16'384> buffer{};
        auto heard_at = Clock::now();
        for (;;) {
            if (sentence.relay->cancelled() || stopping()) {
                ++stats.killed;  // by the process's destructor
                return make_error_code(ServiceErrc::cancelled);
            }
            const auto got = process->read(buffer, glance);
            if (!got) return make_error_code(ServiceErrc::unavailable);
            if (!*got) {
                if (Clock::now() - heard_at < longest_silence) continue;
                ++stats.killed;
                return make_error_code(ServiceErrc::timed_out);
            }
            if (**got == 0) break;
            heard_at = Clock::now();
            samples.clear();
            if (!wav.feed(std::span{buffer}.first(**got), samples)) {
                return make_error_code(ServiceErrc::protocol);
            }
            if (!samples.empty()) sentence.relay->send(samples, wav.rate());
        }
        const bool well = process->finish(1s) == 0 && wav.in_audio();
        // It ends with an error when it has no such voice.
        return make_error_code(well ? ServiceErrc::end_of_stream : ServiceErrc::configuration);
    }

    bool stopping() {
        const std::lock_guard lock{mutex_};
        return stopping_;
    }

    const EspeakConfig config_;
    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<Sentence> sentences_;
    bool stopping_{false};
    std::vector<std::thread> threads_;
};

namespace {

class EspeakSession final : public TtsSession {
public:
    EspeakSession(async::Shard& shard, std::shared_ptr<EspeakWorkers> workers, std::string voice)
        : shard_{shard}, workers_{std::move(workers)}, voice_{std::move(voice)} {}

    std::unique_ptr<TtsReply> speak(std::string text) override {
        auto reply = std::make_unique<RelayReply>(shard_);
        EspeakWorkers::Sentence sentence{std::move(text), voice_, reply->relay()};
        if (!workers_->try_submit(std::move(sentence))) {
            reply->fail(make_error_code(ServiceErrc::overloaded));
        }
        return reply;
    }

private:
    async::Shard& shard_;
    const std::shared_ptr<EspeakWorkers> workers_;
    const std::string voice_;
};

}  // namespace

std::string espeak_voice_for(std::string_view language) {
    std::string tag{language};
    for (auto& c : tag) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (c == '_') c = '-';
    }
    constexpr std::array<std::string_view, 6> regional{
        "en-us", "en-gb", "pt-br", "es-419", "fr-be", "fr-ch"};
    if (std::find(regional.begin(), regional.end(), tag) != regional.end()) return tag;
    tag = tag.substr(0, tag.find('-'));
    if (tag == "zh") return "cmn";
    if (tag == "no") return "nb";
    return tag.empty() ? "en" : tag;
}

EspeakTts::EspeakTts(const EspeakConfig& config) : config_{config} {
    if (find_program(config.command).empty()) {
        throw std::runtime_error{fmt::format(
            "[tts.espeak-ng] command: '{}' was not found; install the package espeak-ng or give "
            "its path",
            config.command
        )};
    }
    if (!config.voice.empty()) {
        bool speaks = is_voice_name(config.voice);
        if (speaks) {
            auto process = ChildProcess::start(command_line(config, config.voice));
            // One that has ended already, for want of the voice, takes no input.
            speaks = process && process->give_input(" ") && process->finish(2s) == 0;
        }
        if (!speaks) {
            throw std::runtime_error{fmt::format(
                "[tts.espeak-ng] voice: there is no '{}'; `{} --voices` lists them",
                config.voice,
                config.command
            )};
        }
    }
    workers_ = std::make_shared<EspeakWorkers>(config_);
}

EspeakTts::~EspeakTts() = default;

const EspeakTts::Stats& EspeakTts::stats() const noexcept { return workers_->stats; }

asio::awaitable<Result<std::unique_ptr<TtsSession>>> EspeakTts::open(
    async::Shard& shard, TtsOptions options
) {
    auto voice = !options.voice.empty()   ? options.voice
                 : !config_.voice.empty() ? config_.voice
                                          : espeak_voice_for(options.language);
    if (!is_voice_name(voice)) co_return make_error_code(ServiceErrc::configuration);
    std::unique_ptr<TtsSession> session =
        std::make_unique<EspeakSession>(shard, workers_, std::move(voice));
    co_return session;
}

std::vector<metrics::Count> EspeakTts::counts() const {
    const Stats& seen = stats();
    return {
        {"processes_started", static_cast<double>(seen.started)},
        {"processes_killed", static_cast<double>(seen.killed)},
        {"refused", static_cast<double>(seen.refused)},
    };
}

}  // namespace oavc::services
