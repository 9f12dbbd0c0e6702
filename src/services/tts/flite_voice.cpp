#include "services/tts/flite_voice.hpp"

#include "base/sentence.hpp"
#include "services/detail/flite_library.hpp"
#include "services/errors.hpp"
#include "services/tts/detail/plain_text.hpp"

#include <flite/flite.h>

#include <algorithm>
#include <array>
#include <mutex>

extern "C" {
cst_voice* register_cmu_us_slt(const char* voxdir);
cst_voice* register_cmu_us_rms(const char* voxdir);
cst_voice* register_cmu_us_awb(const char* voxdir);
cst_voice* register_cmu_us_kal(const char* voxdir);
}

namespace oavc::services {

namespace {

struct Voice {
    std::string_view name;
    SampleRate rate;
    cst_voice* (*load)(const char*);
};

constexpr std::array<Voice, 4> voices{{
    {"slt", wideband, register_cmu_us_slt},
    {"rms", wideband, register_cmu_us_rms},
    {"awb", wideband, register_cmu_us_awb},
    {"kal", narrowband, register_cmu_us_kal},
}};

const Voice* find_voice(std::string_view name) noexcept {
    const auto* const found =
        std::find_if(voices.begin(), voices.end(), [&](const Voice& v) { return v.name == name; });
    return found == voices.end() ? nullptr : found;
}

/// The library counts references to a voice's settings without locks. Constants (-1) are not
/// counted: as such they may be read by many threads.
void pin(const cst_features* features) {
    for (auto* pair = features->head; pair != nullptr; pair = pair->next) {
        if (cst_val_consp(pair->val) == 0) CST_VAL_REFCOUNT(pair->val) = -1;
    }
}

/// Loads it once; it then stays for the life of the process, as the library's own tables do.
cst_voice* load(const Voice& voice) {
    static std::array<cst_voice*, voices.size()> loaded{};
    const std::lock_guard lock{flite_setup()};
    auto& slot = loaded[static_cast<std::size_t>(&voice - voices.data())];
    if (slot == nullptr) {
        flite_init();
        slot = voice.load(nullptr);
        pin(slot->features);
        pin(slot->ffunctions);
    }
    return slot;
}

int on_audio(
    const cst_wave* wave, int start, int size, int /*last*/, cst_audio_streaming_info* info
) {
    const auto& sink = *static_cast<const AudioSink*>(info->userdata);
    if (size <= 0) return CST_AUDIO_STREAM_CONT;
    const media::Samples samples{wave->samples + start, static_cast<std::size_t>(size)};
    return sink(samples) ? CST_AUDIO_STREAM_CONT : CST_AUDIO_STREAM_STOP;
}

}  // namespace

const std::vector<std::string_view>& flite_voices() noexcept {
    static const std::vector<std::string_view> names{"slt", "rms", "awb", "kal"};
    return names;
}

bool is_flite_voice(std::string_view voice) noexcept { return find_voice(voice) != nullptr; }

SampleRate flite_rate(std::string_view voice) noexcept {
    const auto* const found = find_voice(voice);
    return found == nullptr ? wideband : found->rate;
}

Result<void> synthesize_flite_to(
    std::string_view text, std::string_view voice, double speed, const AudioSink& sink
) {
    const auto* const found = find_voice(voice);
    if (found == nullptr) return make_error_code(ServiceErrc::configuration);
    const auto plain = to_plain_ascii(text);
    // The library ends the process when it is given nothing to say.
    if (!has_words(plain)) return {};
    auto* const loaded = load(*found);

    auto* const utterance = new_utterance();
    utt_set_input_text(utterance, plain.c_str());
    utt_init(utterance, loaded);
    auto* const info = new_audio_streaming_info();
    info->min_buffsize = 160;
    info->asc = on_audio;
    info->userdata = const_cast<AudioSink*>(&sink);  // NOLINT: C interface
    flite_feat_set(utterance->features, "streaming_info", audio_streaming_info_val(info));
    const auto stretch = static_cast<float>(1.0 / std::clamp(speed, 0.5, 2.0));
    flite_feat_set_float(utterance->features, "duration_stretch", stretch);
    // Deletes what it was given when it fails.
    auto* const done = utt_synth(utterance);
    if (done == nullptr) return make_error_code(ServiceErrc::unavailable);
    delete_utterance(done);
    return {};
}

Result<SynthesizedSpeech> synthesize_flite(
    std::string_view text, std::string_view voice, double speed
) {
    SynthesizedSpeech speech{{}, flite_rate(voice)};
    const AudioSink collect = [&](media::Samples samples) {
        speech.samples.insert(speech.samples.end(), samples.begin(), samples.end());
        return true;
    };
    const auto done = synthesize_flite_to(text, voice, speed, collect);
    if (!done) return done.error();
    return speech;
}

}  // namespace oavc::services
