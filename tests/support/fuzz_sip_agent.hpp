#pragma once

#include "sip/user_agent.hpp"

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

/// What must hold for any input: run by the fuzzer, and by ctest over its corpus and past crashes.
namespace oavc::test {

/// Puts what cannot be guessed into an input: "$T" our tag in the latest response, "$B" "$I" "$F"
/// the branch, Call-ID and From tag of our latest request.
class SipFuzzNames {
public:
    void note(const sip::Message& sent) {
        if (!sent.is_request()) {
            tag_ = sent.to().tag;
            return;
        }
        if (const auto via = sent.top_via()) branch_ = via->branch;
        call_id_ = sent.get("Call-ID");
        from_tag_ = sent.from().tag;
    }
    std::string put_into(std::string_view text) const {
        std::string out;
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char next = i + 1 < text.size() ? text[i + 1] : '\0';
            const std::string* name = text[i] != '$' ? nullptr
                                      : next == 'T'  ? &tag_
                                      : next == 'B'  ? &branch_
                                      : next == 'I'  ? &call_id_
                                      : next == 'F'  ? &from_tag_
                                                     : nullptr;
            if (name == nullptr) {
                out += text[i];
            } else {
                out += *name;
                ++i;
            }
        }
        return out;
    }

private:
    std::string tag_{"t"};
    std::string branch_{"z9hG4bKb"};
    std::string call_id_{"i"};
    std::string from_tag_{"f"};
};

/// Datagrams for a user agent, separated by "\n%%\n" or, with what we wish of the call, "\n%a\n"
/// (answer), h (hang up), r (reject), o (hold), x (transfer), d (press a key), c (call somebody),
/// t (a minute passes). Aborts when the agent sends what it could not read itself, or never rests.
inline void fuzz_sip_agent(std::string_view input) {
    using namespace sip;
    UserAgent::Settings settings;
    settings.call.credentials = {"user", "password"};
    UserAgent agent{settings, [](const Target&) { return std::string{"192.0.2.1:8089"}; }};
    TimePoint now{TimePoint{} + std::chrono::hours{1}};
    Target from;
    from.address = "192.0.2.9";
    const LocalMedia media{"192.0.2.1", 35000, 1, 1};
    SipFuzzNames names;
    std::uint64_t number = 0;

    const auto settle = [&] {
        std::size_t actions = 0;
        while (auto action = agent.next_action()) {
            if (++actions > 10'000) std::abort();
            if (const auto* incoming = std::get_if<UserAgent::Incoming>(&*action)) {
                number = incoming->number;
            } else if (const auto* send = std::get_if<UserAgent::Send>(&*action)) {
                const auto read = parse_message(send->bytes);
                if (read && !read->flaw) names.note(read->message);
            }
        }
    };
    const auto pass = [&](Clock::duration time) {
        const auto until = now + time;
        for (int i = 0; i < 10'000; ++i) {
            const auto next = agent.next_deadline();
            if (!next || *next > until) break;
            if (i == 9'999) std::abort();
            now = std::max(now, *next);
            agent.on_time(now);
            settle();
        }
        now = until;
    };
    const auto wish = [&](char what) {
        if (what == 't') return pass(std::chrono::minutes{1});
        if (what == 'c') {
            auto& call = agent.dial({"sip:you@192.0.2.9", "sip:me@192.0.2.1", from});
            number = call.number();
            call.start(media, now);
        } else if (auto* call = agent.call(number)) {
            if (what == 'a') call->answer(media, now);
            if (what == 'h') call->hang_up(now);
            if (what == 'r') call->reject(486, {}, {}, now);
            if (what == 'o') call->hold(true, now);
            if (what == 'x') call->transfer("sip:other@192.0.2.9", {}, now);
            if (what == 'd') call->send_digit('5', now);
        }
        agent.touched(number, now);
        settle();
    };

    (void)next_in_stream(input);
    while (!input.empty()) {
        auto end = input.find("\n%");
        while (end != std::string_view::npos && (end + 3 >= input.size() || input[end + 3] != '\n'))
            end = input.find("\n%", end + 1);
        const auto datagram = input.substr(0, end);
        agent.on_bytes(names.put_into(datagram), from, now);
        settle();
        if (end == std::string_view::npos) break;
        wish(input[end + 2]);
        input.remove_prefix(end + 4);
        pass(std::chrono::milliseconds{100});
    }
    // However it went, everything ends by itself once calls are hung up.
    for (std::uint64_t one = 1; one < 10'000 && agent.call(one) != nullptr; ++one) {
        number = one;
        wish('h');
    }
    pass(std::chrono::minutes{5});
    if (agent.stats().calls > 0 && agent.call(1) != nullptr) std::abort();
}

}  // namespace oavc::test
