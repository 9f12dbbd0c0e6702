#pragma once

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "observability/log.hpp"
#include "observability/metrics.hpp"
#include "observability/trace.hpp"
#include "pipeline/events.hpp"
#include "services/llm/llm.hpp"
#include "transports/transport.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace oavc::pipeline {

/// What all calls together are measured by, and where their spans go. One per process, borrowed by
/// every call; without one nothing is counted. Labels are closed sets: carrier, direction, outcome,
/// stage. Thread: any.
class Telemetry {
public:
    /// `tracer` may be null: no traces. Both outlive us.
    explicit Telemetry(metrics::Registry& registry, const trace::Tracer* tracer = nullptr);
    Telemetry(const Telemetry&) = delete;
    Telemetry& operator=(const Telemetry&) = delete;

private:
    friend class CallTelemetry;

    static constexpr std::array<std::string_view, 4> carriers{"opensips", "sip", "twilio", "other"};
    static constexpr std::array outcomes{
        transports::EndReason::caller_hung_up,
        transports::EndReason::we_hung_up,
        transports::EndReason::transferred,
        transports::EndReason::cancelled,
        transports::EndReason::media_timeout,
        transports::EndReason::carrier_lost,
        transports::EndReason::protocol_error,
        transports::EndReason::busy,
        transports::EndReason::not_answered,
        transports::EndReason::refused};
    using ByOutcome = std::array<metrics::Counter, outcomes.size()>;

    static constexpr std::size_t media_events = 7;

    /// Of the calls of one carrier.
    struct Carrier {
        ByOutcome ended_in;
        ByOutcome ended_out;
        metrics::Histogram setup;
        metrics::Histogram duration;
        std::array<metrics::Counter, media_events> media;  ///< as MediaStats has them
    };
    const trace::Tracer* const tracer_;
    std::array<Carrier, carriers.size()> carriers_;
    metrics::Histogram heard_;
    metrics::Histogram answer_;                 ///< of it: what comes after endpointing
    std::array<metrics::Histogram, 5> stages_;  ///< as TurnLatency has them
    metrics::Histogram barge_in_;
    metrics::Counter replies_complete_;
    metrics::Counter replies_interrupted_;
    metrics::Histogram loss_;
    metrics::Histogram jitter_;
    metrics::Histogram mos_;
    metrics::Histogram round_trip_;
};

/// One call as its numbers and its spans tell it, from the same stamps: call → turn → stt, llm,
/// tts. Owner: the Session. Thread: its shard. Nothing of it is for the per-packet path: what
/// happens per packet is counted by the transport and taken over now and then, and at the end.
class CallTelemetry {
public:
    /// `telemetry` may be null. `now` is the media clock. All outlive the call.
    CallTelemetry(
        const Telemetry* telemetry,
        const transports::CallInfo& call,
        const std::function<TimePoint()>& now
    );
    CallTelemetry(const CallTelemetry&) = delete;
    CallTelemetry& operator=(const CallTelemetry&) = delete;

    /// `log` with the trace's id, if there is a trace.
    log::Logger name_trace(const log::Logger& log) const;
    /// For the handshakes of the call's connections to its services; empty: no trace.
    std::string traceparent() const { return trace::to_traceparent(context_); }

    void on_started(const SessionId& session, std::string_view agent, TimePoint now);
    void on_answered(TimePoint now);
    /// How often on_media() makes sense: metrics are read about as often.
    static constexpr Clock::duration media_period = std::chrono::seconds{5};
    /// What the transport has counted since the call began.
    void on_media(const transports::MediaStats& media);
    void on_ended(transports::EndReason reason, const transports::MediaStats& media, TimePoint now);

    // A turn: from the caller's first sound to the end of our answer.
    void on_speech(TimePoint onset);
    void on_speech_dropped() { heard_.reset(); }  ///< it was no turn
    void on_speech_ended(TimePoint last_voiced);
    /// The turn is ours to answer. Who heard it is `by`, of `service` unless that says more.
    void on_turn(
        std::uint32_t number, const services::Served& by, std::string_view service, TimePoint now
    );
    /// The first voiced sample of the answer leaves.
    void on_answer_heard(const TurnLatency& latency, TimePoint now);
    void on_barge_in(microseconds reaction);
    void on_reply_ended(bool interrupted, TimePoint now);

    /// A request to a service, from its making to its destruction.
    class Request {
    public:
        Request(Request&& other) noexcept;
        Request& operator=(Request&&) = delete;
        ~Request();

        /// For the server that answers; empty: no trace.
        std::string traceparent() const { return trace::to_traceparent(span_.context); }
        /// The first token or audio came, from `by`, of `service` unless that says more. Later
        /// ones change nothing.
        void on_first(std::string_view what, const services::Served& by, std::string_view service);
        void on_failed(const error_code& error) { span_.problem = error.message(); }

    private:
        friend class CallTelemetry;
        Request(CallTelemetry& call, trace::Span span) : call_{&call}, span_{std::move(span)} {}

        CallTelemetry* call_;  ///< null: moved away
        trace::Span span_;
    };
    Request ask_model();
    Request ask_voice();

private:
    struct Turn {
        trace::Span span;
        trace::Span stt;
    };

    bool kept() const noexcept { return context_.sampled; }
    std::chrono::system_clock::time_point wall(TimePoint time) const;
    trace::Span below(const trace::Context& parent, std::string_view name, TimePoint start) const;
    void finish(trace::Span span, TimePoint end) const;
    void finish_turn();
    Request request(std::string_view name, std::string_view operation);

    const Telemetry* const telemetry_;
    const transports::CallInfo& call_;
    const std::function<TimePoint()>& now_;
    const Telemetry::Carrier* const carrier_;
    TimePoint began_{};
    std::optional<TimePoint> answered_;
    /// What of the call's packets is in the metrics; as Telemetry::Carrier::media has them.
    std::array<std::uint64_t, Telemetry::media_events> told_{};
    // The trace. Invalid: there is none.
    trace::Context context_;
    trace::SpanId parent_{};
    std::chrono::system_clock::time_point wall_began_{};
    trace::Span span_;
    std::optional<Turn> heard_;  ///< what the caller is saying
    std::optional<Turn> turn_;   ///< the one that we answer
    TimePoint turn_end_{};       ///< as far as known
    std::uint32_t turns_{0};
};

}  // namespace oavc::pipeline
