// Twenty callers talk at the same time while each provider in turn is killed, frozen, slowed and
// restarted. Real adapters speak to fakes of their servers over loopback sockets; each kind has a
// fallback that works. What a caller notices is measured at his end of the line.
//
//     scripts/test --chaos                 OAVC_CHAOS_LOG=info shows each call's log

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "async/shard_pool.hpp"
#include "async/task_group.hpp"
#include "media/level.hpp"
#include "pipeline/manager.hpp"
#include "services/failover/failover_llm.hpp"
#include "services/failover/failover_stt.hpp"
#include "services/failover/failover_tts.hpp"
#include "services/failover/health.hpp"
#include "services/llm/llama.hpp"
#include "services/stt/vosk.hpp"
#include "services/tts/piper.hpp"
#include "support/comes_true.hpp"
#include "support/fake_llama.hpp"
#include "support/fake_piper.hpp"
#include "support/fake_services.hpp"
#include "support/fake_vosk.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace oavc {
namespace {

using namespace std::chrono_literals;
using services::CircuitBreaker;
using services::Provider;
using services::ServiceKind;

constexpr std::size_t calls = 20;
constexpr milliseconds deadline{1000};  ///< of each step of each provider
/// What a turn needs besides: endpointing, the fallback, and a busy machine under sanitizers.
constexpr milliseconds allowance{2500};
/// How long a provider is harmed: every caller speaks meanwhile.
constexpr auto fault_time = 4s;
/// How long a restarted server is away: as long as a step may take.
constexpr auto restart_time = 1s;
/// Between two calls' beginnings, so that callers do not speak in step.
constexpr milliseconds stagger{50};
/// Enough for every caller to speak twice on a busy machine.
constexpr auto turns_time = 30s;

constexpr std::string_view failure_sentence = "Something is wrong.";
constexpr std::string_view not_understood = "Pardon?";

/// What all callers noticed in one scenario. Thread: any.
class Ledger {
public:
    struct Totals {
        int turns{0};
        int failed{0};  ///< answered by an apology, or not at all
        milliseconds longest_silence{0};
    };
    void turn(bool failed, milliseconds silence) {
        const std::lock_guard lock{mutex_};
        ++all_turns_;
        ++totals_.turns;
        totals_.failed += failed ? 1 : 0;
        totals_.longest_silence = std::max(totals_.longest_silence, silence);
        turned_.notify_all();
    }
    /// Waits for so many turns from now on. False: they take longer than `limit`.
    bool wait_for_turns(std::size_t more, Clock::duration limit) {
        std::unique_lock lock{mutex_};
        return turned_.wait_for(lock, limit, [this, enough = all_turns_ + more] {
            return all_turns_ >= enough;
        });
    }
    Totals take() {
        const std::lock_guard lock{mutex_};
        return std::exchange(totals_, {});
    }

private:
    std::mutex mutex_;
    std::condition_variable turned_;
    std::size_t all_turns_{0};
    Totals totals_;
};

/// A caller on a telephone: speaks, listens to the whole answer, speaks again. Real time, by the
/// shard's tick. Thread: the shard's.
class Caller final : public transports::Transport, private async::TickClient {
public:
    Caller(async::Shard& shard, std::string name, Ledger& ledger, std::vector<Caller*>& all)
        : shard_{shard}, ledger_{ledger}, all_{all}, end_{shard.executor(), 4} {
        info_.via = "chaos";
        info_.native_id = std::move(name);
        info_.to = "100";
        all_.push_back(this);
    }
    ~Caller() override { std::erase(all_, this); }

    const transports::CallInfo& info() const noexcept override { return info_; }
    asio::awaitable<Result<void>> connect() override { co_return Result<void>{}; }
    asio::awaitable<void> reject(int, std::string) override { co_return; }
    const media::AudioFormat& format() const noexcept override { return format_; }
    asio::awaitable<transports::MediaEnd> receive_audio(transports::MediaSink& sink) override {
        sink_ = &sink;
        shard_.add_tick(*this);
        auto end = co_await end_.pop();
        shard_.remove_tick(*this);
        sink_ = nullptr;
        if (!end) co_return transports::MediaEnd{transports::EndReason::we_hung_up, "cancelled"};
        co_return std::move(*end);
    }
    std::size_t send_room() const noexcept override { return room_; }
    bool send_audio(media::FrameView frame) noexcept override {
        if (room_ == 0) return false;
        --room_;
        if (media::is_voiced(frame.samples) && state_ == State::listening) {
            hear();
        }
        return true;
    }
    milliseconds unheard() const noexcept override { return 0ms; }
    milliseconds clear_audio() noexcept override { return 0ms; }
    asio::awaitable<void> hang_up() override {
        finish(transports::EndReason::we_hung_up);
        co_return;
    }
    asio::awaitable<Result<void>> transfer(std::string) override {
        finish(transports::EndReason::transferred);
        co_return Result<void>{};
    }
    transports::MediaStats stats() const noexcept override { return {}; }

    void finish(transports::EndReason reason) { end_.try_push({reason, {}}); }
    void on_event(const pipeline::CallEvent& event) {
        using Kind = pipeline::CallEvent::Kind;
        if (event.kind == Kind::sentence) {
            apologised_ =
                apologised_ || event.text == failure_sentence || event.text == not_understood;
        }
        // A reply that was given up for an apology is "heard" too, interrupted.
        if (event.kind == Kind::heard && !event.interrupted && state_ == State::listening) {
            end_turn(apologised_);
        }
    }

private:
    enum class State { pausing, speaking, listening };

    void on_tick(TimePoint now) noexcept override {
        now_ = now;
        room_ = 1;
        const auto in_state = now - since_;
        if (state_ == State::pausing && in_state >= 300ms) {
            enter(State::speaking);
        } else if (state_ == State::speaking && in_state >= 600ms) {
            enter(State::listening);
            silent_since_ = now;
            longest_ = {};
            apologised_ = false;
        } else if (state_ == State::listening && in_state >= 20s) {
            end_turn(true);
        }
        std::array<media::Sample, 160> frame{};
        if (state_ == State::speaking) frame.fill(8000);
        sink_->on_frame({frame, format_.rate}, now, false);
        sink_->on_tick(now);
    }
    void hear() {
        longest_ = std::max(longest_, now_ - silent_since_);
        silent_since_ = now_;
    }
    void end_turn(bool failed) {
        hear();
        ledger_.turn(failed, std::chrono::duration_cast<milliseconds>(longest_));
        enter(State::pausing);
    }
    void enter(State state) {
        state_ = state;
        since_ = now_;
    }

    async::Shard& shard_;
    Ledger& ledger_;
    std::vector<Caller*>& all_;
    async::Mailbox<transports::MediaEnd> end_;
    transports::CallInfo info_;
    const media::AudioFormat format_;
    transports::MediaSink* sink_{nullptr};
    std::size_t room_{0};
    State state_{State::pausing};
    TimePoint now_{Clock::now()};
    TimePoint since_{now_};
    TimePoint silent_since_{};
    Clock::duration longest_{};
    bool apologised_{false};
};

class LoudnessVad final : public media::VadFactory {
    class Engine final : public media::VadEngine {
        SampleRate input_rate() const noexcept override { return narrowband; }
        media::VadDecisions process(media::FrameView frame) noexcept override {
            const bool loud = frame.samples.front() > 500;
            decision = {loud ? 1.0F : 0.0F, loud};
            return {&decision, 1};
        }
        void reset() noexcept override {}
        media::VadDecision decision;
    };

public:
    std::string_view name() const noexcept override { return "loudness"; }
    std::unique_ptr<media::VadEngine> make(SampleRate) const override {
        return std::make_unique<Engine>();
    }
};

class Telegraph final : public pipeline::CallObserver {
public:
    explicit Telegraph(std::vector<Caller*>& callers) : callers_{callers} {}
    void on_call_event(
        const SessionId&, const transports::CallInfo& info, const pipeline::CallEvent& event
    ) noexcept override {
        for (Caller* caller : callers_) {
            if (&caller->info() == &info) caller->on_event(event);
        }
    }

private:
    std::vector<Caller*>& callers_;
};

services::FailoverConfig limits(bool hedge) {
    services::FailoverConfig config;
    config.hedge = hedge;
    config.hedge_at_least = 100ms;
    config.final_transcript = deadline;
    config.first_token = deadline;
    config.next_token = deadline;
    config.first_audio = deadline;
    config.next_audio = deadline;
    config.breaker.open_for = 1s;
    config.breaker.longest_open = 2s;
    config.probe_interval = 500ms;
    return config;
}

pipeline::Config call_config() {
    pipeline::Config config;
    auto& agent = config.agents.front();
    agent.greeting.clear();
    agent.failure_sentence = failure_sentence;
    agent.not_understood = not_understood;
    config.interruption.enabled = false;
    config.turns.endpoint_silence = 200ms;
    config.vad.min_silence = 100ms;
    config.limits.max_calls = calls;
    return config;
}

/// The server under test, in parts, with a provider of each kind that can be harmed.
class World {
public:
    explicit World(bool hedge = false) : limits_{limits(hedge)} {
        log::Settings settings;
        settings.level = log::Level::error;
        if (const char* wanted = std::getenv("OAVC_CHAOS_LOG")) {
            log::parse_level(wanted, settings.level);
        }
        log::configure(settings);
        vosk.say_always("hello there");
        llama.model([](const std::string&) { return std::string{"Yes."}; });
        spare_ears->answers.assign(100'000, "hello there");
        spare_voice->caps.output_rate = narrowband;
        spare_voice->first_level = 5000;

        services::VoskConfig vosk_config;
        vosk_config.endpoint.url = vosk.url();
        services::LlamaConfig llama_config;
        llama_config.endpoint.url = llama.url();
        services::PiperConfig piper_config;
        piper_config.endpoint.url = piper.url();

        std::vector<services::Candidate<services::SttService>> ears;
        ears.push_back(
            watched(ServiceKind::stt, "vosk", std::make_unique<services::VoskStt>(vosk_config))
        );
        ears.push_back(watched(ServiceKind::stt, "spare", std::move(spare_ears_)));
        stt = std::make_unique<services::FailoverStt>(std::move(ears), limits_);

        std::vector<services::Candidate<services::LlmService>> minds;
        minds.push_back(
            watched(ServiceKind::llm, "llama", std::make_unique<services::LlamaLlm>(llama_config))
        );
        minds.push_back(watched(ServiceKind::llm, "spare", std::move(spare_mind_)));
        llm = std::make_unique<services::FailoverLlm>(std::move(minds), limits_);

        std::vector<services::Candidate<services::TtsService>> mouths;
        mouths.push_back(
            watched(ServiceKind::tts, "piper", std::make_unique<services::PiperTts>(piper_config))
        );
        mouths.push_back(watched(ServiceKind::tts, "spare", std::move(spare_voice_)));
        tts = std::make_unique<services::FailoverTts>(std::move(mouths), limits_);

        health.emplace(probes, limits_.probe_interval, shards[0], log::Logger{});
        manager.emplace(
            call_config(),
            pipeline::Services{*stt, *llm, *tts, vad},
            shards,
            std::vector<pipeline::CallObserver*>{&telegraph},
            log::Logger{}
        );
        shards.start();
        health->start();
        for (std::size_t i = 0; i < calls; ++i) {
            shards[0].post([this, i] { tasks.spawn(call(i)); });
            std::this_thread::sleep_for(stagger);
        }
    }
    ~World() {
        vosk.thaw();
        piper.thaw();
        llama.thaw();
        shards[0].post([this] {
            for (Caller* caller : std::vector<Caller*>{callers})
                caller->finish(transports::EndReason::caller_hung_up);
        });
        async::run_blocking(shards[0], tasks.join());
        health->stop();
        shards.drain_and_join();
    }

    asio::awaitable<void> call(std::size_t index) {
        auto caller =
            std::make_unique<Caller>(shards[0], "call-" + std::to_string(index), ledger, callers);
        auto carried = manager->run_call(shards[0], std::move(caller), *manager->admit({}));
        co_await std::move(carried);
        if (++ended == calls) last_ended.set_value();
    }

    template <class Service, class Made>
    services::Candidate<Service> watched_as(
        ServiceKind kind, const std::string& name, std::unique_ptr<Made> made
    ) {
        Provider::Identity identity{kind, name, name == "spare", ""};
        auto provider = std::make_shared<Provider>(std::move(identity), limits_.breaker, &metrics);
        auto probe = [asked = made.get()](async::Shard& shard) { return asked->probe(shard); };
        probes.push_back({provider, std::move(probe)});
        return {std::move(made), std::move(provider)};
    }
    services::Candidate<services::SttService> watched(
        ServiceKind kind, const std::string& name, std::unique_ptr<services::SttService> made
    ) {
        return watched_as<services::SttService>(kind, name, std::move(made));
    }
    services::Candidate<services::LlmService> watched(
        ServiceKind kind, const std::string& name, std::unique_ptr<services::LlmService> made
    ) {
        return watched_as<services::LlmService>(kind, name, std::move(made));
    }
    services::Candidate<services::TtsService> watched(
        ServiceKind kind, const std::string& name, std::unique_ptr<services::TtsService> made
    ) {
        return watched_as<services::TtsService>(kind, name, std::move(made));
    }

    Provider& provider(const std::string& name) {
        for (const auto& probe : probes) {
            if (probe.provider->identity().name == name) return *probe.provider;
        }
        std::abort();
    }

    const services::FailoverConfig limits_;
    test::FakeVosk vosk;
    test::FakeLlama llama;
    test::FakePiper piper;
    std::unique_ptr<services::FakeStt> spare_ears_{std::make_unique<services::FakeStt>()};
    services::FakeStt* spare_ears{spare_ears_.get()};
    std::unique_ptr<services::FakeLlm> spare_mind_{std::make_unique<services::FakeLlm>()};
    services::FakeLlm* spare_mind{spare_mind_.get()};
    std::unique_ptr<services::FakeTts> spare_voice_{std::make_unique<services::FakeTts>()};
    services::FakeTts* spare_voice{spare_voice_.get()};
    metrics::Registry metrics;
    std::vector<services::Watched> probes;
    async::ShardPool shards{1};
    LoudnessVad vad;
    Ledger ledger;
    std::vector<Caller*> callers;
    Telegraph telegraph{callers};
    std::unique_ptr<services::SttService> stt;
    std::unique_ptr<services::LlmService> llm;
    std::unique_ptr<services::TtsService> tts;
    std::optional<services::HealthMonitor> health;
    std::optional<pipeline::PipelineManager> manager;
    async::TaskGroup tasks{shards[0].executor(), [](std::exception_ptr error) {
                               std::rethrow_exception(std::move(error));
                           }};
    std::atomic<std::size_t> ended{0};
    std::promise<void> last_ended;
};

/// What is done to a provider, and undone.
struct Fault {
    std::string provider;
    std::string what;
    std::function<void()> harm;
    std::function<void()> heal;
    bool breaks;  ///< its breaker has to open
};

/// Waits until a provider's breaker is in `state`. False: it is not within `limit`.
bool comes_to(CircuitBreaker::State state, const Provider& provider, Clock::duration limit) {
    return test::comes_true([&] { return provider.snapshot().breaker == state; }, limit);
}

void print_row(
    std::string_view provider,
    std::string_view fault,
    const auto& running,
    const auto& turns,
    const auto& failed,
    const auto& silence,
    std::string_view opened = "-",
    std::string_view closed = "-"
) {
    fmt::print(
        "{:<8} {:<16} {:>6} {:>6} {:>7} {:>11} {:>10} {:>10}\n",
        provider,
        fault,
        running,
        turns,
        failed,
        silence,
        opened,
        closed
    );
    std::fflush(stdout);
}

/// Prints what the callers noticed since the last report, and holds it to what was promised.
void report(
    World& world,
    std::string_view provider,
    std::string_view fault,
    std::string_view opened = "-",
    std::string_view closed = "-"
) {
    const auto totals = world.ledger.take();
    print_row(
        provider,
        fault,
        calls - world.ended,
        totals.turns,
        totals.failed,
        totals.longest_silence.count(),
        opened,
        closed
    );
    EXPECT_EQ(world.ended, 0u) << provider << ' ' << fault << ": calls ended";
    EXPECT_EQ(totals.failed, 0) << provider << ' ' << fault;
    EXPECT_GE(totals.turns, static_cast<int>(calls)) << provider << ' ' << fault;
    EXPECT_LE(totals.longest_silence, deadline + allowance) << provider << ' ' << fault;
}

std::string since(TimePoint then) { return fmt::format("{:.0f}", to_ms(Clock::now() - then)); }

TEST(Chaos, CallsSurviveWhateverHappensToAProvider) {
    World world;
    const auto restart = [](auto& server) {
        server.stop();
        std::this_thread::sleep_for(restart_time);
        server.start();
    };
    constexpr milliseconds slow{500};  // within the deadline: nobody is to be blamed
    const std::vector<Fault> faults{
        {"vosk", "killed", [&] { world.vosk.stop(); }, [&] { world.vosk.start(); }, true},
        {"vosk", "frozen", [&] { world.vosk.freeze(); }, [&] { world.vosk.thaw(); }, true},
        {"vosk",
         "slowed",
         [&] { world.vosk.delay_finals(slow); },
         [&] { world.vosk.delay_finals(0ms); },
         false},
        {"vosk", "restarted", [&] { restart(world.vosk); }, [] {}, false},
        {"llama", "killed", [&] { world.llama.stop(); }, [&] { world.llama.start(); }, true},
        {"llama", "frozen", [&] { world.llama.freeze(); }, [&] { world.llama.thaw(); }, true},
        {"llama",
         "slowed",
         [&] { world.llama.trouble({.delay = slow}); },
         [&] { world.llama.trouble({}); },
         false},
        {"llama", "restarted", [&] { restart(world.llama); }, [] {}, false},
        {"piper", "killed", [&] { world.piper.stop(); }, [&] { world.piper.start(); }, true},
        {"piper", "frozen", [&] { world.piper.freeze(); }, [&] { world.piper.thaw(); }, true},
        {"piper",
         "slowed",
         [&] { world.piper.trouble({.delay = slow}); },
         [&] { world.piper.trouble({}); },
         false},
        {"piper", "restarted", [&] { restart(world.piper); }, [] {}, false},
    };

    print_row(
        "provider", "fault", "calls", "turns", "failed", "silence ms", "opened ms", "closed ms"
    );
    EXPECT_TRUE(world.health->wait_for_first_answers(10s));
    EXPECT_TRUE(world.ledger.wait_for_turns(2 * calls, turns_time));
    report(world, "-", "none");

    for (const auto& fault : faults) {
        using State = CircuitBreaker::State;
        const Provider& provider = world.provider(fault.provider);
        const auto harmed = Clock::now();
        fault.harm();
        std::string opened = "-";
        if (fault.breaks) {
            if (comes_to(State::open, provider, fault_time + 6s)) {
                opened = since(harmed);
            } else {
                ADD_FAILURE() << fault.provider << ' ' << fault.what
                              << ": the breaker stays closed";
            }
        }
        std::this_thread::sleep_until(harmed + fault_time);
        const auto healed = Clock::now();
        fault.heal();
        const bool was_closed = provider.snapshot().breaker == State::closed;
        EXPECT_TRUE(comes_to(State::closed, provider, 20s))
            << fault.provider << ' ' << fault.what << ": the breaker stays open";
        const auto closed = was_closed ? std::string{"-"} : since(healed);
        // The first provider serves everybody again.
        EXPECT_TRUE(world.ledger.wait_for_turns(calls, turns_time));
        report(world, fault.provider, fault.what, opened, closed);
    }
    EXPECT_TRUE(world.health->usable());
}

TEST(Chaos, HedgingHidesAProviderThatIsMerelySlow) {
    World world{true};
    EXPECT_TRUE(world.ledger.wait_for_turns(2 * calls, turns_time)) << "what is usual is unknown";
    report(world, "-", "none, hedged");
    constexpr milliseconds slow{900};
    const auto hedges = [&](const std::string& kind) {
        return world.metrics
            .counter(
                "oavc_provider_hedges_total",
                "Turns in which this provider was asked too because the first was late.",
                {{"kind", kind}, {"provider", "spare"}, {"outcome", "won"}}
            )
            .value();
    };
    world.llama.trouble({.delay = slow});
    std::this_thread::sleep_for(fault_time);
    world.llama.trouble({});
    EXPECT_GT(hedges("llm"), 0);
    report(world, "llama", "slowed, hedged");
    world.piper.trouble({.delay = slow});
    std::this_thread::sleep_for(fault_time);
    world.piper.trouble({});
    EXPECT_GT(hedges("tts"), 0);
    report(world, "piper", "slowed, hedged");
}

TEST(Chaos, WhenEverythingIsDownEveryCallerIsToldAndLetGo) {
    World world;
    EXPECT_TRUE(world.ledger.wait_for_turns(2 * calls, turns_time));
    report(world, "-", "none");
    const auto harmed = Clock::now();
    world.llama.stop();
    world.shards[0].post([&] {
        world.spare_mind->fallback.events.clear();
        world.spare_mind->fallback.failure = services::ServiceErrc::unavailable;
    });
    EXPECT_EQ(world.last_ended.get_future().wait_for(30s), std::future_status::ready);
    const auto totals = world.ledger.take();
    print_row(
        "llm",
        "all down, gone " + since(harmed),
        calls - world.ended,
        totals.turns,
        totals.failed,
        totals.longest_silence.count()
    );
    EXPECT_EQ(totals.failed, static_cast<int>(calls)) << "each hears the apology, once";
    EXPECT_LE(totals.longest_silence, deadline + allowance);
}

}  // namespace
}  // namespace oavc
