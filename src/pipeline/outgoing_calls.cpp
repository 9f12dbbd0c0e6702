#include "pipeline/outgoing_calls.hpp"

#include "async/deadline.hpp"
#include "base/random.hpp"

#include <boost/asio/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <utility>

namespace oavc::pipeline {

using transports::CallControlErrc;

namespace {

constexpr std::size_t longest_target = 128;  ///< bounds std::regex, too

/// Another carrier may do better.
bool elsewhere(const error_code& error) noexcept {
    return error == CallControlErrc::unavailable || error == CallControlErrc::no_capacity ||
           error == CallControlErrc::not_supported || error == OutgoingErrc::no_sign;
}

std::string sentence(const error_code& error) {
    if (error == CallControlErrc::unavailable) {
        return "no carrier works: the server's log says why";
    }
    if (error == CallControlErrc::no_capacity) {
        return "all places are taken: [limits] max_calls, or the RTP ports";
    }
    return error.message();
}

}  // namespace

std::string_view describe(OutgoingErrc code) noexcept {
    switch (code) {
        case OutgoingErrc::off:
            return "outgoing calls are off: set [telephony] dial_allowed to patterns of the "
                   "numbers that may be called";
        case OutgoingErrc::not_allowed:
            return "no pattern of [telephony] dial_allowed matches the number";
        case OutgoingErrc::no_such_agent:
            return "there is no agent of that name";
        case OutgoingErrc::draining:
            return "the server is being stopped: no new calls";
        case OutgoingErrc::no_carrier:
            return "no carrier that is configured can place calls";
        case OutgoingErrc::no_sign:
            return "no carrier gave a sign in time; the call was withdrawn";
    }
    return "unknown error of outgoing calls";
}

Result<std::string> canonical_target(std::string_view target) {
    while (target.starts_with(' '))
        target.remove_prefix(1);
    while (target.ends_with(' '))
        target.remove_suffix(1);
    const bool clean = std::all_of(target.begin(), target.end(), [](char c) {
        return c >= ' ' && c < 0x7F && c != '<' && c != '>' && c != '"';
    });
    if (target.empty() || target.size() > longest_target || !clean) {
        return CallControlErrc::bad_target;
    }
    const auto colon = target.find(':');
    std::string scheme{target.substr(0, colon == std::string_view::npos ? 0 : colon)};
    for (char& c : scheme)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool address = scheme == "sip" || scheme == "sips" || scheme == "client";
    if (address || (scheme.empty() && target.find('@') != std::string_view::npos)) {
        const auto rest = address ? target.substr(colon + 1) : target;
        // '?' would add headers to the request (RFC 3261 §19.1.1).
        if (rest.find_first_of(" ?") != std::string_view::npos || rest.empty() ||
            rest.front() == '@' || rest.back() == '@') {
            return CallControlErrc::bad_target;
        }
        return (address ? scheme : std::string{"sip"}) + ':' + std::string{rest};
    }
    if (scheme == "tel") target.remove_prefix(4);
    std::string number;
    for (const char c : target) {
        if ((c >= '0' && c <= '9') || (c == '+' && number.empty())) {
            number += c;
        } else if (std::string_view{" -.()/"}.find(c) == std::string_view::npos) {
            return CallControlErrc::bad_target;
        }
    }
    const auto digits = number.size() - (number.starts_with('+') ? 1 : 0);
    if (digits == 0 || digits > 20) return CallControlErrc::bad_target;
    return number;
}

struct OutgoingCalls::Patterns {
    std::vector<std::regex> allowed;
};

OutgoingCalls::OutgoingCalls(
    OutgoingConfig config, std::vector<std::string> agents, log::Logger log
)
    : config_{std::move(config)},
      agents_{std::move(agents)},
      patterns_{std::make_unique<Patterns>()},
      log_{std::move(log)} {
    for (const auto& pattern : config_.dial_allowed) {
        patterns_->allowed.emplace_back(pattern, std::regex::ECMAScript);
    }
}

OutgoingCalls::~OutgoingCalls() = default;

void OutgoingCalls::add_carrier(std::string name, transports::Dialer& dialer) {
    carriers_.push_back({std::move(name), &dialer});
}

asio::awaitable<Result<PlacedCall, DialProblem>> OutgoingCalls::place(
    async::Shard& shard, transports::DialRequest request
) {
    const auto problem = [](error_code code) { return DialProblem{code, sentence(code)}; };
    if (patterns_->allowed.empty()) co_return problem(OutgoingErrc::off);
    const auto target = canonical_target(request.to);
    if (!target) co_return problem(target.error());
    const bool allowed = std::any_of(
        patterns_->allowed.begin(),
        patterns_->allowed.end(),
        [&target](const std::regex& pattern) { return std::regex_match(*target, pattern); }
    );
    if (!allowed) {
        log_.warn("an outgoing call was not allowed", log::kv("to", log::pii(*target)));
        co_return problem(OutgoingErrc::not_allowed);
    }
    if (!request.agent.empty() && std::ranges::find(agents_, request.agent) == agents_.end()) {
        co_return DialProblem{
            OutgoingErrc::no_such_agent,
            fmt::format("there is no such agent; known are {}", fmt::join(agents_, ", "))};
    }
    /// Counts for as long as this coroutine lives.
    struct UnderWay {
        explicit UnderWay(std::atomic<int>& n) : number{n} { ++number; }
        UnderWay(const UnderWay&) = delete;
        UnderWay& operator=(const UnderWay&) = delete;
        ~UnderWay() { --number; }
        std::atomic<int>& number;
    };
    const UnderWay under_way{under_way_};
    if (draining_.load()) co_return problem(OutgoingErrc::draining);

    request.id = random_hex(8);
    request.to = *target;
    if (request.from.empty()) request.from = config_.dial_from;
    request.patience = std::clamp(request.patience, shortest_patience, longest_patience);
    const TimePoint deadline = Clock::now() + longest_wait;
    error_code last = OutgoingErrc::no_carrier;
    for (std::size_t i = 0; i < carriers_.size(); ++i) {
        const auto& carrier = carriers_[i];
        const auto share =
            (deadline - Clock::now()) / static_cast<Clock::rep>(carriers_.size() - i);
        auto dialling = carrier.dialer->dial(shard, request);
        auto dialled = co_await async::with_deadline(std::move(dialling), share);
        if (dialled) {
            log_.info(
                "placing a call",
                log::kv("call", request.id),
                log::kv("via", dialled->via),
                log::kv("native_id", dialled->native_id),
                log::kv("to", log::pii(request.to))
            );
            co_return PlacedCall{
                request.id, std::move(dialled->via), std::move(dialled->native_id)};
        }
        last = dialled.error();
        if (last == asio::error::timed_out) last = OutgoingErrc::no_sign;
        log_.warn(
            "a carrier did not place a call",
            log::kv("call", request.id),
            log::kv("via", carrier.name),
            log::kv("error", last),
            log::kv("next", elsewhere(last) && i + 1 < carriers_.size())
        );
        if (!elsewhere(last)) break;
    }
    co_return problem(last);
}

}  // namespace oavc::pipeline
