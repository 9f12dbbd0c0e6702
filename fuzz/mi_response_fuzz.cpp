// What comes back to our MI socket; and our own requests, which must be JSON whatever is in them.
#include "base/bytes.hpp"
#include "transports/opensips/mi_protocol.hpp"
#include "transports/opensips/subscription.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace oavc;
    using namespace oavc::transports::opensips;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
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
    return 0;
}
