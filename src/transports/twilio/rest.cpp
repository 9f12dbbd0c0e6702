#include "transports/twilio/rest.hpp"

#include "async/deadline.hpp"
#include "base/base64.hpp"
#include "base/random.hpp"
#include "net/http_client.hpp"

#include <boost/asio/error.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <span>
#include <utility>

namespace oavc::transports::twilio {

namespace json = boost::json;

namespace {

constexpr std::size_t longest_document = 4000;  ///< Twilio error 32018
constexpr int most_attempts = 4;
constexpr milliseconds first_wait{200};
constexpr milliseconds longest_wait{5000};
constexpr std::chrono::seconds longest_ringing{600};
constexpr std::size_t longest_target = 256;

std::string form_encoded(std::string_view text) {
    static constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.') {
            out += c;
        } else {
            out += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return out;
}

void add_field(std::string& form, std::string_view name, std::string_view value) {
    if (!form.empty()) form += '&';
    form.append(name).append("=").append(form_encoded(value));
}

std::string calls_path(std::string_view account_sid) {
    return fmt::format("/2010-04-01/Accounts/{}/Calls", form_encoded(account_sid));
}

std::string call_path(std::string_view account_sid, std::string_view call_sid) {
    return fmt::format("{}/{}.json", calls_path(account_sid), form_encoded(call_sid));
}

/// Twilio's codes of requests that were understood and not done.
CallControlErrc meaning_of(int code) noexcept {
    switch (code) {
        case 20404:  // no such call
        case 21220:  // the call is not in a state that allows this: usually over
            return CallControlErrc::gone;
        case 13223:  // the number of a <Dial> or To is no phone number
        case 13224:
        case 21201:  // no To
        case 21211:  // To is no phone number
        case 21217:
            return CallControlErrc::bad_target;
        case 21214:  // To cannot be reached
            return CallControlErrc::not_found;
        default:
            return CallControlErrc::refused;
    }
}

std::optional<milliseconds> seconds_in(std::string_view text) noexcept {
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || end != text.data() + text.size() || seconds < 0) return {};
    return milliseconds{std::min<std::int64_t>(seconds, 3600) * 1000};
}

std::string text_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string{value->get_string()}
                                                  : std::string{};
}

std::string basic(const std::string& user, const std::string& password) {
    if (user.empty() || password.empty()) return {};
    const std::string both = user + ':' + password;
    return "Basic " + base64::encode(std::as_bytes(std::span{both}));
}

std::string without_last_slash(std::string url) {
    while (url.ends_with('/'))
        url.pop_back();
    return url;
}

}  // namespace

RestRequest hang_up_request(std::string_view account_sid, std::string_view call_sid) {
    // "completed" ends ringing calls too; "canceled" would not end answered ones.
    return {call_path(account_sid, call_sid), "Status=completed", true};
}

Result<RestRequest> redirect_request(
    std::string_view account_sid, std::string_view call_sid, std::string_view document
) {
    if (document.size() > longest_document) return CallControlErrc::bad_target;
    RestRequest request{call_path(account_sid, call_sid), {}, true};
    add_field(request.body, "Twiml", document);
    return request;
}

RestRequest place_request(std::string_view account_sid, const NewCall& call) {
    RestRequest request{calls_path(account_sid) + ".json", {}, false};
    auto& form = request.body;
    add_field(form, "To", call.to);
    add_field(form, "From", call.from);
    add_field(form, "Url", call.answer_url);
    add_field(form, "Method", "POST");
    add_field(form, "StatusCallback", call.status_url);
    add_field(form, "StatusCallbackMethod", "POST");
    for (const std::string_view event : {"initiated", "ringing", "answered", "completed"}) {
        add_field(form, "StatusCallbackEvent", event);
    }
    const auto ringing = std::clamp(call.ringing, std::chrono::seconds{1}, longest_ringing).count();
    add_field(form, "Timeout", std::to_string(ringing));
    return request;
}

RestAnswer read_answer(const RestRequest& request, const net::HttpResponse& response) {
    RestAnswer answer;
    answer.status = response.status;
    error_code not_json;
    const auto parsed = json::parse(response.body, not_json);
    if (const auto* object = not_json ? nullptr : parsed.if_object()) {
        answer.call_sid = text_of(*object, "sid");
        answer.message = text_of(*object, "message");
        if (const auto* code = object->if_contains("code"); code != nullptr && code->is_int64()) {
            answer.code = static_cast<int>(std::clamp<std::int64_t>(code->get_int64(), 0, 999'999));
        }
    }
    if (response.status >= 200 && response.status < 300) {
        // Without the SID a new call cannot be told from others.
        if (!request.repeatable && answer.call_sid.empty()) {
            answer.error = CallControlErrc::unavailable;
            answer.message = "the answer names no call";
        }
        return answer;
    }
    if (response.status == 429) {  // nothing was done: always safe to ask again
        answer.error = CallControlErrc::no_capacity;
        answer.again = true;
    } else if (response.status >= 500) {
        answer.error = CallControlErrc::unavailable;
        answer.again = request.repeatable;
    } else if (response.status == 404) {
        answer.error = request.repeatable ? CallControlErrc::gone : CallControlErrc::unavailable;
    } else if (response.status == 400) {
        answer.error = meaning_of(answer.code);
    } else {
        answer.error = CallControlErrc::unavailable;
    }
    if (const auto found = response.headers.find("Retry-After"); found != response.headers.end()) {
        answer.retry_after = seconds_in(found->second);
    }
    return answer;
}

RestAnswer read_failure(const RestRequest& request, const error_code& error) {
    RestAnswer answer;
    answer.error = CallControlErrc::unavailable;
    // A refused connection carried nothing.
    answer.again = request.repeatable || error == asio::error::connection_refused;
    answer.message = error.message();
    return answer;
}

std::optional<milliseconds> wait_before(
    int attempt, const RestAnswer& last, milliseconds spent, std::uint32_t random
) noexcept {
    if (!last.again || attempt > most_attempts) return std::nullopt;
    const auto usual = first_wait * (1 << std::clamp(attempt - 2, 0, 8));
    auto wait = usual + usual * static_cast<int>(random % 100) / 100;
    if (last.retry_after) wait = std::max(wait, *last.retry_after);
    if (wait > longest_wait || spent + wait >= RestClient::longest) return std::nullopt;
    return wait;
}

Result<std::string> dial_target(std::string_view target) {
    while (!target.empty() && target.front() == ' ')
        target.remove_prefix(1);
    while (!target.empty() && target.back() == ' ')
        target.remove_suffix(1);
    const bool clean = std::all_of(target.begin(), target.end(), [](char c) {
        return c >= ' ' && c < 0x7F && c != '<' && c != '>' && c != '"';
    });
    if (target.empty() || target.size() > longest_target || !clean) {
        return CallControlErrc::bad_target;
    }
    const auto is_address = [target](std::string_view scheme) {
        return target.starts_with(scheme) && target.size() > scheme.size() &&
               target.find(' ') == std::string_view::npos;
    };
    if (is_address("client:")) return std::string{target};
    if ((is_address("sip:") || is_address("sips:")) && target.find('@') != std::string_view::npos) {
        return std::string{target};
    }
    if (target.starts_with("tel:")) target.remove_prefix(4);
    std::string number;
    for (const char c : target) {
        if (c >= '0' && c <= '9') {
            number += c;
        } else if (c == '+' && number.empty()) {
            number += c;
        } else if (std::string_view{" -.()/"}.find(c) == std::string_view::npos) {
            return CallControlErrc::bad_target;
        }
    }
    const auto digits = number.size() - (number.starts_with('+') ? 1 : 0);
    if (digits < 3 || digits > 20) return CallControlErrc::bad_target;
    return number;
}

RestClient::RestClient(const Config& config, log::Logger log)
    : api_url_{without_last_slash(config.api_url)},
      ca_file_{config.api_ca_file},
      account_sid_{config.account_sid},
      authorization_{basic(config.account_sid, config.auth_token)},
      timeout_{config.api_timeout},
      log_{std::move(log)} {}

bool RestClient::usable() const noexcept { return !authorization_.empty() && !api_url_.empty(); }

asio::awaitable<RestAnswer> RestClient::ask(async::Shard& shard, RestRequest request) const {
    const TimePoint began = Clock::now();
    for (int attempt = 1;; ++attempt) {
        net::HttpClientRequest http;
        http.method = "POST";
        http.url = api_url_ + request.path;
        http.headers.emplace("Authorization", authorization_);
        http.headers.emplace("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
        http.headers.emplace("Accept", "application/json");
        http.body = request.body;
        http.tls.ca_file = ca_file_;
        http.max_body = 256 * 1024;
        const auto response = co_await net::http_request(shard, std::move(http), timeout_);
        auto answer =
            response ? read_answer(request, *response) : read_failure(request, response.error());
        if (!answer.error) co_return answer;
        const auto spent = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
        const auto wait = wait_before(attempt + 1, answer, spent, random_u32());
        log_.warn(
            "Twilio's REST interface did not do what it was asked",
            log::kv("status", answer.status),
            log::kv("code", answer.code),
            log::kv("message", log::pii(answer.message)),
            log::kv("attempt", attempt),
            log::kv("again", wait.has_value())
        );
        if (!wait) co_return answer;
        if (!co_await async::sleep_for(*wait)) {
            answer.error = asio::error::operation_aborted;
            co_return answer;
        }
    }
}

asio::awaitable<Result<void>> RestClient::hang_up(async::Shard& shard, std::string call_sid) const {
    if (!usable()) co_return CallControlErrc::not_supported;
    auto request = hang_up_request(account_sid_, call_sid);
    const auto answer = co_await ask(shard, std::move(request));
    if (answer.error && answer.error != CallControlErrc::gone) co_return answer.error;
    co_return Result<void>{};
}

asio::awaitable<Result<void>> RestClient::redirect(
    async::Shard& shard, std::string call_sid, std::string document
) const {
    if (!usable()) co_return CallControlErrc::not_supported;
    auto request = redirect_request(account_sid_, call_sid, document);
    if (!request) co_return request.error();
    const auto answer = co_await ask(shard, std::move(*request));
    if (answer.error) co_return answer.error;
    co_return Result<void>{};
}

asio::awaitable<Result<std::string>> RestClient::place(async::Shard& shard, NewCall call) const {
    if (!usable()) co_return CallControlErrc::not_supported;
    auto request = place_request(account_sid_, call);
    auto answer = co_await ask(shard, std::move(request));
    if (answer.error) co_return answer.error;
    co_return std::move(answer.call_sid);
}

}  // namespace oavc::transports::twilio
