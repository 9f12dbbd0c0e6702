#pragma once

#include "async/shard.hpp"
#include "async/task_group.hpp"
#include "async/worker_pool.hpp"
#include "caller/analysis.hpp"
#include "caller/conversation.hpp"
#include "caller/opensips_line.hpp"
#include "caller/options.hpp"
#include "caller/report.hpp"
#include "caller/server_watch.hpp"
#include "caller/sip_line.hpp"
#include "config/config.hpp"
#include "services/stt/phrase_recognizer.hpp"

#include <boost/asio/signal_set.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller {

/// Is told what happens in a run. Thread: the run's. Times are since the answer.
class RunObserver {
public:
    virtual void on_waiting(std::string_view where) = 0;
    virtual void on_call(std::size_t index, std::string_view towards) = 0;
    virtual void on_answered(const Dialled& dialled) = 0;
    virtual void on_caller_speaks(milliseconds at, const Utterance& utterance) = 0;
    virtual void on_server_event(milliseconds at, const ServerEvent& event) = 0;
    virtual void on_over(milliseconds at, std::string_view why) = 0;
    virtual void on_report(const CallReport& report) = 0;

protected:
    ~RunObserver() = default;
};

/// All calls of one `oavc call`, one after another, on one shard and the calling thread.
class CallRun {
public:
    /// `config`: the server's, for ports, tokens and the dialogue.
    CallRun(Options options, config::Config config, RunObserver& observer);
    CallRun(const CallRun&) = delete;
    CallRun& operator=(const CallRun&) = delete;
    ~CallRun();

    /// Places the calls. Throws std::runtime_error for what keeps it from placing any. SIGINT and
    /// SIGTERM hang up politely.
    const std::vector<CallReport>& run();

    bool stopped() const noexcept { return stopped_; }  ///< by a signal

private:
    struct Watching;

    void wait_for_signal();
    asio::awaitable<void> place_calls();
    asio::awaitable<void> open_box();
    asio::awaitable<bool> wait_for_server(std::string where);
    asio::awaitable<void> place_call(std::size_t index);
    std::unique_ptr<Line> make_line();
    SipLine::Config sip_line() const;
    std::string towards() const;
    static asio::awaitable<void> follow(std::shared_ptr<Watching> watching);
    static asio::awaitable<void> until_stopped(const Watching& watching);
    void begin_watch(const std::string& native_id);
    Conversation::Listener listener(const Line& line);
    asio::awaitable<std::vector<TurnReport>> analyse_aside(const CallFacts& facts);
    Recogniser recogniser(std::span<const ServerEvent> events);
    std::string judge(
        const Conversation& conversation,
        Conversation::End end,
        const CallReport& report,
        const std::string& watch_problem
    ) const;
    void record(const Tape& tape, std::size_t index, CallReport& report) const;
    void wind_up();

    // Given to us.
    Options options_;
    const config::Config config_;
    RunObserver& observer_;
    const bool demonstration_;
    // Owned.
    async::Shard shard_{0};
    asio::signal_set signals_;
    std::optional<OpenSipsBox> box_;
    std::vector<Utterance> utterances_;
    std::optional<services::PhraseRecognizer> ear_;  ///< used on listener_ only
    std::string deaf_;                               ///< why there is none; the same
    async::WorkerPool listener_{1, 1};  ///< recognises while the shard keeps answering MI
    // State.
    std::vector<CallReport> reports_;
    Conversation* conversation_{nullptr};
    std::shared_ptr<Watching> watching_;  ///< shared with the coroutine that runs it
    milliseconds server_answered_{0};
    bool stopped_{false};
    std::exception_ptr failure_;
    async::TaskGroup tasks_;
};

}  // namespace oavc::caller
