#pragma once

#include "pipeline/session.hpp"
#include "support/fake_services.hpp"
#include "support/fake_transport.hpp"
#include "transports/errors.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace oavc::pipeline {

/// Hears speech in whatever is loud: decides on each frame by itself.
class LoudnessVad final : public media::VadFactory {
    class Engine final : public media::VadEngine {
        SampleRate input_rate() const noexcept override { return narrowband; }
        media::VadDecisions process(media::FrameView frame) noexcept override {
            const bool loud = std::any_of(frame.samples.begin(), frame.samples.end(), [](auto s) {
                return std::abs(s) > 500;
            });
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

class EventRecorder final : public CallObserver {
public:
    std::vector<CallEvent> events;
    std::string from;  ///< as observers see it
    std::string to;
    void on_call_event(
        const SessionId&, const transports::CallInfo& info, const CallEvent& e
    ) noexcept override {
        from = info.from;
        to = info.to;
        events.push_back(e);
    }
    std::vector<std::string> texts(CallEvent::Kind kind) const {
        std::vector<std::string> found;
        for (const auto& e : events) {
            if (e.kind == kind) found.push_back(e.text);
        }
        return found;
    }
    const CallEvent* last(CallEvent::Kind kind) const {
        const CallEvent* found = nullptr;
        for (const auto& e : events) {
            if (e.kind == kind) found = &e;
        }
        return found;
    }
};

/// A whole call on virtual time: a caller who is loud or silent, and services in the test's hand.
class SessionTest : public testing::Test {
protected:
    async::Shard shard{0};
    services::FakeStt stt;
    services::FakeLlm llm;
    services::FakeTts tts;
    LoudnessVad vad;
    Config config;
    AgentConfig agent;
    PhraseCache phrases;
    EventRecorder recorder;
    transports::FakeCall call;
    const Telemetry* telemetry{nullptr};
    services::TtsService* voice{&tts};
    std::unique_ptr<Session> session;
    bool over{false};
    TimePoint last_loud{};

    SessionTest() {
        agent.greeting.clear();
        tts.caps.output_rate = narrowband;  // samples reach the wire unchanged
        config.vad.min_silence = 300ms;
    }
    ~SessionTest() override {
        if (!over && session) {
            call.finish(transports::EndReason::caller_hung_up);
            run(200ms);
        }
        EXPECT_TRUE(over) << "the session did not end";
        session.reset();
        EXPECT_EQ(stt.open_streams, 0u);
        EXPECT_EQ(llm.open_sessions, 0u);
        EXPECT_EQ(llm.open_replies, 0u);
        EXPECT_EQ(tts.open_sessions, 0u);
        EXPECT_EQ(tts.open_replies, 0u);
        EXPECT_EQ(stt.pushes_outside_utterance, 0u);
        EXPECT_EQ(call.open_transports, 0u);
    }

    static asio::awaitable<void> run_session(Session* session, bool* over) {
        co_await session->run();
        *over = true;
    }

    void poll() {
        shard.context().restart();
        shard.context().poll();
    }

    void start() {
        observers_ = {&recorder};
        SessionContext context{
            config,
            agent,
            Services{stt, llm, *voice, vad},
            phrases,
            observers_,
            log::Logger{},
            [this] { return call.now; },
            telemetry,
        };
        session = std::make_unique<Session>(
            shard, std::make_unique<transports::FakeTransport>(call, shard), std::move(context)
        );
        asio::co_spawn(shard.context(), run_session(session.get(), &over), asio::detached);
        poll();
    }

    /// Time passes in frames: the caller is loud or silent, the wire ticks, coroutines run.
    void run(milliseconds duration, bool loud = false) {
        const std::vector<media::Sample> frame(call.format.samples_per_frame(), loud ? 8000 : 0);
        for (milliseconds t{0}; t < duration; t += frame_time) {
            call.now += frame_time;
            call.frame(frame);
            if (loud) last_loud = call.now;
            call.tick();
            poll();
        }
    }

    /// Time passes without a sound from the other side.
    void wire_only(milliseconds duration) {
        for (milliseconds t{0}; t < duration; t += frame_time) {
            call.now += frame_time;
            call.tick();
            poll();
        }
    }

    /// The caller says something that is recognised as `text`; we are about to reply.
    void ask(std::string text, milliseconds length = 1s) {
        stt.answers.push_back(std::move(text));
        run(length, true);
        run(500ms);
    }

    /// The caller presses keys, 200 ms apart.
    void press(std::string_view keys) {
        for (const char key : keys) {
            call.sink->on_digit(key, transports::DigitSource::sip_info);
            run(200ms);
        }
    }

    std::size_t heard_of(std::size_t reply) const {
        const auto level = tts.level_of(reply);
        return static_cast<std::size_t>(std::count(call.heard.begin(), call.heard.end(), level));
    }

private:
    std::vector<CallObserver*> observers_;
};

}  // namespace oavc::pipeline
