// Every STT × LLM × TTS, over OpenSIPS with RTP and over Twilio: a greeting, a question, an answer
// that the caller interrupts with another question, its answer, and a hang-up. Each combination is
// a server of its own, configured as an operator would, that gets one call from either carrier.
// Several combinations run at once, as a call lasts its ten seconds whatever the machine.
//
//     OAVC_MATRIX=vosk/ollama-chat/piper test_integration --gtest_filter='*Matrix*'
//
// runs only the combinations whose name has that in it.

#include "async/deadline.hpp"
#include "async/run_blocking.hpp"
#include "async/task_group.hpp"
#include "caller/conversation.hpp"
#include "caller/opensips_line.hpp"
#include "caller/server_watch.hpp"
#include "caller/speech.hpp"
#include "caller/twilio_line.hpp"
#include "caller/words.hpp"
#include "support/provider_rigs.hpp"
#include "support/running_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <numbers>
#include <thread>

namespace oavc::test {
namespace {

using caller::Conversation;
using caller::ServerEvent;

/// A call costs a tenth of a core here, and ctest runs two of these tests beside each other. More,
/// and a busy machine tears the caller's words apart.
constexpr std::size_t combinations_at_once = 8;
constexpr milliseconds longest_barge_in{1'000};  ///< of a machine that is full of calls
constexpr std::string_view greeting = "Hello. How can I help you?";

struct Combination {
    Provider stt;
    Provider llm;
    Provider tts;
    std::string name() const { return stt.name + "/" + llm.name + "/" + tts.name; }
};

// ── one call ────────────────────────────────────────────────────────────────────────────────────

/// What a call was, seen and heard by the caller, and as the server tells it.
struct CallFacts {
    caller::Dialled dialled;
    Conversation::End end{Conversation::End::not_answered};
    std::string why_over;
    std::size_t unanswered{0};
    std::vector<caller::MeasuredTurn> turns;   ///< greeting, then one for each question
    std::vector<media::Sample> heard_at_last;  ///< after the last question
    milliseconds answer_lasted{0};             ///< the last one, as heard
    std::vector<ServerEvent> events;
    bool events_complete{false};
};

const std::vector<caller::Utterance>& questions() {
    static const auto spoken = [] {
        using Kind = caller::Options::Speech::Kind;
        std::vector<caller::Options::Speech> speech;
        for (const Exchange& exchange : exchanges) {
            const bool interrupts = !speech.empty();
            speech.push_back({Kind::text, std::string{exchange.question}, interrupts});
        }
        return caller::prepare_speech(speech, "rms");
    }();
    return spoken;
}

/// Cancels `told` when the server has told everything.
asio::awaitable<void> follow(std::shared_ptr<caller::ServerWatch> watch, asio::steady_timer* told) {
    co_await watch->run();
    told->cancel();
}

/// `expect` is told each exchange before it begins.
asio::awaitable<void> place_call(
    async::Shard& shard,
    caller::Line& line,
    std::string base_url,
    std::function<void(const Exchange&)> expect,
    CallFacts& facts
) {
    asio::steady_timer told{shard.executor()};
    std::exception_ptr failure;
    async::TaskGroup tasks{
        shard.executor(), [&failure](std::exception_ptr error) { failure = std::move(error); }};
    std::shared_ptr<caller::ServerWatch> watch;
    Conversation::Config config;
    config.longest = 90s;
    config.turns.interrupt_after = 1'500ms;
    config.turns.reply_wait = 25s;
    Conversation::Listener listener;
    listener.answered = [&](const caller::Dialled&) {
        watch = std::make_shared<caller::ServerWatch>(
            shard, caller::ServerWatch::Config{base_url, {}}, line.native_id(), nullptr
        );
        tasks.spawn(follow(watch, &told));
    };
    std::size_t asked = 0;
    listener.speaks = [&](milliseconds, const caller::Utterance&) {
        expect(exchanges.at(asked++));
    };

    Conversation conversation{shard, line, questions(), std::move(config), std::move(listener)};
    facts.end = co_await conversation.run();
    facts.dialled = conversation.dialled();
    facts.why_over = conversation.why_over();
    facts.unanswered = conversation.unanswered();
    if (watch && !watch->complete()) {
        told.expires_after(10s);
        co_await told.async_wait(as_result);
    }
    tasks.cancel();
    co_await tasks.join();
    if (failure) std::rethrow_exception(failure);
    if (!facts.dialled.answered) co_return;

    facts.events = watch->events();
    facts.events_complete = watch->complete();
    const caller::Tape& tape = conversation.tape();
    const TimePoint ended = conversation.ended_at();
    facts.turns = caller::measure_turns(
        conversation.spoken(), tape.sent_activity(), tape.heard_activity(), ended
    );
    const caller::MeasuredTurn& last = facts.turns.back();
    if (!last.last_sent || !last.reply_begin) co_return;
    // Counted from the end: what a busy machine hears late pushes the tape ahead of the clock.
    const auto all = tape.heard_between(tape.began(), tape.began() + caller::Tape::longest);
    const auto tail = std::min(
        all.size(),
        samples_in(std::chrono::duration_cast<milliseconds>(ended - *last.last_sent), narrowband)
    );
    facts.heard_at_last.assign(all.end() - static_cast<std::ptrdiff_t>(tail), all.end());
    facts.answer_lasted = std::chrono::duration_cast<milliseconds>(
        tape.heard_activity().voiced_within(*last.reply_begin, ended)
    );
}

// ── what is wrong with it ───────────────────────────────────────────────────────────────────────

/// The 50 ms in which a tone is loudest: how loud, in 0 … 1 of full scale, and when.
struct Loudest {
    double level{0};
    milliseconds at{0};
};
Loudest loudest(double hz, media::Samples samples) {
    constexpr std::size_t window = 400;
    const double step = 2 * std::numbers::pi * hz / narrowband.hz;
    Loudest most;
    for (std::size_t at = 0; at + window <= samples.size(); at += window / 2) {
        double real = 0;
        double imaginary = 0;
        for (std::size_t i = 0; i < window; ++i) {
            const double sample = samples[at + i] / 32'768.0;
            real += sample * std::cos(step * static_cast<double>(i));
            imaginary += sample * std::sin(step * static_cast<double>(i));
        }
        const double level = 2 * std::hypot(real, imaginary) / window;
        if (level > most.level) most = {level, milliseconds{at / 8}};
    }
    return most;
}

/// What the server says it understood, and what it said after each: greeting first.
struct ServerSide {
    std::vector<std::string> understood;
    std::vector<std::string> said{""};
    bool barge_in{false};
    bool ended{false};
};

ServerSide told_by(const std::vector<ServerEvent>& events) {
    ServerSide side;
    for (const ServerEvent& event : events) {
        if (event.kind == "caller_said") {
            side.understood.push_back(event.text);
            side.said.emplace_back();
        } else if (event.kind == "sentence") {
            side.said.back() += (side.said.back().empty() ? "" : " ") + event.text;
        }
        side.barge_in = side.barge_in || event.kind == "barge_in";
        side.ended = side.ended || event.kind == "ended";
    }
    return side;
}

bool same_words(std::string_view a, std::string_view b) {
    return caller::words_of(a) == caller::words_of(b);
}

bool begins_with_words(std::string_view whole, std::string_view beginning) {
    const auto all = caller::words_of(whole);
    const auto first = caller::words_of(beginning);
    return first.size() <= all.size() && std::equal(first.begin(), first.end(), all.begin());
}

std::vector<std::string> problems_of(const CallFacts& call, const Combination& combination) {
    std::vector<std::string> problems;
    const auto expect =
        [&problems]<class... T>(bool good, fmt::format_string<T...> what, T&&... v) {
            if (!good) problems.push_back(fmt::format(what, std::forward<T>(v)...));
            return good;
        };
    if (!expect(call.dialled.answered, "not answered: {}", call.dialled.what)) return problems;
    expect(
        call.end == Conversation::End::finished,
        "did not end by our hanging up but by {} {}",
        static_cast<int>(call.end),
        call.why_over
    );
    expect(call.unanswered == 0, "{} questions got no answer", call.unanswered);

    // What the caller heard.
    if (expect(call.turns.size() == 3, "{} turns instead of 3", call.turns.size())) {
        expect(call.turns[0].reply_begin.has_value(), "no greeting was heard");
        expect(call.turns[1].reply_begin.has_value(), "the first answer was not heard");
        expect(call.turns[2].reply_begin.has_value(), "the second answer was not heard");
        if (expect(call.turns[1].interrupted, "the answer was not interrupted")) {
            const auto took = to_ms(*call.turns[1].barge_in);
            expect(
                *call.turns[1].barge_in <= longest_barge_in, "silent only {:.0f} ms after", took
            );
            const auto leaked = to_ms(call.turns[1].leaked);
            expect(leaked == 0, "{:.0f} ms of the interrupted answer were heard later", leaked);
        }
        // The rest of the first answer would last five times as long.
        expect(
            call.answer_lasted > 300ms && call.answer_lasted < 6s,
            "{} ms were heard as the second answer",
            call.answer_lasted.count()
        );
    }
    const bool exact = combination.stt.exact;
    if (combination.tts.tones) {
        const auto old = loudest(answer_tones[0], call.heard_at_last);
        const auto right = loudest(answer_tones[1], call.heard_at_last);
        // Of 0.24; where other tones begin and end there is up to 0.04 of this one.
        expect(
            old.level < 0.1,
            "the interrupted answer was heard ({:.2f}) {} ms after the last question",
            old.level,
            old.at.count()
        );
        expect(
            !exact || right.level > 0.1, "the second answer was not heard ({:.2f})", right.level
        );
    }

    // What the server tells.
    expect(call.events_complete, "the server's own events have no end");
    const auto server = told_by(call.events);
    expect(server.barge_in, "the server noticed no interruption");
    expect(server.ended, "the server's call has not ended");
    if (!exact) return problems;  // whatever it understood, or nothing: the conversation went on
    expect(same_words(server.said[0], greeting), "greeted with '{}'", server.said[0]);
    if (!expect(server.understood.size() == 2, "{} transcripts", server.understood.size()))
        return problems;
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
        expect(
            same_words(server.understood[i], exchanges[i].question),
            "understood '{}' for '{}'",
            server.understood[i],
            exchanges[i].question
        );
    }
    expect(
        !server.said[1].empty() && begins_with_words(exchanges[0].answer, server.said[1]),
        "answered the first question with '{}'",
        server.said[1]
    );
    expect(
        same_words(server.said[2], exchanges[1].answer),
        "answered the second question with '{}'",
        server.said[2]
    );
    return problems;
}

std::string story_of(const CallFacts& call) {
    std::string story;
    for (const ServerEvent& event : call.events) {
        story += fmt::format(
            "    {:6} ms  turn {}  {}{}  {}\n",
            event.since_start.count(),
            event.turn,
            event.kind,
            event.interrupted ? " (interrupted)" : "",
            event.text
        );
    }
    return story;
}

// ── one combination ─────────────────────────────────────────────────────────────────────────────

/// Failures of this thread's combination name it.
void report(const Combination& combination, std::string_view via, const std::string& what) {
    ADD_FAILURE() << combination.name() << " over " << via << ": " << what;
}

std::string ini_of(
    const Combination& combination,
    const ProviderRig& stt,
    const ProviderRig& llm,
    const ProviderRig& tts
) {
    return "[telephony]\nprovider = both\n"
           "[telephony.opensips]\nevent_ip = 127.0.0.1\nrtp_bind_ip = 127.0.0.1\n"
           "[telephony.twilio]\nauth_token = for-tests-only\n"
           "[api]\nhost = 127.0.0.1\n" +
           configured("stt", combination.stt, stt) + configured("llm", combination.llm, llm) +
           // Both carriers' calls are the voice's.
           configured("tts", combination.tts, tts, "cache_mb = 0\n") +
           // PocketSphinx takes its phrases from it, whoever the model is.
           "[llm.scripted]\ndialogue_file = " + rigs::dialogue_file + "\n" +
           "[agent]\nlanguage = en\ngreeting = " + std::string{greeting} +
           // Long enough to be interrupted, like an answer.
           "\nnot_understood = I am sorry, but I did not understand what you said just now. Please "
           "say it again.\n"
           // How long a machine takes that is full of calls is no matter here.
           "[failover]\nfinal_transcript = 20s\nfirst_token = 20s\nnext_token = 20s\n"
           "first_audio = 20s\nnext_audio = 20s\n"
           "[turns]\nfinal_transcript = 25s\nfirst_token = 25s\nnext_token = 25s\n"
           "first_audio = 25s\n";
}

/// A started server. Ports are chosen by chance: a busy one is tried again with others.
std::unique_ptr<RunningServer> started(const std::string& ini, const config::Environment& more) {
    for (int attempt = 0;; ++attempt) {
        try {
            auto server = std::make_unique<RunningServer>(RunningServer::from_text(ini, more));
            server->start();
            return server;
        } catch (const std::runtime_error& error) {
            if (attempt == 4 || std::string_view{error.what()}.find("in use") == std::string::npos)
                throw;
        }
    }
}

asio::awaitable<void> wait_for_subscriber(caller::OpenSipsBox& box, bool& subscribed) {
    subscribed = co_await box.wait_for_subscriber(30s);
}

void converse(const Combination& combination) {
    const auto stt = combination.stt.make();
    const auto llm = combination.llm.make();
    const auto tts = combination.tts.make();
    const auto expect = [&](const Exchange& exchange) {
        for (const auto* rig : {&stt, &llm, &tts})
            (*rig)->expect(exchange);
    };
    async::Shard shard{0};
    caller::OpenSipsBox::Config opensips;
    opensips.mi_port = 0;
    caller::OpenSipsBox box{shard, opensips};
    auto server = started(
        ini_of(combination, *stt, *llm, *tts),
        {{"OAVC_TELEPHONY_OPENSIPS_MI_PORT", std::to_string(box.mi_port())}}
    );
    const auto base_url = fmt::format("http://127.0.0.1:{}", server->config().api.port);
    const auto call_over = [&](std::string_view via, caller::Line& line) {
        CallFacts facts;
        async::run_blocking(shard, place_call(shard, line, base_url, expect, facts));
        const auto problems = problems_of(facts, combination);
        if (problems.empty()) return;
        std::string all;
        for (const auto& problem : problems)
            all += "\n  " + problem;
        report(combination, via, all + "\n" + story_of(facts));
    };

    bool subscribed = false;
    async::run_blocking(shard, wait_for_subscriber(box, subscribed));
    if (subscribed) {
        call_over("opensips", *box.make_line());
    } else {
        report(combination, "opensips", "the server has not subscribed");
    }
    caller::TwilioLine::Config twilio;
    twilio.base_url = base_url;
    twilio.auth_token = server->config().twilio.auth_token;
    caller::TwilioLine line{shard, twilio};
    call_over("twilio", line);

    if (!server->calls_end_within(10s)) report(combination, "both", "calls are left");
    server.reset();
    for (const auto& [kind, rig] : {std::pair{"stt", &stt}, {"llm", &llm}, {"tts", &tts}}) {
        const ConnectionCount* const connections = (*rig)->connections();
        if (connections == nullptr || connections->none_within(30s)) continue;
        report(
            combination,
            "both",
            fmt::format("{} connections are left at {}", connections->open(), kind)
        );
    }
}

// ── all of them ─────────────────────────────────────────────────────────────────────────────────

class ProviderMatrix : public testing::TestWithParam<Provider> {};

INSTANTIATE_TEST_SUITE_P(
    Hears,
    ProviderMatrix,
    testing::ValuesIn(stt_providers()),
    [](const auto& info) {
        std::string name = info.param.name;
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    }
);

TEST_P(ProviderMatrix, WithEveryModelAndVoiceOverBothCarriers) {
    if (!GetParam().make) GTEST_SKIP() << GetParam().name << " is not in this build";
    const char* const wanted = std::getenv("OAVC_MATRIX");  // NOLINT(concurrency-mt-unsafe)
    std::vector<Combination> combinations;
    for (const Provider& llm : llm_providers()) {
        for (const Provider& tts : tts_providers()) {
            const Combination combination{GetParam(), llm, tts};
            if (wanted == nullptr || combination.name().find(wanted) != std::string::npos)
                combinations.push_back(combination);
        }
    }
    log::Settings settings;
    settings.level = wanted == nullptr ? log::Level::off : log::Level::debug;
    settings.show_personal_data = true;
    log::configure(settings);
    static_cast<void>(questions());

    std::atomic<std::size_t> next{0};
    std::vector<std::thread> lanes;
    for (std::size_t i = 0; i < std::min(combinations_at_once, combinations.size()); ++i) {
        lanes.emplace_back([&] {
            for (std::size_t mine = next++; mine < combinations.size(); mine = next++) {
                try {
                    converse(combinations[mine]);
                } catch (const std::exception& error) {
                    report(combinations[mine], "both", error.what());
                }
            }
        });
    }
    for (auto& lane : lanes)
        lane.join();
}

/// For trying out by hand what an operator sees: fakes of the default providers, until the standard
/// input ends. Prints the INI file for `oavc serve`; kill one of them by its letter.
TEST(ProviderRigs, DISABLED_WaitForAServerOfYourOwn) {
    const Combination combination{
        stt_providers().at(0), llm_providers().at(0), tts_providers().at(0)};
    std::array<std::unique_ptr<ProviderRig>, 3> rigs{
        combination.stt.make(), combination.llm.make(), combination.tts.make()};
    for (const auto& rig : rigs)
        rig->expect(exchanges[0]);
    fmt::print("{}\n", ini_of(combination, *rigs[0], *rigs[1], *rigs[2]));
    std::fflush(stdout);
    for (int letter = 0; (letter = std::getchar()) != EOF;) {
        if (letter == 's') rigs[0].reset();
        if (letter == 'l') rigs[1].reset();
        if (letter == 't') rigs[2].reset();
    }
}

}  // namespace
}  // namespace oavc::test
