#pragma once

#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "base/ids.hpp"
#include "observability/log.hpp"
#include "observability/privacy.hpp"
#include "pipeline/audio_processor.hpp"
#include "pipeline/call_command.hpp"
#include "pipeline/call_telemetry.hpp"
#include "pipeline/config.hpp"
#include "pipeline/conversation.hpp"
#include "pipeline/digit_collector.hpp"
#include "pipeline/events.hpp"
#include "pipeline/latency_probe.hpp"
#include "pipeline/manager.hpp"
#include "pipeline/phrase_cache.hpp"
#include "pipeline/playout_queue.hpp"
#include "pipeline/recording.hpp"
#include "pipeline/reply.hpp"
#include "transports/transport.hpp"
#include "turns/turn_machine.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::pipeline {

/// What a Session borrows for its life.
struct SessionContext {
    const Config& config;
    const AgentConfig& agent;
    Services services;
    PhraseCache& phrases;
    std::span<CallObserver* const> observers;
    log::Logger log;
    /// The media clock between frames and ticks; tests give a virtual one.
    std::function<TimePoint()> now;
    const Telemetry* telemetry{nullptr};
};

/// One call at run time: ties transport, recogniser, model and voice together under the turn
/// machine. Audio and ticks come as plain calls; the recogniser is a coroutine of its task group,
/// and each reply has a group of its own.
/// Owner: run_call's coroutine frame. Thread: the call's shard.
class Session final : private transports::MediaSink, private ReplyOwner {
public:
    Session(
        async::Shard& shard,
        std::unique_ptr<transports::Transport> transport,
        SessionContext context
    );
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    /// The whole call: services are opened, the call answered, media carried until it ends,
    /// everything joined. Cancelling it hangs up.
    asio::awaitable<void> run();

    /// Says the agent's goodbye and hangs up once it was heard.
    void say_goodbye();

    /// Carries out what somebody outside wants. `done` is called on this shard with the outcome, or
    /// destroyed uncalled when the call ends before.
    void obey(CallCommand command, std::function<void(error_code)> done);

    const transports::CallInfo& info() const noexcept { return transport_->info(); }

    const SessionId& id() const noexcept { return id_; }
    turns::TurnState turn_state() const noexcept { return machine_->state(); }

private:
    // transports::MediaSink
    void on_frame(media::FrameView frame, TimePoint arrived, bool concealed) noexcept override;
    void on_tick(TimePoint now) noexcept override;
    void on_digit(char digit, transports::DigitSource source) noexcept override;
    void on_hold(bool held) noexcept override;

    // ReplyOwner
    void on_token(const Reply& reply) override;
    void on_sentence(const Reply& reply) override;
    void on_speaking(const Reply& reply, std::string_view sentence) override;
    void on_audio(const Reply& reply) override;
    void on_complete(const Reply& reply) override;
    void on_failed(const Reply& reply) override;
    void on_sequel(const Reply& reply, services::LlmEvent event) override;
    void on_exception(std::exception_ptr error) override;

    asio::awaitable<transports::MediaEnd> carry();
    bool can_apologise() const;
    asio::awaitable<bool> open_services();
    asio::awaitable<void> open_stt(error_code& error);
    asio::awaitable<void> open_llm(error_code& error);
    asio::awaitable<void> open_tts(error_code& error);
    asio::awaitable<void> read_transcripts();
    asio::awaitable<void> leave();

    /// One thing that follows a reply.
    struct Step {
        services::LlmEvent event;
        std::optional<services::ToolCall> call{};  ///< of the model, that waits for the outcome
        std::string problem{};                     ///< it cannot be done; what the model is told
    };
    asio::awaitable<void> act(std::vector<Step> steps);
    asio::awaitable<Result<void>> carry_out(services::LlmEvent event);
    asio::awaitable<Result<void>> transfer(
        std::string target, bool attended, milliseconds patience
    );
    asio::awaitable<Result<void>> carry_out(CallCommand command);
    asio::awaitable<Result<void>> hold(bool held);
    asio::awaitable<void> answer(CallCommand command, std::function<void(error_code)> done);
    void control(std::string_view what, const error_code& outcome);
    void collect(const services::KeypadRequest& request, TimePoint now);
    void keyed(const std::string& entry, TimePoint now);
    void update_hold(TimePoint now);

    void speak_first(TimePoint now);
    void run_actions(TimePoint now);
    void perform(const turns::TurnAction& action, TimePoint now);
    void ask(const turns::TurnAction& action, TimePoint now);
    void start_reply(const turns::TurnAction& action);
    void end_reply(bool interrupted);
    asio::awaitable<void> bury(Reply& reply);
    void play(TimePoint now);
    void pause(TimePoint now);

    std::string line(turns::CannedLine which);
    std::string shown(CallEvent::Kind kind, std::string_view text);
    void unrecord(CallEvent::Kind kind);
    Result<void> pause_recording(bool paused);
    CallEvent& event(CallEvent::Kind kind, std::string text = {});
    void emit(const CallEvent& what);
    void emit(CallEvent::Kind kind, std::string text = {}) { emit(event(kind, std::move(text))); }

    // Given to us.
    async::Shard& shard_;
    SessionContext context_;
    // Owned.
    std::unique_ptr<transports::Transport> transport_;
    SessionId id_;
    CallTelemetry telemetry_;
    log::Logger log_;
    privacy::Kinds hidden_;       ///< of personal data, from everybody but the model and the voice
    transports::CallInfo shown_;  ///< transport's, with the other party hidden
    privacy::LineMasker asked_;   ///< what the caller says, turn by turn
    privacy::LineMasker spoken_;  ///< our sentences
    privacy::LineMasker heard_;   ///< what the caller heard of them
    std::unique_ptr<Recorder> recorder_;  ///< null: nobody records
    Conversation conversation_;
    std::unique_ptr<services::SttStream> stt_;
    std::unique_ptr<services::LlmSession> llm_;
    std::unique_ptr<services::TtsSession> tts_;
    std::optional<AudioProcessor> audio_;
    std::optional<turns::TurnMachine> machine_;
    PlayoutQueue playout_;
    std::unique_ptr<Reply> reply_;              ///< the current one
    std::list<std::unique_ptr<Reply>> graves_;  ///< cancelled, still winding down
    async::TaskGroup tasks_;
    // State.
    TimePoint began_{};
    TimePoint tell_media_at_{};              ///< the metrics are told of our packets next
    TimePoint onset_{};                      ///< of the caller's latest speech
    std::optional<TimePoint> number_since_;  ///< speech that may be part of a card's number
    TimePoint last_voiced_{};
    TimePoint paused_at_{};
    LatencyProbe probe_;
    std::uint32_t turn_{0};
    std::optional<services::Served> recognised_by_;  ///< who heard the latest turn, for the log
    bool reply_out_{false};                          ///< some of the current reply was sent
    bool reply_voiced_{false};                       ///< … and it was a sound
    std::optional<TimePoint> all_sent_;  ///< since then only the carrier holds our last words …
    milliseconds sent_ahead_{0};         ///< … and it held so much
    std::vector<Step> steps_;            ///< what follows the current reply
    std::optional<services::KeypadRequest> keypad_;  ///< … and whether keys are waited for then
    std::size_t reports_{0};                         ///< outcomes told to the model in this turn
    DigitCollector collector_;
    std::vector<std::string> entries_;  ///< of the keypad, in the turn that is not answered yet
    std::deque<std::string> announcements_;
    bool held_by_carrier_{false};
    bool held_by_us_{false};
    bool apologised_{false};  ///< everything is down: callers go to the fallback number
    bool leaving_{false};
    std::optional<TimePoint> speak_first_at_;  ///< outgoing: the greeting waits, until then at most
    CallEvent event_;
};

}  // namespace oavc::pipeline
