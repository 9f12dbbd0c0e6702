#pragma once

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "transports/twilio/form.hpp"
#include "transports/twilio/media_protocol.hpp"
#include "transports/twilio/playout.hpp"
#include "transports/twilio/signature.hpp"
#include "transports/twilio/twiml.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What the fuzz targets of the Twilio transport do with an input; the replay tests run them too. A
/// broken promise aborts.
namespace oavc::test {

/// One message of Twilio Media Streams: parsed, its audio cut into frames, its mark looked up.
inline void fuzz_twilio_message(std::span<const std::byte> input) {
    using namespace transports::twilio;
    StreamParser parser;
    const auto message = parser.parse(as_text(input));
    if (message.has_error()) return;

    FrameAssembler assembler;
    std::size_t bytes = 0;
    const auto count = [&](FrameAssembler::Frame frame) { bytes += frame.size(); };
    static_cast<void>(assembler.push_base64(message->payload, count));
    OAVC_ASSERT(bytes + assembler.pending_bytes() <= message->payload.size() / 4 * 3 + 3);

    const TimePoint now = TimePoint{} + 1h;
    Playout playout{200ms};
    for (int i = 0; i < 10; ++i) {
        playout.on_sent(20ms, now);
        if (playout.mark_due(false)) playout.on_marked(now);
    }
    playout.on_echo(message->mark_name, now + 100ms);
    OAVC_ASSERT(playout.unheard(now + 100ms) <= 200ms);
    OAVC_ASSERT(playout.room(now + 100ms) <= 200ms);

    // What came in can be said again, and is understood the same.
    if (message->event != StreamEvent::mark) return;
    StreamWriter writer{message->stream_sid};
    const std::string name{message->mark_name};
    const auto again = parser.parse(writer.mark(name));
    OAVC_ASSERT(again.has_value() && again->mark_name == name);
}

/// A webhook's body: its form, and the signature over it. The first line is the URL.
inline void fuzz_webhook_form(std::span<const std::byte> input) {
    using namespace transports::twilio;
    const std::string_view text = as_text(input);
    const auto line = std::min(text.find('\n'), text.size());
    const auto url = text.substr(0, line);
    const auto body = text.substr(std::min(line + 1, text.size()));
    const auto form = parse_form(body);
    if (form.has_error()) return;

    std::size_t bytes = 0;
    for (const auto& field : *form) {
        bytes += field.name.size() + field.value.size();
        OAVC_ASSERT(xml_escape(field.value).find_first_of("<>\"'") == std::string::npos);
    }
    OAVC_ASSERT(bytes <= body.size());

    // A URL without user info is among its own spellings.
    const std::vector<std::string> tokens{"secret", ""};
    const auto signature = sign(tokens[0], url, *form);
    const bool valid = signature_valid(tokens, {url, *form, signature});
    OAVC_ASSERT(valid || url.find('@') != std::string_view::npos);
    OAVC_ASSERT(!signature_valid(tokens, {url, *form, signature + "="}));
    static_cast<void>(json_signature_valid(tokens, url, body, signature));
}

}  // namespace oavc::test
