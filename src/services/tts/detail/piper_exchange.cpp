#include "services/tts/detail/piper_exchange.hpp"

#include "base/bytes.hpp"
#include "services/detail/json_read.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace oavc::services {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 3> start_words{"start", "audio_start", "started"};
constexpr std::array<std::string_view, 3> end_words{"end", "audio_end", "completed"};

bool is_one_of(std::string_view word, const std::array<std::string_view, 3>& words) noexcept {
    return std::ranges::find(words, word) != words.end();
}

}  // namespace

PiperExchange::PiperExchange(std::string text, std::string voice, SampleRate rate)
    : text_{std::move(text)}, voice_{std::move(voice)}, pcm_{rate} {}

std::vector<std::string> PiperExchange::requests() {
    json::object request{{"text", text_}};
    if (!voice_.empty()) request["voice"] = voice_;
    request["sample_rate"] = pcm_.rate().hz;
    request["format"] = "pcm16";
    return {json::serialize(request)};
}

error_code PiperExchange::receive(
    std::string_view data, bool binary, std::vector<media::Sample>& audio
) {
    if (!binary) return on_text(data);
    const auto fed = pcm_.feed(as_bytes(data), audio);
    return fed ? error_code{} : fed.error();
}

error_code PiperExchange::on_text(std::string_view text) {
    const auto message = json_read::object(text);
    if (!message) return {};  // as the predecessor's client

    auto word = json_read::text(*message, "status");
    if (word.empty()) word = json_read::text(*message, "type");
    const auto* const error = message->if_contains("error");
    const bool failed = error != nullptr && !error->is_null();
    if (failed || word == "error") {
        complaint_ = json_read::text(*message, failed ? "error" : "message");
        return make_error_code(ServiceErrc::unavailable);
    }
    if (is_one_of(word, start_words)) {
        const auto* const rate = message->if_contains("sample_rate");
        const auto* const hz = rate != nullptr ? rate->if_int64() : nullptr;
        if (hz != nullptr && is_speech_rate(*hz)) {
            pcm_.set_rate(SampleRate{static_cast<std::uint32_t>(*hz)});
        }
    }
    if (is_one_of(word, end_words)) return make_error_code(ServiceErrc::end_of_stream);
    return {};  // greetings, and what newer servers may say
}

}  // namespace oavc::services
