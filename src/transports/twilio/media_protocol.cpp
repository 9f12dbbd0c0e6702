#include "transports/twilio/media_protocol.hpp"

#include "base/base64.hpp"
#include "transports/twilio/errors.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <cstring>

namespace oavc::transports::twilio {

namespace {

namespace ondemand = simdjson::ondemand;

/// Text of a value; of a number or a word its spelling; nothing of the rest.
std::string_view text_of(ondemand::value value) noexcept {
    ondemand::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return {};
    if (type == ondemand::json_type::string) {
        std::string_view text;
        return value.get_string().get(text) == simdjson::SUCCESS ? text : std::string_view{};
    }
    if (type != ondemand::json_type::number && type != ondemand::json_type::boolean) return {};
    std::string_view token = value.raw_json_token();
    return token.substr(0, token.find_first_of(" \t\r\n,}]"));
}

/// 0 for what is no unsigned number.
std::uint64_t number_of(ondemand::value value) noexcept {
    const auto text = text_of(value);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} ? number : 0;
}

StreamEvent event_of(std::string_view name) noexcept {
    if (name == "media") return StreamEvent::media;
    if (name == "mark") return StreamEvent::mark;
    if (name == "clear") return StreamEvent::clear;
    if (name == "dtmf") return StreamEvent::dtmf;
    if (name == "start") return StreamEvent::start;
    if (name == "stop") return StreamEvent::stop;
    if (name == "connected") return StreamEvent::connected;
    return StreamEvent::unknown;
}

/// Calls `visit(key, value)` for each member. False: the JSON is broken.
template <class Visit>
bool each_member(ondemand::object object, Visit&& visit) noexcept {
    for (auto entry : object) {
        ondemand::field field;
        std::string_view key;
        if (std::move(entry).get(field) != simdjson::SUCCESS) return false;
        if (field.unescaped_key().get(key) != simdjson::SUCCESS) return false;
        if (!visit(key, field.value())) return false;
    }
    return true;
}

void append_json(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    out += '"';
}

std::string json_text(std::string_view text) {
    std::string out;
    append_json(out, text);
    return out;
}

void append_base64(std::string& out, std::span<const std::byte> bytes) {
    const auto at = out.size();
    out.resize(at + base64::encoded_size(bytes.size()));
    base64::encode(bytes, out.data() + at);
}

}  // namespace

struct StreamParser::Impl {
    ondemand::parser json;
    std::vector<char> padded;  ///< the message and the room that simdjson reads over its end
    std::vector<CustomParameter> parameters;

    bool read_member(std::string_view key, ondemand::value value, StreamMessage& message) {
        if (key == "event") {
            message.event = event_of(text_of(value));
        } else if (key == "streamSid") {
            message.stream_sid = text_of(value);
        } else if (key == "sequenceNumber") {
            message.sequence_number = number_of(value);
        } else if (key == "media" || key == "mark" || key == "dtmf" || key == "start" || key == "stop") {
            ondemand::object object;
            if (value.get_object().get(object) != simdjson::SUCCESS) return true;  // not that shape
            return each_member(object, [&](std::string_view inner, ondemand::value v) {
                return read_inner(inner, v, message);
            });
        }
        return true;
    }

    bool read_inner(std::string_view key, ondemand::value value, StreamMessage& message) {
        if (key == "payload") {
            message.payload = text_of(value);
        } else if (key == "track") {
            message.track = text_of(value);
        } else if (key == "chunk") {
            message.chunk = number_of(value);
        } else if (key == "timestamp") {
            message.timestamp_ms = number_of(value);
        } else if (key == "name") {
            message.mark_name = text_of(value);
        } else if (key == "digit") {
            message.digit = text_of(value);
        } else if (key == "callSid") {
            message.call_sid = text_of(value);
        } else if (key == "accountSid") {
            message.account_sid = text_of(value);
        } else if (key == "streamSid") {
            message.stream_sid = text_of(value);
        } else if (key == "mediaFormat") {
            ondemand::object object;
            if (value.get_object().get(object) != simdjson::SUCCESS) return true;
            return each_member(object, [&](std::string_view inner, ondemand::value v) {
                if (inner == "encoding") message.encoding = text_of(v);
                if (inner == "sampleRate") message.sample_rate = number_of(v);
                if (inner == "channels") message.channels = number_of(v);
                return true;
            });
        } else if (key == "customParameters") {
            ondemand::object object;
            if (value.get_object().get(object) != simdjson::SUCCESS) return true;
            return each_member(object, [&](std::string_view inner, ondemand::value v) {
                if (parameters.size() < max_parameters) parameters.push_back({inner, text_of(v)});
                return true;
            });
        }
        return true;
    }
};

StreamParser::StreamParser() : impl_{std::make_unique<Impl>()} {}
StreamParser::StreamParser(StreamParser&&) noexcept = default;
StreamParser& StreamParser::operator=(StreamParser&&) noexcept = default;
StreamParser::~StreamParser() = default;

Result<StreamMessage> StreamParser::parse(std::string_view text) noexcept {
    if (text.size() > max_message_bytes) return TwilioErrc::bad_message;
    auto& impl = *impl_;
    const std::size_t needed = text.size() + simdjson::SIMDJSON_PADDING;
    if (impl.padded.size() < needed) impl.padded.resize(needed);
    std::memcpy(impl.padded.data(), text.data(), text.size());
    std::memset(impl.padded.data() + text.size(), 0, simdjson::SIMDJSON_PADDING);
    impl.parameters.clear();

    StreamMessage message;
    bool has_event = false;
    ondemand::document document;
    ondemand::object root;
    const simdjson::padded_string_view view{impl.padded.data(), text.size(), impl.padded.size()};
    if (impl.json.iterate(view).get(document) != simdjson::SUCCESS) return TwilioErrc::not_json;
    if (document.get_object().get(root) != simdjson::SUCCESS) return TwilioErrc::not_json;
    const bool read = each_member(root, [&](std::string_view key, ondemand::value value) {
        has_event = has_event || key == "event";
        return impl.read_member(key, value, message);
    });
    const char* rest = nullptr;
    const bool ended = document.current_location().get(rest) == simdjson::OUT_OF_BOUNDS;
    if (!read || !ended) return TwilioErrc::not_json;
    message.parameters = impl.parameters;

    bool complete = has_event;
    switch (message.event) {
        case StreamEvent::media:
            complete = complete && !message.payload.empty();
            break;
        case StreamEvent::mark:
            complete = complete && !message.mark_name.empty();
            break;
        case StreamEvent::dtmf:
            complete = complete && message.digit.size() == 1;
            break;
        case StreamEvent::start:
            complete = complete && !message.stream_sid.empty() && !message.call_sid.empty();
            break;
        default:
            break;
    }
    if (!complete) return TwilioErrc::bad_message;
    return message;
}

Result<std::size_t> FrameAssembler::decode(
    std::string_view part, std::span<std::byte> out
) noexcept {
    const auto size = base64::decode(part, out);
    if (!size) return TwilioErrc::bad_payload;
    return *size;
}

StreamWriter::StreamWriter(std::string_view stream_sid) {
    const auto sid = json_text(stream_sid);
    media_head_ = fmt::format(R"({{"event":"media","streamSid":{},"media":{{"payload":")", sid);
    mark_head_ = fmt::format(R"({{"event":"mark","streamSid":{},"mark":{{"name":)", sid);
    clear_ = fmt::format(R"({{"event":"clear","streamSid":{}}})", sid);
}

std::string_view StreamWriter::media(std::span<const std::byte> ulaw) {
    buffer_ = media_head_;
    append_base64(buffer_, ulaw);
    buffer_ += R"("}})";
    return buffer_;
}

std::string_view StreamWriter::mark(std::string_view name) {
    buffer_ = mark_head_;
    append_json(buffer_, name);
    buffer_ += "}}";
    return buffer_;
}

std::string_view StreamWriter::clear() { return clear_; }

std::string CarrierWriter::head(std::string_view event) {
    return fmt::format(
        R"({{"event":"{}","sequenceNumber":"{}","streamSid":{})",
        event,
        ++sequence_,
        json_text(identity_.stream_sid)
    );
}

std::string CarrierWriter::connected() {
    return R"({"event":"connected","protocol":"Call","version":"1.0.0"})";
}

std::string CarrierWriter::start() {
    std::string message = head("start");
    message += fmt::format(
        R"(,"start":{{"accountSid":{},"streamSid":{},"callSid":{},"tracks":["inbound"],)"
        R"("mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},)"
        R"("customParameters":{{)",
        json_text(identity_.account_sid),
        json_text(identity_.stream_sid),
        json_text(identity_.call_sid)
    );
    bool first = true;
    for (const auto& [name, value] : identity_.parameters) {
        if (!first) message += ',';
        first = false;
        append_json(message, name);
        message += ':';
        append_json(message, value);
    }
    return message + "}}}";
}

std::string CarrierWriter::media(std::span<const std::byte> ulaw, std::uint64_t timestamp_ms) {
    std::string message = head("media");
    message += fmt::format(
        R"(,"media":{{"track":"inbound","chunk":"{}","timestamp":"{}","payload":")",
        ++chunk_,
        timestamp_ms
    );
    append_base64(message, ulaw);
    return message + R"("}})";
}

std::string CarrierWriter::dtmf(char digit) {
    return head("dtmf") +
           fmt::format(R"(,"dtmf":{{"track":"inbound_track","digit":"{}"}}}})", digit);
}

std::string CarrierWriter::mark(std::string_view name) {
    return head("mark") + fmt::format(R"(,"mark":{{"name":{}}}}})", json_text(name));
}

std::string CarrierWriter::stop() {
    return head("stop") + fmt::format(
                              R"(,"stop":{{"accountSid":{},"callSid":{}}}}})",
                              json_text(identity_.account_sid),
                              json_text(identity_.call_sid)
                          );
}

}  // namespace oavc::transports::twilio
