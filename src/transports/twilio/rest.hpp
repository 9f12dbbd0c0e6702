#pragma once

#include "async/awaitable.hpp"
#include "async/shard.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/http.hpp"
#include "observability/log.hpp"
#include "transports/errors.hpp"
#include "transports/twilio/config.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

/// Twilio's REST interface (version 2010-04-01), as far as calls need it. What is asked and what
/// the answers mean is sans-I/O; RestClient carries it.
namespace oavc::transports::twilio {

/// What is asked of the account's calls: a form to POST.
struct RestRequest {
    std::string path;  ///< below Config::api_url
    std::string body;
    /// Asking twice does no harm. Placing a call is not of that kind: it would ring twice.
    bool repeatable{true};
};

/// Ends a call in whatever state it is: ringing, or answered.
RestRequest hang_up_request(std::string_view account_sid, std::string_view call_sid);

/// Replaces what the call does by a document (twiml.hpp). A connected media stream ends by it.
/// Error: bad_target when the document is longer than Twilio takes (4000 characters).
Result<RestRequest> redirect_request(
    std::string_view account_sid, std::string_view call_sid, std::string_view document
);

struct NewCall {
    std::string to;    ///< E.164, or a SIP URI
    std::string from;  ///< a number of the account's, or one that it has verified
    std::string answer_url;
    std::string status_url;
    std::chrono::seconds ringing{60};  ///< Twilio's Timeout: at most 600
};
RestRequest place_request(std::string_view account_sid, const NewCall& call);

/// What came of a request.
struct RestAnswer {
    error_code error;      ///< CallControlErrc; none: done
    std::string call_sid;  ///< of what was done
    bool again{false};     ///< it was not done; asking again later makes sense
    std::optional<milliseconds> retry_after;
    int status{0};
    int code{0};          ///< Twilio's own, such as 21211; 0: none told
    std::string message;  ///< Twilio's own, for the log
};

/// Reads an untrusted answer. 401 and 403: unavailable (the account is not ours). 404, and 400 with
/// code 21220: gone. 429: no_capacity, again. 5xx: unavailable, again if that is harmless. Numbers
/// that Twilio does not take: bad_target; that it must not or cannot call: refused, not_found.
RestAnswer read_answer(const RestRequest& request, const net::HttpResponse& response);

/// No answer came at all.
RestAnswer read_failure(const RestRequest& request, const error_code& error);

/// How long to wait before attempt number `attempt` (from 2), or nothing when enough is enough.
/// Exponential with jitter, or what Retry-After says. `random`: any number.
std::optional<milliseconds> wait_before(
    int attempt, const RestAnswer& last, milliseconds spent, std::uint32_t random
) noexcept;

/// A number as Twilio wants it: '+' and digits, from "tel:+49 30 12-34" too; SIP URIs and
/// "client:NAME" stay as they are. Error: bad_target.
Result<std::string> dial_target(std::string_view target);

/// Asks Twilio: one connection per request, TLS verified. Repeats what may be repeated, for
/// `longest` at most. Immutable: any thread. Errors: CallControlErrc.
class RestClient {
public:
    static constexpr milliseconds longest{8'000};

    RestClient(const Config& config, log::Logger log);

    /// There is an account to ask for.
    bool usable() const noexcept;

    /// A call that is over already counts as hung up.
    asio::awaitable<Result<void>> hang_up(async::Shard& shard, std::string call_sid) const;
    asio::awaitable<Result<void>> redirect(
        async::Shard& shard, std::string call_sid, std::string document
    ) const;
    /// The new call's SID.
    asio::awaitable<Result<std::string>> place(async::Shard& shard, NewCall call) const;

private:
    asio::awaitable<RestAnswer> ask(async::Shard& shard, RestRequest request) const;

    const std::string api_url_;  ///< without a last slash
    const std::string ca_file_;
    const std::string account_sid_;
    const std::string authorization_;  ///< secret; empty: no account
    const milliseconds timeout_;
    log::Logger log_;
};

}  // namespace oavc::transports::twilio
