#include "caller/run.hpp"

#include "async/deadline.hpp"
#include "base/assert.hpp"
#include "caller/speech.hpp"
#include "caller/twilio_line.hpp"
#include "services/llm/dialogue.hpp"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace oavc::caller {

namespace {

/// The recogniser's words must be those of the dialogue, not those the server claims to have said:
/// else it could hear nothing else.
std::vector<std::string> reply_phrases(const config::Config& config) {
    std::vector<std::string> phrases;
    for (const auto& agent : config.pipeline.agents) {
        for (const auto* text :
             {&agent.greeting,
              &agent.goodbye,
              &agent.failure_sentence,
              &agent.idle_sentence,
              &agent.not_understood}) {
            if (!text->empty()) phrases.push_back(*text);
        }
    }
    if (!config.services.scripted.dialogue_file.empty()) {
        const auto dialogue = services::load_dialogue(config.services.scripted.dialogue_file);
        if (dialogue.has_value()) {
            auto replies = dialogue->replies();
            phrases.insert(phrases.end(), replies.begin(), replies.end());
        }
    }
    return phrases;
}

/// An apology is heard and understood like any reply.
bool apologised(const config::Config& config, const std::string& said) {
    for (const auto& agent : config.pipeline.agents) {
        const auto& apology = agent.failure_sentence;
        if (!apology.empty() && said.find(apology) != std::string::npos) return true;
    }
    return false;
}

/// "call.wav" → "call-3.wav".
std::string numbered(const std::string& path, std::size_t number) {
    const std::filesystem::path file{path};
    const auto name =
        fmt::format("{}-{}{}", file.stem().string(), number, file.extension().string());
    return (file.parent_path() / name).string();
}

/// Where a client on this machine reaches a server that is bound to `host`.
std::string reachable_ip(const std::string& host) {
    return host.empty() || host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host;
}

std::string reachable(const std::string& host) {
    const auto ip = reachable_ip(host);
    return ip.find(':') == std::string::npos ? ip : '[' + ip + ']';
}

}  // namespace

/// The server's side of the story, told while it happens.
struct CallRun::Watching {
    ServerWatch watch;
    bool stop{false};
    bool over{false};
};

CallRun::CallRun(Options options, config::Config config, RunObserver& observer)
    : options_{std::move(options)},
      config_{std::move(config)},
      observer_{observer},
      demonstration_{options_.speech.empty()},
      signals_{shard_.context()},
      tasks_{shard_.executor(), [this](const std::exception_ptr& failure) {
                 failure_ = failure;
                 wind_up();
             }} {
    if (demonstration_) options_.speech = demonstration();
    if (options_.url.empty()) {
        options_.url = fmt::format("http://{}:{}", reachable(config_.api.host), config_.api.port);
    }
    if (options_.api_token.empty()) options_.api_token = config_.api.token;
    if (options_.auth_token.empty()) options_.auth_token = config_.twilio.auth_token;
}

CallRun::~CallRun() = default;

const std::vector<CallReport>& CallRun::run() {
    utterances_ = prepare_speech(options_.speech, options_.voice);
    signals_.add(SIGINT);
    signals_.add(SIGTERM);
    wait_for_signal();
    tasks_.spawn(place_calls());
    shard_.context().run();
    if (failure_) std::rethrow_exception(failure_);
    return reports_;
}

void CallRun::wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int) {
        if (error) return;
        if (std::exchange(stopped_, true)) std::_Exit(130);  // asked twice: no more politeness
        if (conversation_ != nullptr) conversation_->stop();
        wait_for_signal();
    });
}

/// Nothing is left to do: lets shard_ run out of work.
void CallRun::wind_up() {
    if (watching_ != nullptr) watching_->stop = true;
    box_.reset();
    signals_.cancel();
}

asio::awaitable<void> CallRun::place_calls() {
    if (options_.via == "opensips") co_await open_box();
    for (std::size_t i = 0; i < options_.repeat && !stopped_; ++i) {
        if (i > 0) co_await async::sleep_for(300ms);
        co_await place_call(i);
    }
    wind_up();
}

asio::awaitable<void> CallRun::open_box() {
    OpenSipsBox::Config config;
    config.mi_ip = options_.mi_ip.empty() ? config_.opensips.mi_ip : options_.mi_ip;
    config.mi_port = options_.mi_port.value_or(config_.opensips.mi_port);
    if (!options_.rtp_ip.empty()) config.rtp_ip = options_.rtp_ip;
    config.from = options_.from;
    if (!options_.to.empty()) config.to = options_.to;
    config.call_limit = options_.wait;
    box_.emplace(shard_, config);
    const std::string where = fmt::format("{}:{}", config.mi_ip, box_->mi_port());
    const bool subscribed = co_await wait_for_server(where);
    if (subscribed || stopped_) co_return;
    throw std::runtime_error{fmt::format(
        "no connector has subscribed at {} within {} s. Is it running ('oavc serve'), and are its "
        "[telephony.opensips] mi_ip and mi_port these?",
        where,
        options_.wait.count() / 1000
    )};
}

asio::awaitable<bool> CallRun::wait_for_server(std::string where) {
    const bool there = co_await box_->wait_for_subscriber(500ms);
    if (there) co_return true;
    observer_.on_waiting(where);
    const TimePoint deadline = Clock::now() + options_.wait;
    while (!stopped_ && Clock::now() < deadline) {
        const bool subscribed = co_await box_->wait_for_subscriber(200ms);
        if (subscribed) co_return true;
    }
    co_return false;
}

std::unique_ptr<Line> CallRun::make_line() {
    if (box_) return options_.answer ? box_->make_callee() : box_->make_line();
    if (options_.via == "sip") return std::make_unique<SipLine>(shard_, sip_line());
    TwilioLine::Config config;
    config.base_url = options_.url;
    config.ca_file = options_.ca_file;
    config.public_url = config_.twilio.public_url;
    config.account_sid = config_.twilio.account_sid;
    config.auth_token = options_.auth_token;
    config.from = options_.from;
    if (!config_.twilio.phone_number.empty()) config.to = config_.twilio.phone_number;
    if (!options_.to.empty()) config.to = options_.to;
    return std::make_unique<TwilioLine>(shard_, config);
}

SipLine::Config CallRun::sip_line() const {
    SipLine::Config config;
    config.server_ip =
        options_.sip_ip.empty() ? reachable_ip(config_.sip.bind_ip) : options_.sip_ip;
    config.server_port = options_.sip_port.value_or(config_.sip.port);
    config.local_ip = options_.rtp_ip;
    config.from = options_.from;
    if (!options_.to.empty()) config.to = options_.to;
    return config;
}

/// For people.
std::string CallRun::towards() const {
    if (box_) {
        return fmt::format(
            "OpenSIPS (played on UDP port {}){}",
            box_->mi_port(),
            options_.answer ? ", waiting to be called" : ""
        );
    }
    if (options_.via == "sip") {
        const auto config = sip_line();
        return fmt::format("SIP to {}", sip::host_port(config.server_ip, config.server_port));
    }
    return fmt::format("Twilio (played towards {})", options_.url);
}

asio::awaitable<void> CallRun::place_call(std::size_t index) {
    auto line = make_line();
    Conversation::Config config;
    config.digits = options_.digits;
    config.longest = options_.timeout;
    // Long enough that a first short sentence is over and the voice is there again.
    config.turns.interrupt_after = options_.interrupt_after.value_or(2'500ms);
    observer_.on_call(index, towards());
    Conversation conversation{shard_, *line, utterances_, config, listener(*line)};
    conversation_ = &conversation;

    const auto end = co_await conversation.run();
    conversation_ = nullptr;
    const TimePoint deadline = Clock::now() + 3s;
    while (watching_ != nullptr && !watching_->over && !stopped_ && Clock::now() < deadline) {
        co_await async::sleep_for(20ms);
    }
    const auto watching = std::exchange(watching_, nullptr);
    if (watching != nullptr) watching->stop = true;

    CallReport report;
    report.call_id = line->native_id();
    report.via = options_.via;
    report.setup_ms = to_ms(conversation.dialled().setup);
    report.rtp = line->stats();
    if (!conversation.dialled().answered) {
        report.result =
            conversation.dialled().what.empty() ? "stopped" : conversation.dialled().what;
    } else {
        report.answered = true;
        report.heard_ms = to_ms(conversation.tape().heard_activity().voiced_within(
            conversation.dialled().at, conversation.ended_at()
        ));
        std::vector<ServerEvent> events;
        std::string problem;
        if (watching != nullptr) {
            events = watching->watch.events();
            problem = watching->watch.problem();
            if (!watching->watch.session().empty()) report.call_id = watching->watch.session();
        }
        const CallFacts facts{
            utterances_,
            conversation.spoken(),
            conversation.tape(),
            conversation.dialled().at,
            conversation.ended_at(),
            events,
        };
        report.turns = co_await analyse_aside(facts);
        report.deaf = deaf_;
        report.result = judge(conversation, end, report, problem);
        record(conversation.tape(), index, report);
    }
    observer_.on_report(report);
    reports_.push_back(std::move(report));
}

asio::awaitable<void> CallRun::follow(std::shared_ptr<Watching> watching) {
    using namespace asio::experimental::awaitable_operators;
    co_await (watching->watch.run() || until_stopped(*watching));
    watching->over = true;
}

asio::awaitable<void> CallRun::until_stopped(const Watching& watching) {
    while (!watching.stop) {
        const bool waited = co_await async::sleep_for(20ms);
        if (!waited) co_return;
    }
}

void CallRun::begin_watch(const std::string& native_id) {
    ServerWatch watch{
        shard_,
        ServerWatch::Config{options_.url, options_.api_token, options_.ca_file},
        native_id,
        [this](const ServerEvent& event) {
            if (event.kind == "answered") server_answered_ = event.since_start;
            observer_.on_server_event(event.since_start - server_answered_, event);
        }};
    watching_ = std::make_shared<Watching>(Watching{std::move(watch)});
    tasks_.spawn(follow(watching_));
}

Conversation::Listener CallRun::listener(const Line& line) {
    Conversation::Listener listener;
    listener.answered = [this, &line](const Dialled& dialled) {
        observer_.on_answered(dialled);
        begin_watch(line.native_id());
    };
    listener.speaks = [this](milliseconds at, const Utterance& utterance) {
        observer_.on_caller_speaks(at, utterance);
    };
    listener.over = [this](milliseconds at, const std::string& why) { observer_.on_over(at, why); };
    return listener;
}

asio::awaitable<std::vector<TurnReport>> CallRun::analyse_aside(const CallFacts& facts) {
    std::vector<TurnReport> turns;
    std::exception_ptr failure;
    bool done = false;
    async::Signal ready{shard_.executor()};
    const bool accepted = listener_.try_submit([&] {
        try {
            turns = analyse(facts, recogniser(facts.events));
        } catch (...) {
            failure = std::current_exception();
        }
        shard_.post([&] {
            done = true;
            ready.notify();
        });
    });
    OAVC_ASSERT(accepted);
    while (!done)
        co_await ready.wait();
    if (failure) std::rethrow_exception(failure);
    co_return turns;
}

/// Ours knows English words only: what a connector says in another language is measured all the
/// same, but not understood.
Recogniser CallRun::recogniser(std::span<const ServerEvent> events) {
    if (!deaf_.empty()) return {};
    if (!ear_) {
        auto phrases = reply_phrases(config_);
        if (phrases.empty()) {
            for (const auto& event : events) {
                if (event.kind == "sentence") phrases.push_back(event.text);
            }
        }
        if (phrases.empty()) return {};
        try {
            ear_.emplace(phrases, config_.services.pocketsphinx.model_dir);
        } catch (const std::runtime_error& error) {
            deaf_ = error.what();
            return {};
        }
    }
    return [this](media::Samples samples) { return ear_->recognize(samples, narrowband); };
}

std::string CallRun::judge(
    const Conversation& conversation,
    Conversation::End end,
    const CallReport& report,
    const std::string& watch_problem
) const {
    switch (end) {
        case Conversation::End::stopped:
            return "stopped";
        case Conversation::End::too_long:
            return fmt::format("the call took longer than {} s", options_.timeout.count() / 1000);
        case Conversation::End::not_answered:
            return "not answered";
        case Conversation::End::connector_ended:
            if (!conversation.complete())
                return conversation.why_over() + " before we had said everything";
            break;
        case Conversation::End::finished:
            break;
    }
    for (const auto& turn : report.turns) {
        if (apologised(config_, turn.server_said)) return "the connector said that it has failed";
    }
    std::string problem = demonstration_ ? verdict(report) : basic_verdict(report);
    if (problem.empty()) return "ok";
    if (!watch_problem.empty()) problem += fmt::format(" ({})", watch_problem);
    return problem;
}

void CallRun::record(const Tape& tape, std::size_t index, CallReport& report) const {
    std::string path = options_.record;
    if (path.empty() && options_.json) return;
    if (path.empty()) path = (std::filesystem::temp_directory_path() / "oavc-call.wav").string();
    if (options_.repeat > 1 && !options_.record.empty()) path = numbered(path, index + 1);
    if (tape.write_wav(path)) {
        report.recorded = path;
    } else if (report.result == "ok") {
        report.result = fmt::format("the recording {} could not be written", path);
    }
}

}  // namespace oavc::caller
