#include "services/stt/scripted_stt.hpp"

#include "async/signal.hpp"
#include "services/errors.hpp"

#include <deque>
#include <string>
#include <utility>

namespace oavc::services {

namespace {

/// What one call still has to be told. Shared by its stream and by the coroutine that waits.
struct Script {
    struct Due {
        UtteranceId utterance;
        TimePoint at;
        bool heard;  ///< audio came
    };

    Script(async::Shard& shard, std::shared_ptr<const ScriptedSttConfig> c)
        : config{std::move(c)}, changed{shard.executor()} {}

    /// A line is used up only when it is given: a cancelled utterance costs none.
    SttEvent give() {
        const Due due = answers.front();
        answers.pop_front();
        SttEvent event{.kind = SttEvent::Kind::final, .utterance = due.utterance, .text = {}};
        const auto& lines = config->lines;
        if (due.heard && !lines.empty()) event.text = lines[given++ % lines.size()];
        return event;
    }

    const std::shared_ptr<const ScriptedSttConfig> config;
    async::Signal changed;
    std::deque<Due> answers;  ///< one per utterance that ended and was not read or cancelled
    std::size_t given{0};
    bool closed{false};
};

class ScriptedStream final : public SttStream {
public:
    ScriptedStream(std::shared_ptr<Script> script, std::shared_ptr<ScriptedStt::Stats> stats)
        : script_{std::move(script)}, stats_{std::move(stats)} {}
    ~ScriptedStream() override {
        script_->closed = true;
        script_->changed.notify();
    }

    void begin(UtteranceId utterance) noexcept override {
        utterance_ = utterance;
        samples_ = 0;
    }
    void push(media::FrameView audio) noexcept override { samples_ += audio.samples.size(); }
    void end() noexcept override {
        ++stats_->utterances;
        const auto at = Clock::now() + script_->config->delay;
        script_->answers.push_back({utterance_, at, samples_ > 0});
        script_->changed.notify();
    }
    void cancel() noexcept override {
        std::erase_if(script_->answers, [&](const auto& due) {
            return due.utterance == utterance_;
        });
    }
    asio::awaitable<Result<SttEvent>> next() override { return next(script_); }

private:
    static asio::awaitable<Result<SttEvent>> next(std::shared_ptr<Script> script) {
        for (;;) {
            if (script->closed) co_return make_error_code(ServiceErrc::cancelled);
            auto until = TimePoint::max();
            if (!script->answers.empty()) until = script->answers.front().at;
            if (until <= Clock::now()) co_return script->give();
            const bool go_on = co_await script->changed.wait_until(until);
            if (!go_on) co_return make_error_code(ServiceErrc::cancelled);
        }
    }

    const std::shared_ptr<Script> script_;
    const std::shared_ptr<ScriptedStt::Stats> stats_;
    UtteranceId utterance_;
    std::size_t samples_{0};
};

}  // namespace

ScriptedStt::ScriptedStt(ScriptedSttConfig config)
    : config_{std::make_shared<const ScriptedSttConfig>(std::move(config))},
      stats_{std::make_shared<Stats>()} {}

asio::awaitable<Result<std::unique_ptr<SttStream>>> ScriptedStt::open(
    async::Shard& shard, SttOptions /*options*/
) {
    std::unique_ptr<SttStream> stream =
        std::make_unique<ScriptedStream>(std::make_shared<Script>(shard, config_), stats_);
    co_return stream;
}

std::vector<metrics::Count> ScriptedStt::counts() const {
    return {{"utterances", static_cast<double>(stats_->utterances)}};
}

}  // namespace oavc::services
