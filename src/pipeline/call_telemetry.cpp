#include "pipeline/call_telemetry.hpp"

#include "observability/log_fields.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace oavc::pipeline {

namespace {

template <class Rep, class Period>
double seconds(std::chrono::duration<Rep, Period> time) {
    return std::chrono::duration<double>(time).count();
}

const std::vector<double> setup_seconds{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5};
const std::vector<double> call_seconds{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600};
/// Fine where our own time is: a frame is 20 ms.
const std::vector<double> answer_seconds{
    .001, .002, .005, .01, .015, .02, .025, .03, .04, .05, .075, .1, .15, .25, .5, 1, 2, 4};
const std::vector<double> reaction_seconds{.02, .04, .06, .08, .1, .12, .15, .2, .3, .5, 1};
const std::vector<double> loss_ratios{0, .001, .005, .01, .02, .03, .05, .1, .2};
const std::vector<double> jitter_seconds{.001, .002, .005, .01, .02, .03, .05, .1};
const std::vector<double> mos_scores{1, 2, 2.5, 3, 3.5, 3.6, 3.8, 4, 4.2, 4.4, 5};
const std::vector<double> round_trip_seconds{.005, .01, .02, .05, .1, .15, .2, .3, .5, 1};

constexpr std::array stage_names{"endpointing", "stt", "llm", "tts", "playout"};
constexpr std::array media_names{
    "received", "lost", "concealed", "late", "rejected", "sent", "dropped"};

void name_provider(trace::Span& span, const services::Served& by, std::string_view service) {
    const std::string who{by.provider.empty() ? service : by.provider};
    span.attributes.push_back({"gen_ai.provider.name", who});
    if (by.failed_over) span.attributes.push_back({"oavc.failed_over", true});
    if (by.hedged) span.attributes.push_back({"oavc.hedged", true});
}

}  // namespace

Telemetry::Telemetry(metrics::Registry& registry, const trace::Tracer* tracer) : tracer_{tracer} {
    for (std::size_t i = 0; i < carriers.size(); ++i) {
        const std::string via{carriers[i]};
        Carrier& carrier = carriers_[i];
        for (std::size_t k = 0; k < outcomes.size(); ++k) {
            const auto ended = [&](const char* direction) {
                return registry.counter(
                    "oavc_calls_ended_total",
                    "Calls by carrier and by how they ended.",
                    {{"via", via},
                     {"direction", direction},
                     {"outcome", std::string{transports::to_string(outcomes[k])}}}
                );
            };
            carrier.ended_in[k] = ended("in");
            carrier.ended_out[k] = ended("out");
        }
        carrier.setup = registry.histogram(
            "oavc_call_setup_seconds",
            "Incoming calls: from the carrier's call to our answer.",
            setup_seconds,
            {{"via", via}}
        );
        carrier.duration = registry.histogram(
            "oavc_call_duration_seconds",
            "Answered calls: from answer to end.",
            call_seconds,
            {{"via", via}}
        );
        for (std::size_t k = 0; k < media_names.size(); ++k) {
            carrier.media[k] = registry.counter(
                "oavc_media_packets_total",
                "RTP packets, or Twilio's messages, by what became of them; running calls' are "
                "five seconds old at most.",
                {{"via", via}, {"event", media_names[k]}}
            );
        }
    }
    heard_ = registry.histogram(
        "oavc_heard_latency_seconds",
        "What the caller waits: from the last sound of the caller to the first sound of the "
        "answer.",
        metrics::turn_seconds
    );
    answer_ = registry.histogram(
        "oavc_answer_latency_seconds",
        "That wait without the end of the turn: from the decision that the caller is done to the "
        "first sound of the answer.",
        answer_seconds
    );
    for (std::size_t k = 0; k < stage_names.size(); ++k) {
        stages_[k] = registry.histogram(
            "oavc_turn_stage_seconds",
            "Where that wait goes; the stages of a turn add up to the heard latency.",
            metrics::turn_seconds,
            {{"stage", stage_names[k]}}
        );
    }
    barge_in_ = registry.histogram(
        "oavc_barge_in_silence_seconds",
        "From the caller's first sound to our silence.",
        reaction_seconds
    );
    const auto replies = [&](const char* outcome) {
        return registry.counter(
            "oavc_replies_total", "What we said, by how it ended.", {{"outcome", outcome}}
        );
    };
    replies_complete_ = replies("complete");
    replies_interrupted_ = replies("interrupted");
    loss_ = registry.histogram(
        "oavc_rtp_loss_ratio", "Per call: packets that never came, of all.", loss_ratios
    );
    jitter_ = registry.histogram(
        "oavc_rtp_jitter_seconds", "Per call: interarrival jitter at its end.", jitter_seconds
    );
    mos_ = registry.histogram(
        "oavc_rtp_mos", "Per call: estimated listening quality, 1 to 4.5.", mos_scores
    );
    round_trip_ = registry.histogram(
        "oavc_rtp_round_trip_seconds",
        "Per call whose peer sends RTCP: network round trip at its end.",
        round_trip_seconds
    );
}

CallTelemetry::CallTelemetry(
    const Telemetry* telemetry,
    const transports::CallInfo& call,
    const std::function<TimePoint()>& now
)
    : telemetry_{telemetry}, call_{call}, now_{now}, carrier_{[&]() -> const Telemetry::Carrier* {
          if (telemetry == nullptr) return nullptr;
          const auto& known = Telemetry::carriers;
          const auto found = std::find(known.begin(), known.end() - 1, call.via);
          return &telemetry->carriers_[static_cast<std::size_t>(found - known.begin())];
      }()} {
    if (telemetry == nullptr || telemetry->tracer_ == nullptr) return;
    const auto came = call.parameters.find("traceparent");
    const std::string_view from = came == call.parameters.end() ? std::string_view{} : came->second;
    context_ = telemetry->tracer_->begin(from, parent_);
}

log::Logger CallTelemetry::name_trace(const log::Logger& log) const {
    if (!context_.valid()) return log;
    return log::with_trace(
        log, trace::to_hex(context_.trace), trace::to_hex(context_.span), context_.sampled
    );
}

// --- The call -----------------------------------------------------------------------------------

void CallTelemetry::on_started(const SessionId& session, std::string_view agent, TimePoint now) {
    began_ = now;
    wall_began_ = std::chrono::system_clock::now();
    if (!kept()) return;
    span_.context = context_;
    span_.parent = parent_;
    span_.name = "call";
    span_.kind = call_.outgoing ? trace::Span::Kind::client : trace::Span::Kind::server;
    span_.start = wall_began_;
    span_.attributes = {
        {"oavc.call", session.value},
        {"oavc.via", call_.via},
        {"oavc.direction", std::string{call_.outgoing ? "out" : "in"}},
        {"oavc.agent", std::string{agent}}};
}

void CallTelemetry::on_answered(TimePoint now) {
    answered_ = now;
    if (kept()) span_.events.push_back({"answered", wall(now)});
    if (telemetry_ == nullptr || call_.outgoing) return;  // how long it rings is not ours
    carrier_->setup.observe(seconds(now - began_));
}

void CallTelemetry::on_media(const transports::MediaStats& media) {
    if (telemetry_ == nullptr) return;
    const std::array counted{
        media.received,
        media.lost,
        media.concealed,
        media.late,
        media.rejected,
        media.sent,
        media.dropped};
    for (std::size_t i = 0; i < counted.size(); ++i) {
        // A packet that was lost may come yet: then there are fewer, and counters know no less.
        if (counted[i] <= told_[i]) continue;
        carrier_->media[i].add(static_cast<double>(counted[i] - told_[i]));
        told_[i] = counted[i];
    }
}

void CallTelemetry::on_ended(
    transports::EndReason reason, const transports::MediaStats& media, TimePoint now
) {
    if (telemetry_ == nullptr) return;
    const auto outcome = static_cast<std::size_t>(
        std::ranges::find(Telemetry::outcomes, reason) - Telemetry::outcomes.begin()
    );
    (call_.outgoing ? carrier_->ended_out : carrier_->ended_in).at(outcome).add();
    if (answered_) carrier_->duration.observe(seconds(now - *answered_));
    on_media(media);
    if (media.mos > 0) {  // RTP came
        const auto expected = static_cast<double>(media.received + media.lost);
        if (expected > 0) telemetry_->loss_.observe(static_cast<double>(media.lost) / expected);
        telemetry_->jitter_.observe(media.jitter_ms / 1000);
        telemetry_->mos_.observe(media.mos);
        if (media.round_trip_ms > 0) telemetry_->round_trip_.observe(media.round_trip_ms / 1000);
    }
    if (!kept()) return;
    finish_turn();
    auto& told = span_.attributes;
    told.push_back({"oavc.outcome", std::string{transports::to_string(reason)}});
    told.push_back({"oavc.turns", std::int64_t{turns_}});
    told.push_back({"oavc.media.received", static_cast<std::int64_t>(media.received)});
    told.push_back({"oavc.media.lost", static_cast<std::int64_t>(media.lost)});
    if (media.mos > 0) told.push_back({"oavc.media.mos", media.mos});
    finish(std::move(span_), now);
}

// --- Turns --------------------------------------------------------------------------------------

void CallTelemetry::on_speech(TimePoint onset) {
    if (!kept() || heard_) return;  // a turn may be of several stretches of speech
    heard_.emplace();
    heard_->span = below(context_, "turn", onset);
    heard_->stt = below(heard_->span.context, "stt", onset);
    heard_->stt.kind = trace::Span::Kind::client;
}

void CallTelemetry::on_speech_ended(TimePoint last_voiced) {
    if (heard_) heard_->stt.events.push_back({"speech_ended", wall(last_voiced)});
}

void CallTelemetry::on_turn(
    std::uint32_t number, const services::Served& by, std::string_view service, TimePoint now
) {
    turns_ = number;
    if (!kept()) return;
    finish_turn();
    if (heard_) {
        name_provider(heard_->stt, by, service);
        finish(std::move(heard_->stt), now);
    }
    if (!heard_) heard_ = Turn{below(context_, "turn", now), {}};
    turn_ = std::move(heard_);
    heard_.reset();
    turn_->span.attributes.push_back({"oavc.turn", std::int64_t{number}});
    turn_end_ = now;
}

void CallTelemetry::on_answer_heard(const TurnLatency& latency, TimePoint now) {
    if (telemetry_ == nullptr) return;
    telemetry_->heard_.observe(seconds(latency.heard));
    telemetry_->answer_.observe(seconds(latency.heard - latency.endpointing));
    const std::array stages{
        latency.endpointing, latency.stt, latency.llm, latency.tts, latency.playout};
    for (std::size_t i = 0; i < stages.size(); ++i)
        telemetry_->stages_[i].observe(seconds(stages[i]));
    if (!turn_) return;
    turn_->span.events.push_back({"answer_heard", wall(now)});
    auto& told = turn_->span.attributes;
    told.push_back({"oavc.latency.heard", seconds(latency.heard)});
    for (std::size_t i = 0; i < stages.size(); ++i) {
        told.push_back({"oavc.latency." + std::string{stage_names[i]}, seconds(stages[i])});
    }
}

void CallTelemetry::on_barge_in(microseconds reaction) {
    if (telemetry_ != nullptr) telemetry_->barge_in_.observe(seconds(reaction));
}

void CallTelemetry::on_reply_ended(bool interrupted, TimePoint now) {
    if (telemetry_ == nullptr) return;
    (interrupted ? telemetry_->replies_interrupted_ : telemetry_->replies_complete_).add();
    if (!turn_) return;
    turn_end_ = now;
    if (interrupted) turn_->span.events.push_back({"interrupted", wall(now)});
}

/// A turn may have several replies: it ends with the last before the next turn, or the call's end.
void CallTelemetry::finish_turn() {
    if (!turn_) return;
    finish(std::move(turn_->span), turn_end_);
    turn_.reset();
}

// --- Requests to services -----------------------------------------------------------------------

CallTelemetry::Request CallTelemetry::request(std::string_view name, std::string_view operation) {
    const trace::Context& parent = turn_ ? turn_->span.context : context_;
    trace::Span span;
    if (parent.valid()) span = below(parent, name, now_());
    span.kind = trace::Span::Kind::client;
    if (kept()) span.attributes.push_back({"gen_ai.operation.name", std::string{operation}});
    return Request{*this, std::move(span)};
}

CallTelemetry::Request CallTelemetry::ask_model() { return request("llm", "chat"); }
CallTelemetry::Request CallTelemetry::ask_voice() { return request("tts", "text_to_speech"); }

CallTelemetry::Request::Request(Request&& other) noexcept
    : call_{std::exchange(other.call_, nullptr)}, span_{std::move(other.span_)} {}

CallTelemetry::Request::~Request() {
    if (call_ != nullptr && call_->kept()) call_->finish(std::move(span_), call_->now_());
}

void CallTelemetry::Request::on_first(
    std::string_view what, const services::Served& by, std::string_view service
) {
    if (!call_->kept() || !span_.events.empty()) return;
    span_.events.push_back({std::string{what}, call_->wall(call_->now_())});
    name_provider(span_, by, service);
}

// --- Spans --------------------------------------------------------------------------------------

/// The media clock as people's time: a step of the system's clock within a call tears no trace.
std::chrono::system_clock::time_point CallTelemetry::wall(TimePoint time) const {
    return wall_began_ +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(time - began_);
}

trace::Span CallTelemetry::below(
    const trace::Context& parent, std::string_view name, TimePoint start
) const {
    trace::Span span;
    span.context = trace::Tracer::below(parent);
    span.parent = parent.span;
    span.name = name;
    span.start = wall(start);
    return span;
}

void CallTelemetry::finish(trace::Span span, TimePoint end) const {
    span.end = std::max(wall(end), span.start);
    telemetry_->tracer_->finish(std::move(span));
}

}  // namespace oavc::pipeline
