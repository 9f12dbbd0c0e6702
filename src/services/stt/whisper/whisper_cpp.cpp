#include "services/errors.hpp"
#include "services/stt/whisper/whisper_engine.hpp"

#include <stdexcept>

#ifndef OAVC_HAS_WHISPER

namespace oavc::services::whisper {

std::shared_ptr<const WhisperEngine> load_whisper_cpp(const FasterWhisperConfig&) {
    throw std::runtime_error{
        "[stt] provider: 'faster-whisper' is not in this build; get the sources with "
        "scripts/fetch-whisper, then build again with -DOAVC_WHISPER=ON"};
}

}  // namespace oavc::services::whisper

#else

#include "base/paths.hpp"
#include "observability/log.hpp"
#include "services/stt/whisper/model_file.hpp"
#include "services/stt/whisper/speech_span.hpp"
#include "services/stt/whisper/state_slot.hpp"

#include <fmt/format.h>
#include <whisper.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace oavc::services::whisper {

namespace {

/// The decode that runs on this thread: its log lines after an abort are no errors.
thread_local const Abort* current_abort = nullptr;

void to_our_log(ggml_log_level level, const char* text, void*) {
    if (level != GGML_LOG_LEVEL_WARN && level != GGML_LOG_LEVEL_ERROR &&
        level != GGML_LOG_LEVEL_INFO) {
        return;
    }
    std::string_view line{text};
    while (!line.empty() && (line.back() == '\n' || line.back() == ' '))
        line.remove_suffix(1);
    if (line.empty()) return;
    const log::Logger log;
    // Some of its warnings come once per token.
    thread_local log::RateLimit limit{std::chrono::seconds{1}};
    const bool wanted = current_abort != nullptr && current_abort->raised();
    if (level == GGML_LOG_LEVEL_INFO || wanted) {
        log.debug("whisper.cpp", log::kv("says", line));
    } else if (limit.allow(Clock::now())) {
        log.warn("whisper.cpp", log::kv("says", line), log::kv("held_back", limit.suppressed()));
    }
}

struct FreeContext {
    void operator()(whisper_context* context) const noexcept { whisper_free(context); }
};
using Context = std::unique_ptr<whisper_context, FreeContext>;

class CppDecoder final : public Decoder {
public:
    explicit CppDecoder(whisper_context& context) : context_{context}, state_{context} {}

    Result<Decoded> decode(
        std::span<const float> audio, const DecodeParameters& parameters, const Abort& abort
    ) noexcept override {
        // Without samples whisper.cpp would decode the former audio again: its spectrogram is
        // still there.
        if (audio.empty()) return Decoded{};
        if (abort.raised()) return make_error_code(ServiceErrc::cancelled);
        current_abort = &abort;
        auto result = run(audio, parameters, abort);
        current_abort = nullptr;
        return result;
    }

private:
    Result<Decoded> run(
        std::span<const float> audio, const DecodeParameters& parameters, const Abort& abort
    ) noexcept {
        try {
            whisper_state* const state = state_.get();
            if (state == nullptr) return make_error_code(ServiceErrc::unavailable);
            if (audio.size() < rate.hz) {  // below 100 ms there would be no result at all
                padded_.assign(rate.hz, 0.0F);
                std::ranges::copy(audio, padded_.begin());
                audio = padded_;
            }
            tokenize(parameters.prompt);
            const int code = state_.settle(whisper_full_with_state(
                &context_,
                state,
                full_parameters(parameters, abort),
                audio.data(),
                static_cast<int>(audio.size())
            ));
            if (abort.raised()) return make_error_code(ServiceErrc::cancelled);
            if (code == 0) return collect(*state);
            log::Logger{}.warn("whisper.cpp could not decode", log::kv("code", code));
            constexpr int too_many_decoders = -4;
            constexpr int context_too_long = -5;
            return make_error_code(
                code == too_many_decoders || code == context_too_long ? ServiceErrc::configuration
                                                                      : ServiceErrc::unavailable
            );
        } catch (const std::exception& error) {  // out of memory
            log::Logger{}.warn("whisper.cpp could not decode", log::kv("reason", error.what()));
            return make_error_code(ServiceErrc::unavailable);
        }
    }

    whisper_full_params full_parameters(const DecodeParameters& asked, const Abort& abort)
        const noexcept {
        const bool beams = asked.beam_size > 1;
        auto full = whisper_full_default_params(
            beams ? WHISPER_SAMPLING_BEAM_SEARCH : WHISPER_SAMPLING_GREEDY
        );
        full.n_threads = asked.threads;
        // NULL detects; the default would be English.
        full.language = asked.language.empty() ? nullptr : asked.language.c_str();
        full.translate = false;
        // Else the former caller's words would stay in the state and reach this one.
        full.no_context = true;
        full.prompt_tokens = prompt_tokens_.data();
        full.prompt_n_tokens = static_cast<int>(prompt_tokens_.size());
        full.carry_initial_prompt = asked.every_window;
        // At most 30 s at a time: one window, one run of the encoder.
        full.single_segment = true;
        full.no_timestamps = true;
        full.max_tokens = asked.max_tokens;
        full.audio_ctx = std::min(asked.audio_context, whisper_n_audio_ctx(&context_));
        full.suppress_blank = true;
        full.suppress_nst = true;  // music notes, brackets
        full.temperature = 0.0F;
        full.temperature_inc = static_cast<float>(asked.temperature_step);
        full.beam_search.beam_size = asked.beam_size;
        // Candidates at temperatures above 0. Unset (-1) with beam search.
        full.greedy.best_of = asked.beam_size;
        full.print_progress = false;
        full.print_realtime = false;
        full.print_timestamps = false;
        full.print_special = false;
        full.abort_callback = [](void* flag) { return static_cast<const Abort*>(flag)->raised(); };
        full.abort_callback_user_data = const_cast<Abort*>(&abort);  // NOLINT: read only, above
        return full;
    }

    /// Once per prompt, not per decode: whisper.cpp's tokenizer takes milliseconds to seconds.
    void tokenize(const std::string& prompt) {
        if (prompt == prompt_) return;
        prompt_tokens_.resize(prompt.size());  // a token has a byte at least
        const int count = whisper_tokenize(
            &context_, prompt.c_str(), prompt_tokens_.data(), static_cast<int>(prompt.size())
        );
        prompt_tokens_.resize(static_cast<std::size_t>(std::max(count, 0)));
        // Only the end counts, and whisper.cpp would warn at each decode.
        const auto longest = static_cast<std::size_t>(whisper_n_text_ctx(&context_) / 2 - 1);
        if (prompt_tokens_.size() > longest) {
            log::Logger{}.warn(
                "Whisper's prompt is too long: only its end is used",
                log::kv("tokens", prompt_tokens_.size()),
                log::kv("used", longest)
            );
            prompt_tokens_.erase(
                prompt_tokens_.begin(), prompt_tokens_.end() - static_cast<std::ptrdiff_t>(longest)
            );
        }
        prompt_ = prompt;
    }

    Decoded collect(whisper_state& state) const {
        Decoded decoded;
        decoded.language = whisper_lang_str(whisper_full_lang_id_from_state(&state));
        const int segments = whisper_full_n_segments_from_state(&state);
        const auto first_special = whisper_token_eot(&context_);
        for (int i = 0; i < segments; ++i) {
            Segment segment;
            segment.text = whisper_full_get_segment_text_from_state(&state, i);
            segment.begin_cs = whisper_full_get_segment_t0_from_state(&state, i);
            segment.end_cs = whisper_full_get_segment_t1_from_state(&state, i);
            segment.no_speech_probability =
                static_cast<double>(whisper_full_get_segment_no_speech_prob_from_state(&state, i));
            double sum = 0.0;
            const int tokens = whisper_full_n_tokens_from_state(&state, i);
            for (int k = 0; k < tokens; ++k) {
                const auto token = whisper_full_get_token_data_from_state(&state, i, k);
                if (token.id >= first_special) continue;
                sum += static_cast<double>(token.plog);
                ++segment.tokens;
            }
            if (segment.tokens > 0) {
                segment.mean_log_probability = sum / static_cast<double>(segment.tokens);
            }
            decoded.segments.push_back(std::move(segment));
        }
        return decoded;
    }

    struct StateApi {
        using Context = whisper_context;
        using State = whisper_state;
        static State* make(Context& context) noexcept { return whisper_init_state(&context); }
        static void free(State* state) noexcept { whisper_free_state(state); }
    };

    whisper_context& context_;
    StateSlot<StateApi> state_;
    std::vector<float> padded_;
    std::string prompt_;
    std::vector<whisper_token> prompt_tokens_;  ///< of prompt_
};

class CppEngine final : public WhisperEngine {
public:
    explicit CppEngine(Context context) : context_{std::move(context)} {}

    std::unique_ptr<Decoder> make_decoder() const override {
        return std::make_unique<CppDecoder>(*context_);
    }
    bool knows_language(std::string_view code) const noexcept override {
        // Only codes: whisper_lang_id() takes names such as "turkish", too.
        for (int id = 0; id <= whisper_lang_max_id(); ++id) {
            if (whisper_lang_str(id) == code) return true;
        }
        return false;
    }
    bool multilingual() const noexcept override { return whisper_is_multilingual(context_.get()); }

private:
    const Context context_;
};

void require_cpu() {
#if defined(OAVC_WHISPER_AVX512)
    const bool able = __builtin_cpu_supports("avx512f") != 0;
    constexpr auto needed = "AVX-512";
#elif defined(OAVC_WHISPER_AVX2)
    const bool able = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    constexpr auto needed = "AVX2 and FMA";
#else
    constexpr bool able = true;
    constexpr auto needed = "";
#endif
    if (!able) {
        throw std::runtime_error{fmt::format(
            "[stt.faster-whisper] this build needs a processor with {}; build with "
            "-DOAVC_WHISPER_CPU=sse42",
            needed
        )};
    }
}

}  // namespace

std::shared_ptr<const WhisperEngine> load_whisper_cpp(const FasterWhisperConfig& config) {
    const auto path = find_model(config, data_directory() / "models");
    require_cpu();
    const bool cuda = config.device == "cuda";
    if (!cuda && config.device != "auto" && config.device != "cpu") {
        throw std::runtime_error{fmt::format(
            "[stt.faster-whisper] device: '{}' is unknown (known: auto, cpu, cuda)", config.device
        )};
    }
#ifndef OAVC_HAS_CUDA
    if (cuda) {
        throw std::runtime_error{
            "[stt.faster-whisper] device: this build has no CUDA; build with -DOAVC_CUDA=ON, or "
            "set device = auto"};
    }
#endif
    whisper_log_set(to_our_log, nullptr);
    auto parameters = whisper_context_default_params();
    parameters.use_gpu = config.device != "cpu";
    const auto began = Clock::now();
    std::string reason;
    try {
        Context context{whisper_init_from_file_with_params_no_state(path.c_str(), parameters)};
        if (context != nullptr) {
            auto engine = std::make_shared<const CppEngine>(std::move(context));
            log::Logger{}.info(
                "Whisper is loaded",
                log::kv("file", path.string()),
                log::kv("multilingual", engine->multilingual()),
                log::kv("gpu_allowed", parameters.use_gpu),
                log::kv("took_ms", Clock::now() - began)
            );
            return engine;
        }
        reason = "it is no ggml model of Whisper, or damaged";
    } catch (const std::exception& error) {
        reason = error.what();
    }
    throw std::runtime_error{
        fmt::format("[stt.faster-whisper] {} cannot be loaded: {}", path.string(), reason)};
}

}  // namespace oavc::services::whisper

#endif
