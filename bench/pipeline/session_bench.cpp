// What one call costs above its transport and below its services: ns per 20 ms frame in and out
// (voice detection, turn machine, playout), allocations per frame, bytes per idle call.

#define OAVC_ALLOC_GUARD_IMPLEMENTATION
#include "benchmark/benchmark.h"
#include "media/vad_webrtc.hpp"
#include "pipeline/session.hpp"
#include "support/alloc_guard.hpp"
#include "support/fake_services.hpp"
#include "support/fake_transport.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <malloc.h>

#include <memory>
#include <random>
#include <vector>

namespace {

using namespace oavc;

std::size_t heap_bytes() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

asio::awaitable<void> run_session(pipeline::Session* session) { co_await session->run(); }

/// Calls whose callers are silent (the usual state of a telephone line in one direction).
struct Calls {
    async::Shard shard{0};
    services::FakeStt stt;
    services::FakeLlm llm;
    services::FakeTts tts;
    std::shared_ptr<const media::VadFactory> vad;
    pipeline::Config config;
    pipeline::AgentConfig agent;
    pipeline::PhraseCache phrases;
    TimePoint now{};
    std::vector<std::unique_ptr<transports::FakeCall>> calls;
    std::vector<std::unique_ptr<pipeline::Session>> sessions;

    explicit Calls(std::size_t count) {
        media::VadConfig engine;
        engine.engine = "webrtc";
        vad = *media::make_vad_factory(engine);
        log::configure({.level = log::Level::error});
        agent.greeting.clear();
        config.turns.idle_prompt = std::chrono::hours{1'000};
        config.limits.max_call_duration = std::chrono::hours{1'000};
        for (std::size_t i = 0; i < count; ++i)
            calls.push_back(std::make_unique<transports::FakeCall>());
    }

    void start() {
        for (auto& call : calls) {
            pipeline::SessionContext context{
                config,
                agent,
                pipeline::Services{stt, llm, tts, *vad},
                phrases,
                {},
                log::Logger{},
                [this] { return now; },
            };
            sessions.push_back(std::make_unique<pipeline::Session>(
                shard, std::make_unique<transports::FakeTransport>(*call, shard), std::move(context)
            ));
            asio::co_spawn(shard.context(), run_session(sessions.back().get()), asio::detached);
        }
        shard.context().poll();
    }

    ~Calls() {
        for (auto& call : calls)
            call->finish(transports::EndReason::caller_hung_up);
        shard.context().restart();
        shard.context().poll();
    }
};

void idle_call(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    Calls all{count};
    const auto before = heap_bytes();
    all.start();
    const auto used = heap_bytes() - before;

    // Line noise of a quiet room, different in every frame.
    std::mt19937 random{1};
    std::vector<media::Sample> frame(160);
    std::normal_distribution<float> noise{0, 20};
    for (auto& s : frame)
        s = static_cast<media::Sample>(noise(random));
    for (int i = 0; i < 100; ++i) {  // every buffer has its size then
        all.now += frame_time;
        for (auto& call : all.calls) {
            call->now = all.now;
            call->frame(frame);
            call->sink->on_tick(all.now);
        }
    }
    const auto allocations = test::allocations();
    std::uint64_t frames = 0;
    for (auto _ : state) {
        all.now += frame_time;
        for (auto& call : all.calls) {
            call->now = all.now;
            call->frame(frame);
            call->sink->on_tick(all.now);
            ++frames;
        }
    }
    const auto allocated = test::allocations() - allocations;
    state.counters["ns_per_frame"] = benchmark::Counter(
        static_cast<double>(frames), benchmark::Counter::kIsRate | benchmark::Counter::kInvert
    );
    state.counters["allocs_per_frame"] =
        static_cast<double>(allocated) / static_cast<double>(frames);
    state.counters["bytes_per_call"] = static_cast<double>(used) / static_cast<double>(count);
}
BENCHMARK(idle_call)->Arg(1)->Arg(200);

}  // namespace
