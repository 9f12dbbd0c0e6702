#include "services/tts/detail/elevenlabs_exchange.hpp"

#include "base/base64.hpp"
#include "media/g711.hpp"
#include "net/json_text.hpp"
#include "services/detail/json_read.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace oavc::services {

namespace json = boost::json;

namespace {

bool mentions(std::string_view text, std::string_view word) noexcept {
    return text.find(word) != std::string_view::npos;
}

/// The names of errors are documented in part only: their words decide.
error_code meaning_of(std::string_view error) noexcept {
    // After idling too long. The close frame follows, and another connection does it.
    if (mentions(error, "timeout")) return {};
    if (mentions(error, "concurrent") || mentions(error, "busy") || mentions(error, "rate_limit")) {
        return make_error_code(ServiceErrc::overloaded);
    }
    constexpr std::array<std::string_view, 8> hopeless{
        "quota", "api_key", "auth", "permission", "payment", "voice", "model", "character_limit"};
    const bool rejected =
        std::ranges::any_of(hopeless, [&](std::string_view word) { return mentions(error, word); });
    if (rejected || mentions(error, "invalid")) return make_error_code(ServiceErrc::rejected);
    return make_error_code(ServiceErrc::unavailable);
}

}  // namespace

std::optional<ElevenLabsFormat> parse_elevenlabs_format(std::string_view name) noexcept {
    using Coding = ElevenLabsFormat::Coding;
    if (name == "ulaw_8000") return ElevenLabsFormat{Coding::ulaw, narrowband};
    if (name == "alaw_8000") return ElevenLabsFormat{Coding::alaw, narrowband};
    constexpr std::string_view pcm = "pcm_";
    if (!name.starts_with(pcm)) return std::nullopt;
    name.remove_prefix(pcm.size());
    std::uint32_t hz = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), hz);
    constexpr std::array<std::uint32_t, 5> rates{8'000, 16'000, 22'050, 24'000, 44'100};
    const bool known = std::ranges::find(rates, hz) != rates.end();
    if (bad != std::errc{} || end != name.data() + name.size() || !known) return std::nullopt;
    return ElevenLabsFormat{Coding::pcm, SampleRate{hz}};
}

ElevenLabsExchange::ElevenLabsExchange(
    std::string text, ElevenLabsVoiceSettings settings, ElevenLabsFormat format
)
    : text_{std::move(text)}, settings_{settings}, format_{format}, pcm_{format.rate} {}

std::vector<std::string> ElevenLabsExchange::requests() {
    const json::object voice{
        {"stability", settings_.stability},
        {"similarity_boost", settings_.similarity_boost},
        {"speed", settings_.speed}};
    // Without the flush a sentence shorter than the server's first step would wait. It cuts at
    // spaces: the last word needs one.
    return {
        net::json_text(json::object{{"text", " "}, {"voice_settings", voice}}),
        net::json_text(json::object{{"text", text_ + " "}, {"flush", true}}),
        net::json_text(json::object{{"text", ""}}),
    };
}

error_code ElevenLabsExchange::receive(
    std::string_view data, bool binary, std::vector<media::Sample>& audio
) {
    if (binary) return {};
    const auto message = json_read::object(data);
    if (!message) return {};
    if (const auto error = json_read::text(*message, "error"); !error.empty()) {
        const auto words = json_read::text(*message, "message");
        complaint_ = words.empty() ? error : words;
        return meaning_of(error);
    }
    if (const auto base64 = json_read::text(*message, "audio"); !base64.empty()) {
        const auto failed = add_audio(base64, audio);
        if (failed) return failed;
    }
    const bool final =
        json_read::flag(*message, "isFinal") || json_read::flag(*message, "is_final");
    return final ? make_error_code(ServiceErrc::end_of_stream) : error_code{};
}

error_code ElevenLabsExchange::add_audio(
    std::string_view base64, std::vector<media::Sample>& audio
) {
    decoded_.resize(base64::decoded_limit(base64.size()));
    const auto size = base64::decode(base64, decoded_);
    if (!size) return make_error_code(ServiceErrc::protocol);
    const auto bytes = std::span<const std::byte>{decoded_}.first(*size);
    heard_ = heard_ || !bytes.empty();
    if (format_.coding == ElevenLabsFormat::Coding::pcm) {
        const auto fed = pcm_.feed(bytes, audio);
        return fed ? error_code{} : fed.error();
    }
    const auto before = audio.size();
    audio.resize(before + bytes.size());
    const auto out = std::span{audio}.subspan(before);
    if (format_.coding == ElevenLabsFormat::Coding::ulaw) {
        media::g711::ulaw_decode(bytes, out);
    } else {
        media::g711::alaw_decode(bytes, out);
    }
    return {};
}

error_code ElevenLabsExchange::on_close(std::uint16_t close_code) {
    constexpr std::uint16_t normal = 1000;
    constexpr std::uint16_t voice_and_model_do_not_match = 1009;
    // Not every session says that it was the last of it.
    if (close_code == normal && heard_) return make_error_code(ServiceErrc::end_of_stream);
    if (close_code == voice_and_model_do_not_match) return make_error_code(ServiceErrc::rejected);
    return make_error_code(ServiceErrc::unavailable);
}

}  // namespace oavc::services
