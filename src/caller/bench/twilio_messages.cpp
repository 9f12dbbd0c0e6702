#include "caller/bench/twilio_messages.hpp"

#include "base/base64.hpp"
#include "base/random.hpp"
#include "caller/twilio_peer.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace oavc::caller::bench {

namespace {

/// Appends to memory that its caller knows to be large enough.
class Text {
public:
    explicit Text(char* to) noexcept : begin_{to}, end_{to} {}

    Text& operator<<(std::string_view text) noexcept {
        std::memcpy(end_, text.data(), text.size());
        end_ += text.size();
        return *this;
    }
    Text& operator<<(std::int64_t number) noexcept {
        end_ = std::to_chars(end_, end_ + 20, number).ptr;
        return *this;
    }
    Text& base64(std::span<const std::byte> bytes) noexcept {
        end_ += oavc::base64::encode(bytes, end_);
        return *this;
    }
    std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - begin_); }

private:
    char* begin_;
    char* end_;
};

void set_sid(char (&to)[35], std::string_view kind) {
    const auto digits = random_hex(16);
    std::memcpy(to, kind.data(), 2);
    std::memcpy(to + 2, digits.data(), 32);
}

/// The text of the member `name`, up to its closing quote; nothing unless it is a string.
std::string_view member(std::string_view message, std::string_view quoted_name) noexcept {
    constexpr std::string_view blank = " \t\r\n";
    auto at = message.find(quoted_name);
    if (at == std::string_view::npos) return {};
    at = message.find_first_not_of(blank, at + quoted_name.size());
    if (at == std::string_view::npos || message[at] != ':') return {};
    at = message.find_first_not_of(blank, at + 1);
    if (at == std::string_view::npos || message[at] != '"') return {};
    const auto begin = at + 1;
    for (at = begin; at < message.size() && message[at] != '"'; ++at) {
        if (message[at] == '\\') ++at;
    }
    return at < message.size() ? message.substr(begin, at - begin) : std::string_view{};
}

}  // namespace

TwilioIds TwilioIds::make() {
    TwilioIds ids;
    set_sid(ids.call_sid, "CA");
    set_sid(ids.stream_sid, "MZ");
    return ids;
}

std::string webhook_request(const TwilioWebhook& webhook, std::string_view call_sid) {
    TwilioPeer::Identity identity;
    identity.account_sid = bench_account;
    identity.call_sid = call_sid;
    identity.from = webhook.from;
    identity.to = webhook.to;
    const auto parameters = TwilioPeer{std::move(identity)}.webhook_parameters();
    const auto body = form_encoded(parameters);
    return fmt::format(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "X-Twilio-Signature: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        webhook.host,
        twilio_signature(webhook.token, webhook.url, parameters),
        body.size(),
        body
    );
}

std::string connected_message() {
    return R"({"event":"connected","protocol":"Call","version":"1.0.0"})";
}

std::string start_message(
    const TwilioIds& ids, const std::map<std::string, std::string>& parameters
) {
    boost::json::object custom;
    for (const auto& [name, value] : parameters)
        custom[name] = value;
    return fmt::format(
        R"({{"event":"start","sequenceNumber":"1","start":{{"accountSid":"{}","streamSid":"{}",)"
        R"("callSid":"{}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw",)"
        R"("sampleRate":8000,"channels":1}},"customParameters":{}}},"streamSid":"{}"}})",
        bench_account,
        ids.stream_sid,
        ids.call_sid,
        boost::json::serialize(custom),
        ids.stream_sid
    );
}

std::size_t TwilioCounter::media(
    char* to, const TwilioIds& ids, std::span<const std::byte> ulaw, milliseconds since_start
) noexcept {
    Text text{to};
    text << R"({"event":"media","sequenceNumber":")" << ++sequence_
         << R"(","media":{"track":"inbound","chunk":")" << ++chunk_ << R"(","timestamp":")"
         << since_start.count() << R"(","payload":")";
    text.base64(ulaw) << R"("},"streamSid":")" << ids.stream_sid << R"("})";
    return text.size();
}

std::size_t TwilioCounter::mark(char* to, const TwilioIds& ids, std::string_view name) noexcept {
    Text text{to};
    text << R"({"event":"mark","sequenceNumber":")" << ++sequence_ << R"(","streamSid":")"
         << ids.stream_sid << R"(","mark":{"name":")" << name << R"("}})";
    return text.size();
}

std::size_t TwilioCounter::dtmf(char* to, const TwilioIds& ids, char digit) noexcept {
    Text text{to};
    text << R"({"event":"dtmf","streamSid":")" << ids.stream_sid << R"(","sequenceNumber":")"
         << ++sequence_ << R"(","dtmf":{"track":"inbound_track","digit":")"
         << std::string_view{&digit, 1} << R"("}})";
    return text.size();
}

std::size_t TwilioCounter::stop(char* to, const TwilioIds& ids) noexcept {
    Text text{to};
    text << R"({"event":"stop","sequenceNumber":")" << ++sequence_ << R"(","streamSid":")"
         << ids.stream_sid << R"(","stop":{"accountSid":")" << bench_account << R"(","callSid":")"
         << ids.call_sid << R"("}})";
    return text.size();
}

TwilioOrder read_order(std::string_view message, const TwilioIds& ids) noexcept {
    TwilioOrder order;
    if (!message.starts_with('{') || member(message, R"("streamSid")") != ids.stream_sid) {
        return order;
    }
    const auto event = member(message, R"("event")");
    if (event == "clear") {
        order.kind = TwilioOrder::Kind::clear;
    } else if (event == "media") {
        order.text = member(message, R"("payload")");
        if (!order.text.empty()) order.kind = TwilioOrder::Kind::media;
    } else if (event == "mark") {
        order.text = member(message, R"("name")");
        const bool fits = !order.text.empty() && order.text.size() <= longest_mark_name;
        if (fits) order.kind = TwilioOrder::Kind::mark;
    }
    return order;
}

}  // namespace oavc::caller::bench
