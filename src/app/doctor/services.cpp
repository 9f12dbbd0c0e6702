#include "app/doctor/services.hpp"

#include "app/doctor/wait.hpp"
#include "async/deadline.hpp"
#include "base/time.hpp"
#include "caller/speech.hpp"
#include "media/resampler.hpp"
#include "net/tcp.hpp"
#include "net/url.hpp"
#include "services/errors.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace oavc::app::doctor {

namespace {

constexpr Clock::duration probe_limit = 5s;
constexpr Clock::duration use_limit = 30s;

/// The configuration with this provider alone, so that no fallback hides what it does.
services::Config alone(services::Config config, const ServiceTrial::Role& role) {
    switch (role.kind) {
        case services::ServiceKind::stt:
            config.stt_provider = role.provider;
            config.stt_fallback.clear();
            break;
        case services::ServiceKind::llm:
            config.llm_provider = role.provider;
            config.llm_fallback.clear();
            break;
        case services::ServiceKind::tts:
            config.tts_provider = role.provider;
            config.tts_fallback.clear();
            break;
    }
    return config;
}

/// Why no connection to a URL comes about, or nothing.
std::string connection_problem(async::Shard& shard, const std::string& where) {
    const auto url = net::parse_url(where);
    if (!url) return {};
    const bool v6 = url->host.find(':') != std::string::npos;
    const auto tcp = fmt::format("tcp://{}:{}", v6 ? "[" + url->host + "]" : url->host, url->port);
    const auto opened = wait_for(shard, net::tcp_connect(shard, tcp, probe_limit));
    return opened ? std::string{} : opened.error().message();
}

/// What one use of a service came to.
struct Used {
    std::string answered;
    Clock::duration first{};
};

asio::awaitable<Result<Used>> hear(
    services::SttService& stt, async::Shard& shard, std::string language, std::string said
) {
    services::SttOptions options;
    options.language = std::move(language);
    auto stream = co_await stt.open(shard, std::move(options));
    if (!stream) co_return stream.error();
    const auto spoken =
        caller::prepare_speech({{caller::Options::Speech::Kind::text, said, false}}, "rms");
    const SampleRate rate = stt.capabilities().input_rate;
    media::Resampler resampler{narrowband, rate};
    const std::vector<media::Sample> silence(samples_in(300ms, narrowband));
    std::vector<media::Sample> samples;
    resampler.process(silence, samples);
    resampler.process(spoken.front().samples, samples);
    resampler.process(silence, samples);
    resampler.flush(samples);

    (*stream)->begin(UtteranceId{1});
    const std::size_t frame = samples_in(20ms, rate);
    const media::Samples all{samples};
    for (std::size_t at = 0; at < all.size(); at += frame) {
        const auto piece = all.subspan(at, std::min(frame, all.size() - at));
        (*stream)->push({piece, rate});
        co_await async::sleep_for(5ms);  // faster than speech, slower than a flood
    }
    (*stream)->end();
    const TimePoint ended = Clock::now();
    for (;;) {
        const auto event = co_await (*stream)->next();
        if (!event) co_return event.error();
        if (event->kind != services::SttEvent::Kind::final) continue;
        co_return Used{event->text, Clock::now() - ended};
    }
}

asio::awaitable<Result<Used>> think(
    services::LlmService& llm,
    async::Shard& shard,
    std::string language,
    std::string prompt,
    std::string said
) {
    services::LlmOptions options;
    options.language = std::move(language);
    auto session = co_await llm.open(shard, std::move(options));
    if (!session) co_return session.error();
    services::LlmRequest request;
    if (!prompt.empty()) {
        request.messages.push_back({services::ChatMessage::Role::system, std::move(prompt)});
    }
    request.messages.push_back({services::ChatMessage::Role::user, std::move(said)});
    const TimePoint asked = Clock::now();
    const auto reply = (*session)->ask(std::move(request));
    Used used;
    constexpr std::size_t enough = 40;  // letters; destroying the reply cancels the rest
    while (used.answered.size() < enough) {
        const auto event = co_await reply->next();
        if (!event && event.error() == services::ServiceErrc::end_of_stream) break;
        if (!event) co_return event.error();
        if (used.first == Clock::duration{}) used.first = Clock::now() - asked;
        if (event->kind == services::LlmEvent::Kind::text) used.answered += event->text;
        if (event->kind == services::LlmEvent::Kind::tool_call) used.answered += event->tool.name;
    }
    co_return used;
}

asio::awaitable<Result<Used>> speak(
    services::TtsService& tts, async::Shard& shard, std::string language, std::string said
) {
    services::TtsOptions options;
    options.language = std::move(language);
    auto session = co_await tts.open(shard, std::move(options));
    if (!session) co_return session.error();
    const TimePoint asked = Clock::now();
    const auto reply = (*session)->speak(std::move(said));
    Used used;
    microseconds audio{0};
    for (;;) {
        const auto chunk = co_await reply->next();
        if (!chunk && chunk.error() == services::ServiceErrc::end_of_stream) break;
        if (!chunk) co_return chunk.error();
        if (used.first == Clock::duration{}) used.first = Clock::now() - asked;
        audio += duration_of(chunk->samples.size(), chunk->rate);
    }
    if (audio > 0us) used.answered = fmt::format("{:.1f} s of speech", to_ms(audio) / 1000);
    co_return used;
}

}  // namespace

std::vector<ServiceTrial::Role> ServiceTrial::roles(const services::Config& config) {
    std::vector<Role> roles;
    const auto add =
        [&](services::ServiceKind kind, const std::string& first, const std::string& fallback) {
            roles.push_back({kind, first, false});
            if (!fallback.empty() && fallback != first) roles.push_back({kind, fallback, true});
        };
    add(services::ServiceKind::stt, config.stt_provider, config.stt_fallback);
    add(services::ServiceKind::llm, config.llm_provider, config.llm_fallback);
    add(services::ServiceKind::tts, config.tts_provider, config.tts_fallback);
    return roles;
}

ServiceTrial::ServiceTrial(Role role, services::Config config, async::WorkerPool& workers)
    : role_{std::move(role)}, factory_{alone(std::move(config), role_), workers} {}

Service ServiceTrial::look(async::Shard& shard) {
    Service facts;
    facts.kind = to_string(role_.kind);
    facts.provider = role_.provider;
    facts.fallback = role_.fallback;
    try {
        switch (role_.kind) {
            case services::ServiceKind::stt:
                stt_ = factory_.make_stt();
                break;
            case services::ServiceKind::llm:
                llm_ = factory_.make_llm();
                break;
            case services::ServiceKind::tts:
                tts_ = factory_.make_tts();
                break;
        }
    } catch (const std::runtime_error& error) {
        facts.made = error.what();
        return facts;
    }
    const auto& watched = factory_.watched().front();
    facts.where = watched.provider->snapshot().identity.where;
    const TimePoint asked = Clock::now();
    auto probe = watched.probe(shard);
    const auto answer = wait_for(shard, async::with_deadline(std::move(probe), probe_limit));
    facts.took = Clock::now() - asked;
    if (answer) return facts;
    facts.error = answer.error();
    if (!facts.where.empty()) facts.connection = connection_problem(shard, facts.where);
    return facts;
}

RoundTrip ServiceTrial::use(async::Shard& shard, const Words& words) {
    RoundTrip facts;
    facts.kind = to_string(role_.kind);
    facts.provider = role_.provider;
    facts.asked = words.said;
    const auto run = [&]() -> asio::awaitable<Result<Used>> {
        switch (role_.kind) {
            case services::ServiceKind::stt:
                return hear(*stt_, shard, words.language, words.said);
            case services::ServiceKind::llm:
                return think(*llm_, shard, words.language, words.prompt, words.said);
            case services::ServiceKind::tts:
                break;
        }
        return speak(*tts_, shard, words.language, words.said);
    };
    const auto used = wait_for(shard, async::with_deadline(run(), use_limit));
    if (used) {
        facts.answered = used->answered;
        facts.first = used->first;
    } else {
        facts.error = used.error();
    }
    return facts;
}

}  // namespace oavc::app::doctor
