// Events, and the life of a call made of them: one datagram per line of the input.
#include "base/bytes.hpp"
#include "transports/opensips/event_protocol.hpp"
#include "transports/opensips/ua_session.hpp"

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace oavc;
    using namespace oavc::transports::opensips;
    std::string_view rest{reinterpret_cast<const char*>(data), size};
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
    return 0;
}
