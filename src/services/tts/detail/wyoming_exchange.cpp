#include "services/tts/detail/wyoming_exchange.hpp"

#include "base/bytes.hpp"

#include <fmt/format.h>

#include <utility>

namespace oavc::services {

namespace json = boost::json;

WyomingExchange::WyomingExchange(std::string text, WyomingVoice voice)
    : text_{std::move(text)}, voice_{std::move(voice)} {}

std::vector<std::string> WyomingExchange::requests() {
    json::object voice;
    if (!voice_.name.empty()) {
        voice["name"] = voice_.name;
    } else if (!voice_.language.empty()) {
        voice["language"] = voice_.language;
    }
    if (!voice.empty() && !voice_.speaker.empty()) voice["speaker"] = voice_.speaker;
    json::object data{{"text", text_}};
    if (!voice.empty()) data["voice"] = std::move(voice);
    return {wyoming_event("synthesize", data)};
}

error_code WyomingExchange::receive(
    std::string_view data, bool, std::vector<media::Sample>& audio
) {
    parser_.feed(data);
    for (;;) {
        const auto event = parser_.next();
        if (!event) return event.error();
        if (!*event) return {};
        const auto end = on_event(**event, audio);
        if (end) return end;
    }
}

error_code WyomingExchange::on_event(const WyomingEvent& event, std::vector<media::Sample>& audio) {
    if (event.type == "audio-stop") return make_error_code(ServiceErrc::end_of_stream);
    if (event.type == "error") {
        complaint_ = event.text("text");
        return make_error_code(ServiceErrc::unavailable);
    }
    const bool chunk = event.type == "audio-chunk";
    if (!chunk && event.type != "audio-start") return {};  // unknown types are to be ignored
    if (!take_format(event, chunk)) return make_error_code(ServiceErrc::protocol);
    if (!chunk) return {};
    const auto fed = pcm_.feed(as_bytes(event.payload), audio);
    return fed ? error_code{} : fed.error();
}

/// The format of each chunk counts. False: it is nothing that we can play.
bool WyomingExchange::take_format(const WyomingEvent& event, bool has_audio) {
    const auto width = event.number("width").value_or(2);
    const auto channels = event.number("channels").value_or(1);
    const auto hz = event.number("rate").value_or(rate().hz);
    const bool changed = heard_ && hz != rate().hz;
    if (width != 2 || channels != 1 || !is_speech_rate(hz) || changed) {
        complaint_ = fmt::format(
            "audio of {} Hz, {} bytes, {} channels{}",
            hz,
            width,
            channels,
            changed ? " in mid-sentence" : ""
        );
        return false;
    }
    rate_ = SampleRate{static_cast<std::uint32_t>(hz)};
    heard_ = heard_ || has_audio;
    return true;
}

}  // namespace oavc::services
