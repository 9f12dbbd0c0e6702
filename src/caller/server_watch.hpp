#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller {

/// Where the server says the silence before a reply went.
struct Stages {
    double endpointing_ms{0};
    double stt_ms{0};
    double llm_ms{0};
    double tts_ms{0};
    double playout_ms{0};
};

/// One event of the call as the server's control API tells it.
struct ServerEvent {
    std::uint64_t number{0};
    std::string kind;  ///< "caller_said", "sentence", …: pipeline::CallEvent::Kind
    milliseconds since_start{0};
    std::uint32_t turn{0};
    std::string text;
    bool interrupted{false};
    std::optional<Stages> stages;  ///< of reply_started
};

struct EventsPage {
    std::string session;
    std::uint64_t next{0};
    bool complete{false};
    std::vector<ServerEvent> events;
};

/// Parses the answer of /api/v1/calls/{id}/events. Unknown members are ignored.
Result<EventsPage> parse_events_page(std::string_view body);

/// Follows one call through the server's control API while it happens. Thread: its shard.
class ServerWatch {
public:
    struct Config {
        std::string base_url{"http://127.0.0.1:8088"};
        std::string token;      ///< secret
        std::string ca_file{};  ///< of https: PEM to trust instead of the system's store
    };

    ServerWatch(
        async::Shard& shard,
        Config config,
        std::string native_id,
        std::function<void(const ServerEvent&)> on_event
    );

    /// Ends when the call is over and everything has been told, or when cancelled, or when the
    /// server does not let us watch (`problem()`).
    asio::awaitable<void> run();

    const std::vector<ServerEvent>& events() const noexcept { return events_; }
    const std::string& session() const noexcept { return session_; }
    bool complete() const noexcept { return complete_; }
    const std::string& problem() const noexcept { return problem_; }

private:
    async::Shard& shard_;
    Config config_;
    std::string native_id_;
    std::function<void(const ServerEvent&)> on_event_;
    std::vector<ServerEvent> events_;
    std::string session_;
    bool complete_{false};
    std::string problem_;
};

}  // namespace oavc::caller
