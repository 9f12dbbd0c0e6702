#pragma once

#include "base/bytes.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/mi_protocol.hpp"
#include "transports/opensips/subscription.hpp"
#include "transports/opensips/ua_session.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

/// What must hold for any input: run by the fuzzers, and by ctest over their corpora and past
/// crashes.
namespace oavc::test {

/// Events, and the life of a call made of them: one datagram per line. Aborts on a broken promise.
inline void fuzz_opensips_event(std::string_view rest) {
    using namespace transports::opensips;
    std::optional<UaSession> session;
    TimePoint now{};
    std::size_t requests = 0;
    while (!rest.empty()) {
        const auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        now += milliseconds{500};
        const auto event = parse_event(as_bytes(line));
        if (!event) continue;
        if (write_mi_request(1, reply_to_unknown(*event)).has_error()) std::abort();
        if (!session) {
            session.emplace(*event, UaSession::Settings{});
            if (line.size() % 2 == 0) session->answer({"192.0.2.1", 35000, 1, 1});
        } else {
            session->on_event(*event, now);
        }
        session->on_time(now);
        if (line.size() % 7 == 0) (void)session->transfer("sip:a@b", now);
        while (auto action = session->next_action()) {
            const auto* send = std::get_if<UaSession::SendMi>(&*action);
            if (send == nullptr) continue;
            if (++requests > 100'000) std::abort();
            if (write_mi_request(send->token, send->command).has_error()) std::abort();
            MiOutcome outcome;
            if (line.size() % 3 != 0) {
                outcome.response.emplace();
                outcome.response->ok = line.size() % 5 != 0;
                outcome.response->code = 500;
            }
            session->on_mi(send->token, outcome, now);
        }
    }
    if (session) {
        (void)session->take_leftovers();
        if (!session->finished()) std::abort();
    }
}

/// What comes back to our MI socket; and our own requests, which must be JSON whatever is in them.
inline void fuzz_mi_response(std::string_view text) {
    using namespace transports::opensips;
    const auto response = parse_mi_response(as_bytes(text));
    if (response) {
        for (const auto& session : response->sessions)
            (void)session.created();
        Subscription subscription{{.socket = "udp:127.0.0.1:8090"}};
        subscription.start({});
        for (int i = 0; i < 20; ++i) {
            if (const auto action = subscription.next_action()) {
                const auto* send = std::get_if<Subscription::SendMi>(&*action);
                if (send != nullptr) subscription.on_mi(send->token, {*response}, {});
            } else if (const auto deadline = subscription.next_deadline()) {
                subscription.on_time(*deadline);
            } else {
                std::abort();  // it would never do anything again
            }
        }
    }
    const auto request =
        write_mi_request(1, ua_session_reply(text, text, 200, text, MiBody{std::string{text}}));
    if (request) {
        boost::system::error_code error;
        (void)boost::json::parse(*request, error);
        if (error) std::abort();
    }
}

}  // namespace oavc::test
