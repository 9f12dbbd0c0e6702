#include "caller/twilio_peer.hpp"

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/units.hpp"
#include "caller/errors.hpp"
#include "media/g711.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace oavc::caller {

namespace json = boost::json;

namespace {

std::string base64(std::span<const std::byte> bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const int size = ::EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(out.data()),          // NOLINT
        reinterpret_cast<const unsigned char*>(bytes.data()),  // NOLINT
        static_cast<int>(bytes.size())
    );
    out.resize(static_cast<std::size_t>(size));
    return out;
}

std::optional<std::vector<std::byte>> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::vector<std::byte> out(text.size() / 4 * 3);
    const int size = ::EVP_DecodeBlock(
        reinterpret_cast<unsigned char*>(out.data()),         // NOLINT
        reinterpret_cast<const unsigned char*>(text.data()),  // NOLINT
        static_cast<int>(text.size())
    );
    if (size < 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    out.resize(static_cast<std::size_t>(size) - padding);
    return out;
}

ParseError twiml_error(std::size_t offset, std::string what) {
    return {CallerErrc::bad_twiml, offset, std::move(what)};
}

std::string unescaped(std::string_view text) {
    static constexpr std::array<std::pair<std::string_view, char>, 5> entities{
        {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
    std::string out;
    while (!text.empty()) {
        const auto entity = std::find_if(entities.begin(), entities.end(), [text](const auto& e) {
            return text.starts_with(e.first);
        });
        if (entity != entities.end()) {
            out += entity->second;
            text.remove_prefix(entity->first.size());
        } else {
            out += text.front();
            text.remove_prefix(1);
        }
    }
    return out;
}

struct Tag {
    std::string_view name;
    std::map<std::string, std::string> attributes;
    bool closing{false};
};

/// What stands between '<' and '>'.
Tag parse_tag(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n";
    Tag tag;
    tag.closing = text.starts_with('/');
    if (tag.closing) text.remove_prefix(1);
    if (text.ends_with('/')) text.remove_suffix(1);
    tag.name = text.substr(0, text.find_first_of(blank));
    text.remove_prefix(tag.name.size());
    for (;;) {
        text.remove_prefix(std::min(text.find_first_not_of(blank), text.size()));
        const auto equals = text.find('=');
        if (equals == std::string_view::npos || equals + 1 >= text.size()) break;
        const char quote = text[equals + 1];
        if (quote != '"' && quote != '\'') break;
        const auto end = text.find(quote, equals + 2);
        if (end == std::string_view::npos) break;
        tag.attributes[std::string{text.substr(0, equals)}] =
            unescaped(text.substr(equals + 2, end - equals - 2));
        text.remove_prefix(end + 1);
    }
    return tag;
}

}  // namespace

Result<StreamOrder, ParseError> parse_twiml(std::string_view document) {
    StreamOrder order;
    bool in_connect = false;
    bool in_response = false;
    for (std::size_t at = 0; (at = document.find('<', at)) != std::string_view::npos;) {
        const auto end = document.find('>', at);
        if (end == std::string_view::npos) return twiml_error(at, "the TwiML ends inside a tag");
        const auto text = document.substr(at + 1, end - at - 1);
        const std::size_t offset = at;
        at = end + 1;
        if (text.starts_with('?') || text.starts_with('!')) continue;
        Tag tag = parse_tag(text);
        if (tag.name == "Response") {
            in_response = !tag.closing;
        } else if (!in_response) {
            return twiml_error(offset, "the TwiML does not begin with <Response>");
        } else if (tag.name == "Connect") {
            in_connect = !tag.closing;
        } else if (tag.name == "Reject" || (tag.name == "Hangup" && order.url.empty())) {
            return twiml_error(
                offset, fmt::format("the connector refuses the call (<{}/>)", tag.name)
            );
        } else if (in_connect && tag.name == "Stream" && !tag.closing) {
            order.url = tag.attributes["url"];
            if (order.url.empty()) return twiml_error(offset, "<Stream> has no url");
            if (order.url.find('?') != std::string::npos) {
                return twiml_error(offset, "<Stream url> has a query string (Twilio error 31920)");
            }
        } else if (in_connect && tag.name == "Parameter" && !tag.closing) {
            order.parameters[tag.attributes["name"]] = tag.attributes["value"];
        }
    }
    if (order.url.empty())
        return twiml_error(document.size(), "the TwiML has no <Connect><Stream>");
    return order;
}

std::string twilio_signature(
    std::string_view token,
    std::string_view url,
    const std::map<std::string, std::string>& parameters
) {
    std::string data{url};
    for (const auto& [name, value] : parameters)
        data += name + value;  // std::map: byte order
    std::array<std::byte, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    ::HMAC(
        ::EVP_sha1(),
        token.data(),
        static_cast<int>(token.size()),
        reinterpret_cast<const unsigned char*>(data.data()),  // NOLINT
        data.size(),
        reinterpret_cast<unsigned char*>(digest.data()),  // NOLINT
        &size
    );
    return base64(std::span{digest}.first(size));
}

std::string form_encoded(const std::map<std::string, std::string>& parameters) {
    const auto encode = [](std::string& out, std::string_view text) {
        for (const char c : text) {
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
            if (plain) {
                out += c;
            } else if (c == ' ') {
                out += '+';
            } else {
                out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
            }
        }
    };
    std::string out;
    for (const auto& [name, value] : parameters) {
        if (!out.empty()) out += '&';
        encode(out, name);
        out += '=';
        encode(out, value);
    }
    return out;
}

TwilioPeer::Identity TwilioPeer::make_identity(
    std::string account_sid, std::string from, std::string to
) {
    if (account_sid.empty()) account_sid = "AC00000000000000000000000000000001";
    return {
        std::move(account_sid),
        "CA" + random_hex(16),
        "MZ" + random_hex(16),
        std::move(from),
        std::move(to)};
}

TwilioPeer::TwilioPeer(Identity identity) : identity_{std::move(identity)} {}

std::map<std::string, std::string> TwilioPeer::webhook_parameters() const {
    return {
        {"AccountSid", identity_.account_sid},
        {"ApiVersion", "2010-04-01"},
        {"CallSid", identity_.call_sid},
        {"CallStatus", "ringing"},
        {"Called", identity_.to},
        {"Caller", identity_.from},
        {"Direction", "inbound"},
        {"From", identity_.from},
        {"FromCity", ""},
        {"To", identity_.to},
    };
}

std::string TwilioPeer::head(std::string_view event) {
    return fmt::format(R"({{"event":"{}","sequenceNumber":"{}",)", event, ++sequence_);
}

void TwilioPeer::send_start(const std::map<std::string, std::string>& parameters, TimePoint now) {
    began_ = now;
    outgoing_.emplace_back(R"({"event":"connected","protocol":"Call","version":"1.0.0"})");
    json::object custom;
    for (const auto& [name, value] : parameters)
        custom[name] = value;
    const json::object start{
        {"accountSid", identity_.account_sid},
        {"streamSid", identity_.stream_sid},
        {"callSid", identity_.call_sid},
        {"tracks", {"inbound"}},
        {"mediaFormat", {{"encoding", "audio/x-mulaw"}, {"sampleRate", 8000}, {"channels", 1}}},
        {"customParameters", custom},
    };
    outgoing_.push_back(
        head("start") +
        fmt::format(
            R"("start":{},"streamSid":"{}"}})", json::serialize(start), identity_.stream_sid
        )
    );
}

void TwilioPeer::send_media(media::Samples samples, TimePoint now) {
    std::vector<std::byte> payload(samples.size());
    media::g711::ulaw_encode(samples, payload);
    const auto since_start = std::chrono::duration_cast<milliseconds>(now - began_).count();
    outgoing_.push_back(
        head("media") +
        fmt::format(
            R"("media":{{"track":"inbound","chunk":"{}","timestamp":"{}","payload":"{}"}},"streamSid":"{}"}})",
            ++chunk_,
            since_start,
            base64(payload),
            identity_.stream_sid
        )
    );
    ++stats_.sent;
}

void TwilioPeer::send_digit(char digit) {
    outgoing_.push_back(
        head("dtmf") + fmt::format(
                           R"("streamSid":"{}","dtmf":{{"track":"inbound_track","digit":"{}"}}}})",
                           identity_.stream_sid,
                           digit
                       )
    );
}

void TwilioPeer::send_stop() {
    outgoing_.push_back(
        head("stop") + fmt::format(
                           R"("streamSid":"{}","stop":{{"accountSid":"{}","callSid":"{}"}}}})",
                           identity_.stream_sid,
                           identity_.account_sid,
                           identity_.call_sid
                       )
    );
}

std::vector<std::string> TwilioPeer::take_outgoing() { return std::exchange(outgoing_, {}); }

Result<void> TwilioPeer::on_message(std::string_view message, TimePoint now) {
    const auto refuse = [this]() -> Result<void> {
        ++stats_.refused;
        return CallerErrc::bad_message;
    };
    boost::system::error_code error;
    const json::value value = json::parse({message.data(), message.size()}, error);
    const auto* const object = error ? nullptr : value.if_object();
    if (object == nullptr) return refuse();
    const auto text = [](const json::object& from,
                         std::string_view name) -> std::optional<std::string_view> {
        const auto* const member = from.if_contains(name);
        if (member == nullptr || !member->is_string()) return std::nullopt;
        return std::string_view{member->get_string()};
    };
    const auto part = [object](std::string_view name) -> const json::object* {
        const auto* const member = object->if_contains(name);
        return member == nullptr ? nullptr : member->if_object();
    };
    const auto event = text(*object, "event");
    if (!event || text(*object, "streamSid") != identity_.stream_sid) return refuse();

    advance(now);
    if (*event == "media") {
        const auto* const media = part("media");
        const auto payload = media == nullptr ? std::nullopt : text(*media, "payload");
        if (!payload) return refuse();
        const auto accepted = on_media(*payload, now);
        return accepted.has_error() ? refuse() : accepted;
    }
    if (*event == "mark") {
        const auto* const mark = part("mark");
        const auto name = mark == nullptr ? std::nullopt : text(*mark, "name");
        if (!name || marks_.size() >= max_marks) return refuse();
        on_mark(std::string{*name});
        return {};
    }
    if (*event == "clear") {
        on_clear();
        return {};
    }
    return refuse();
}

Result<void> TwilioPeer::on_media(std::string_view payload, TimePoint now) {
    const auto bytes = from_base64(payload);
    if (!bytes) return CallerErrc::bad_message;
    ++stats_.received;
    if (buffer_.size() + bytes->size() > max_buffer) {
        ++stats_.overflowed;
        return CallerErrc::bad_message;
    }
    if (buffer_.empty()) {
        if (dry_ && now - dry_since_ <= 1s) {
            const auto gap = std::chrono::duration_cast<milliseconds>(now - dry_since_);
            stats_.longest_gap = std::max(stats_.longest_gap, gap);
        }
        dry_ = false;
        played_until_ = std::max(played_until_, now);
    }
    for (const std::byte code : *bytes) {
        buffer_.push_back(media::g711::ulaw_decode(std::to_integer<std::uint8_t>(code)));
    }
    received_samples_ += bytes->size();
    stats_.deepest = std::max(stats_.deepest, buffered());
    return {};
}

void TwilioPeer::on_mark(std::string name) {
    marks_.push_back({received_samples_, std::move(name)});
    echo_reached();
}

void TwilioPeer::on_clear() {
    ++stats_.clears;
    buffer_.clear();
    played_samples_ = received_samples_;
    dry_ = false;  // silence by order is no gap
    echo_reached();
}

void TwilioPeer::echo_reached() {
    while (!marks_.empty() && marks_.front().position <= played_samples_) {
        const json::string name{marks_.front().name};
        outgoing_.push_back(
            head("mark") + fmt::format(
                               R"("streamSid":"{}","mark":{{"name":{}}}}})",
                               identity_.stream_sid,
                               json::serialize(name)
                           )
        );
        marks_.pop_front();
    }
}

void TwilioPeer::advance(TimePoint now) {
    constexpr Clock::duration sample_time = duration_of(1, narrowband);
    if (buffer_.empty() || now <= played_until_) return;
    const auto due = static_cast<std::size_t>((now - played_until_) / sample_time);
    const std::size_t count = std::min(due, buffer_.size());
    if (count == 0) return;
    const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(count);
    heard_.push_back({played_until_, {buffer_.begin(), end}});
    buffer_.erase(buffer_.begin(), end);
    played_until_ += sample_time * static_cast<Clock::rep>(count);
    played_samples_ += count;
    if (buffer_.empty()) {
        dry_ = true;
        dry_since_ = played_until_;
    }
    echo_reached();
}

std::vector<TwilioPeer::Heard> TwilioPeer::take_heard() { return std::exchange(heard_, {}); }

milliseconds TwilioPeer::buffered() const noexcept {
    return std::chrono::duration_cast<milliseconds>(duration_of(buffer_.size(), narrowband));
}

}  // namespace oavc::caller
