#include "config/keys/keys.hpp"

#include <chrono>
#include <iterator>

namespace oavc::config {

namespace {

namespace s = services;
using S = services::Config;
using namespace std::chrono_literals;

/// Where `Member` of the provider's struct `Provider` lives.
template <auto Provider, auto Member>
Field at(Target t) {
    return &(t.config.services.*Provider.*Member);
}

/// Where `Member` of that provider's Endpoint lives.
template <auto Provider, auto Member>
Field end_of(Target t) {
    return &((t.config.services.*Provider).endpoint.*Member);
}

template <auto Member>
Field of(Target t) {
    return &(t.config.services.*Member);
}

template <auto Member>
Field breaker(Target t) {
    return &(t.config.services.failover.breaker.*Member);
}

/// What every remote provider has.
template <auto Provider>
void reach(
    std::vector<Key>& keys,
    std::string_view section,
    std::string_view url,
    std::vector<std::string_view> schemes
) {
    keys.push_back(
        {section,
         url,
         end_of<Provider, &s::Endpoint::url>,
         Url{std::move(schemes)},
         "Where the server is. It must be reachable from this machine; `oavc serve` says at start "
         "whether it answers."}
    );
    keys.push_back(
        {section,
         "connect_timeout",
         end_of<Provider, &s::Endpoint::connect_timeout>,
         Duration{10ms, 1min},
         "How long name look-up, connection and handshake may take together."}
    );
}

/// Of those that may be reached over TLS.
template <auto Provider>
void trust(std::vector<Key>& keys, std::string_view section) {
    keys.push_back(
        {section,
         "ca_file",
         end_of<Provider, &s::Endpoint::ca_file>,
         Path{},
         "PEM file of the certificates to trust instead of the system's, for servers with a "
         "certificate of your own."}
    );
}

void add(std::vector<Key>& keys, std::vector<Key> more) {
    keys.insert(keys.end(), more.begin(), more.end());
}

constexpr std::string_view fallback_help =
    "Who takes over, within the same turn, when the provider fails. Empty: nobody.";

}  // namespace

std::vector<Key> services_keys() {
    std::vector<Key> keys{
        {"stt",
         "provider",
         of<&S::stt_provider>,
         Provider{"stt"},
         "Who turns the caller's speech into text."},
        {"stt", "fallback_provider", of<&S::stt_fallback>, Provider{"stt"}, fallback_help},
    };

    reach<&S::vosk>(keys, "stt.vosk", "url", {"ws://", "wss://"});
    trust<&S::vosk>(keys, "stt.vosk");
    using V = s::VoskConfig;
    add(keys,
        {
            {"stt.vosk",
             "sample_rate",
             at<&S::vosk, &V::sample_rate>,
             Integer{8'000, 48'000},
             "Samples per second that the server's model wants. A wrong rate gives no error, only "
             "garbage."},
            {"stt.vosk",
             "chunk",
             at<&S::vosk, &V::chunk>,
             Duration{20ms, 1s},
             "Audio per message: small is quick, large is cheap."},
            {"stt.vosk",
             "finalize",
             at<&S::vosk, &V::finalize>,
             Choice{{"eof", "reset", "silence"}},
             "How the final transcript is asked for. eof: all servers, a connection per "
             "utterance; reset: the stock Python server, one connection per call; silence: "
             "servers that know neither."},
            {"stt.vosk",
             "words",
             at<&S::vosk, &V::words>,
             Boolean{},
             "Ask for the time of each word."},
            {"stt.vosk",
             "max_alternatives",
             at<&S::vosk, &V::max_alternatives>,
             Integer{0, 20},
             "Above 0: ask for so many readings and take the best."},
            {"stt.vosk",
             "phrase_list",
             at<&S::vosk, &V::phrase_list>,
             List{},
             "Words and phrases to expect, for models with a dynamic graph; add `[unk]` to let "
             "others through. Empty: the model's own vocabulary."},
        });

    using W = s::FasterWhisperConfig;
    constexpr std::string_view whisper = "stt.faster-whisper";
    add(keys,
        {
            {whisper,
             "model_size",
             at<&S::whisper, &W::model_size>,
             Choice{
                 {"tiny",
                  "tiny.en",
                  "base",
                  "base.en",
                  "small",
                  "small.en",
                  "medium",
                  "medium.en",
                  "large",
                  "large-v1",
                  "large-v2",
                  "large-v3",
                  "large-v3-turbo",
                  "turbo"}},
             "Larger hears better and costs more; `oavc models pull base` fetches it."},
            {whisper,
             "model_path",
             at<&S::whisper, &W::model_path>,
             Path{},
             "A ggml file of your own. Empty: the one of `model_size` and `compute_type` in the "
             "models folder."},
            {whisper,
             "language",
             at<&S::whisper, &W::language>,
             Text{},
             "Language of the callers, such as `tr` or `en`. auto: detected, at the price of one "
             "more pass; agent: the agent's own."},
            {whisper,
             "device",
             at<&S::whisper, &W::device>,
             Choice{{"auto", "cpu", "cuda"}},
             "cuda needs a build with -DOAVC_CUDA=ON; auto uses it where it is there."},
            {whisper,
             "compute_type",
             at<&S::whisper, &W::compute_type>,
             Choice{
                 {"auto",
                  "default",
                  "float32",
                  "float16",
                  "bfloat16",
                  "int8",
                  "int8_float16",
                  "int8_float32",
                  "int8_bfloat16",
                  "int16"}},
             "faster-whisper's names: they choose how the model file is quantised."},
            {whisper,
             "beam_size",
             at<&S::whisper, &W::beam_size>,
             Integer{1, 8},
             "1 is greedy and quick, 5 hears a little better."},
            {whisper,
             "initial_prompt",
             at<&S::whisper, &W::initial_prompt>,
             Text{},
             "Text that sets spelling and vocabulary."},
            {whisper,
             "hotwords",
             at<&S::whisper, &W::hotwords>,
             List{},
             "Names and terms to expect."},
            {whisper,
             "cpu_threads",
             at<&S::whisper, &W::cpu_threads>,
             Integer{0, 256},
             "Threads of one decode. 0: the cores divided by `num_workers`."},
            {whisper,
             "num_workers",
             at<&S::whisper, &W::num_workers>,
             Integer{1, 64},
             "Decodes at once. They share the model."},
            {whisper,
             "max_queue",
             at<&S::whisper, &W::max_queue>,
             Integer{1, 10'000},
             "Utterances that may wait; more are refused and counted."},
            {whisper,
             "deadline",
             at<&S::whisper, &W::deadline>,
             Duration{100ms, 5min},
             "An utterance that waits longer is given up."},
            {whisper,
             "partials",
             at<&S::whisper, &W::partials>,
             Boolean{},
             "Interim transcripts while the caller speaks; each costs as much as a final."},
            {whisper,
             "partial_interval",
             at<&S::whisper, &W::partial_interval>,
             Duration{200ms, 10s},
             "New audio between two interim transcripts."},
            {whisper,
             "min_speech",
             at<&S::whisper, &W::min_speech>,
             Duration{0ms, 5s},
             "Shorter utterances are not decoded: Whisper invents words for them."},
            {whisper,
             "min_level_dbfs",
             at<&S::whisper, &W::min_level_dbfs>,
             Number{-90.0, 0.0},
             "Quieter utterances are not decoded either."},
            {whisper,
             "min_log_probability",
             at<&S::whisper, &W::min_log_probability>,
             Number{-20.0, 0.0},
             "Transcripts of which the model is less sure are dropped (mean over the tokens)."},
            {whisper,
             "ignored_phrases",
             at<&S::whisper, &W::ignored_phrases>,
             List{},
             "Short transcripts that are never meant, in addition to the built-in ones."},
        });

    reach<&S::wyoming_stt>(keys, "stt.wyoming", "url", {"tcp://"});
    using Y = s::WyomingSttConfig;
    add(keys,
        {
            {"stt.wyoming",
             "language",
             at<&S::wyoming_stt, &Y::language>,
             Text{},
             "Language of the callers. Empty: the agent's."},
            {"stt.wyoming",
             "chunk",
             at<&S::wyoming_stt, &Y::chunk>,
             Duration{20ms, 1s},
             "Audio per event."},
        });

    reach<&S::deepgram_stt>(keys, "stt.deepgram", "url", {"wss://", "ws://"});
    trust<&S::deepgram_stt>(keys, "stt.deepgram");
    using D = s::DeepgramSttConfig;
    add(keys,
        {
            {"stt.deepgram",
             "api_key",
             at<&S::deepgram_stt, &D::api_key>,
             Secret{},
             "The key of the account."},
            {"stt.deepgram",
             "model",
             at<&S::deepgram_stt, &D::model>,
             Text{},
             "Model, such as `nova-3`."},
            {"stt.deepgram",
             "language",
             at<&S::deepgram_stt, &D::language>,
             Text{},
             "Language of the callers. Empty: the agent's."},
            {"stt.deepgram",
             "endpointing",
             at<&S::deepgram_stt, &D::endpointing>,
             Duration{0ms, 10s},
             "Silence after which the server closes a piece of text. 0: off."},
            {"stt.deepgram",
             "keyterms",
             at<&S::deepgram_stt, &D::keyterms>,
             List{},
             "Names and terms to expect."},
            {"stt.deepgram",
             "smart_format",
             at<&S::deepgram_stt, &D::smart_format>,
             Boolean{},
             "Write numbers and dates as digits."},
            {"stt.deepgram",
             "chunk",
             at<&S::deepgram_stt, &D::chunk>,
             Duration{20ms, 250ms},
             "Audio per message."},
        });

    using P = s::PocketSphinxConfig;
    add(keys,
        {
            {"stt.pocketsphinx",
             "model_dir",
             at<&S::pocketsphinx, &P::model_dir>,
             Path{},
             "Folder of the acoustic model and the dictionary."},
            {"stt.pocketsphinx",
             "phrases_file",
             at<&S::pocketsphinx, &P::phrases_file>,
             Path{},
             "What callers may say, one phrase per line. Empty: the phrases of the scripted "
             "dialogue."},
            {"stt.pocketsphinx",
             "general_model",
             at<&S::pocketsphinx, &P::general_model>,
             Boolean{},
             "Recognise any English with the general model: 100 MB per call, and on telephone "
             "lines it hears little of it right."},
            {"stt.pocketsphinx",
             "max_backlog_ms",
             at<&S::pocketsphinx, &P::max_backlog_ms>,
             Integer{100, 600'000},
             "Milliseconds of audio that may wait for a worker before the oldest is dropped."},

            {"llm", "provider", of<&S::llm_provider>, Provider{"llm"}, "Who finds the reply."},
            {"llm", "fallback_provider", of<&S::llm_fallback>, Provider{"llm"}, fallback_help},
        });

    reach<&S::llama>(keys, "llm.llama", "url", {"ws://", "wss://"});
    trust<&S::llama>(keys, "llm.llama");
    using L = s::LlamaConfig;
    add(keys,
        {
            {"llm.llama",
             "temperature",
             at<&S::llama, &L::temperature>,
             Number{0.0, 2.0},
             "0 always says the same, more is more varied."},
            {"llm.llama",
             "top_p",
             at<&S::llama, &L::top_p>,
             Number{0.0, 1.0},
             "Only the likeliest tokens that make up this share are chosen from."},
            {"llm.llama",
             "max_tokens",
             at<&S::llama, &L::max_tokens>,
             Integer{1, 100'000},
             "Longest reply."},
            {"llm.llama",
             "use_rag",
             at<&S::llama, &L::use_rag>,
             Boolean{},
             "Let the server look up its documents."},
            {"llm.llama",
             "rag_url",
             at<&S::llama, &L::rag_url>,
             Url{{"ws://", "wss://"}},
             "Where the server's document search listens, for `oavc rag`."},
            {"llm.llama",
             "model",
             at<&S::llama, &L::model>,
             Text{},
             "Sent when given; the stock server has one model and ignores it."},
            {"llm.llama",
             "dialect",
             at<&S::llama, &L::dialect>,
             Choice{{"messages", "prompt"}},
             "Form of the request: messages as the predecessor's last client, or the older flat "
             "prompt."},
            {"llm.llama",
             "fold_history",
             at<&S::llama, &L::fold_history>,
             Boolean{},
             "The server reads only the last message of the caller: put the conversation so far "
             "into it."},
        });

    reach<&S::ollama>(keys, "llm.ollama", "base_url", {"http://", "https://"});
    trust<&S::ollama>(keys, "llm.ollama");
    using O = s::OllamaConfig;
    add(keys,
        {
            {"llm.ollama",
             "endpoint",
             at<&S::ollama, &O::api>,
             Choice{{"generate", "chat"}},
             "`/api/generate` or `/api/chat`. chat keeps turns apart and knows functions."},
            {"llm.ollama",
             "model",
             at<&S::ollama, &O::model>,
             Text{},
             "Model by its name; `oavc models ollama list` shows what the server has."},
            {"llm.ollama",
             "temperature",
             at<&S::ollama, &O::temperature>,
             Number{0.0, 2.0},
             "0 always says the same, more is more varied."},
            {"llm.ollama",
             "top_p",
             at<&S::ollama, &O::top_p>,
             Number{0.0, 1.0},
             "Only the likeliest tokens that make up this share are chosen from."},
            {"llm.ollama",
             "max_tokens",
             at<&S::ollama, &O::max_tokens>,
             Integer{1, 100'000},
             "Longest reply (`num_predict`)."},
            {"llm.ollama",
             "num_ctx",
             at<&S::ollama, &O::num_ctx>,
             Integer{256, 1'000'000},
             "Tokens of context. The server loads the model anew when requests differ in it."},
            {"llm.ollama",
             "keep_alive",
             at<&S::ollama, &O::keep_alive>,
             Text{},
             "How long the model stays loaded without requests, such as `30m`; `-1`: for ever."},
            {"llm.ollama",
             "think",
             at<&S::ollama, &O::think>,
             Boolean{},
             "Let thinking models think first. The caller waits meanwhile."},
            {"llm.ollama", "stop", at<&S::ollama, &O::stop>, List{}, "Texts that end a reply."},
            {"llm.ollama",
             "pull_missing",
             at<&S::ollama, &O::pull_missing>,
             Boolean{},
             "Let the server fetch the model at start when it has it not; progress is in the "
             "log."},
            {"llm.ollama",
             "warm_up",
             at<&S::ollama, &O::warm_up>,
             Boolean{},
             "Have the model loaded at start, not by the first caller."},
        });

    reach<&S::openai>(keys, "llm.openai", "base_url", {"http://", "https://"});
    trust<&S::openai>(keys, "llm.openai");
    using A = s::OpenAiConfig;
    add(keys,
        {
            {"llm.openai",
             "api_key",
             at<&S::openai, &A::api_key>,
             Secret{},
             "The key of the account. Empty: none is sent, for servers of your own."},
            {"llm.openai", "model", at<&S::openai, &A::model>, Text{}, "Model by its name."},
            {"llm.openai",
             "temperature",
             at<&S::openai, &A::temperature>,
             Number{-1.0, 2.0},
             "0 always says the same, more is more varied. Below 0 it is not sent: reasoning "
             "models refuse it."},
            {"llm.openai",
             "top_p",
             at<&S::openai, &A::top_p>,
             Number{-1.0, 1.0},
             "Only the likeliest tokens that make up this share are chosen from. Below 0 it is "
             "not sent."},
            {"llm.openai",
             "max_tokens",
             at<&S::openai, &A::max_tokens>,
             Integer{1, 100'000},
             "Longest reply."},
            {"llm.openai",
             "max_tokens_field",
             at<&S::openai, &A::max_tokens_field>,
             Choice{{"max_tokens", "max_completion_tokens"}},
             "What the server calls that limit: newer hosted models know only the second."},
            {"llm.openai", "stop", at<&S::openai, &A::stop>, List{}, "Texts that end a reply."},

            {"llm.scripted",
             "dialogue_file",
             at<&S::scripted, &s::ScriptedConfig::dialogue_file>,
             Path{},
             "The dialogue: patterns and replies, see [dialogue.md](dialogue.md)."},

            {"tts", "provider", of<&S::tts_provider>, Provider{"tts"}, "Who speaks the reply."},
            {"tts", "fallback_provider", of<&S::tts_fallback>, Provider{"tts"}, fallback_help},
        });

    reach<&S::piper>(keys, "tts.piper", "url", {"ws://", "wss://"});
    trust<&S::piper>(keys, "tts.piper");
    using R = s::PiperConfig;
    add(keys,
        {
            {"tts.piper",
             "voice",
             at<&S::piper, &R::voice>,
             Text{},
             "Voice by Piper's name. An agent's own `voice` wins."},
            {"tts.piper",
             "sample_rate",
             at<&S::piper, &R::sample_rate>,
             Integer{8'000, 48'000},
             "What the voice really has: 22050 for medium and high, 16000 for low. The server "
             "does not say."},
        });

    reach<&S::wyoming_tts>(keys, "tts.wyoming", "url", {"tcp://"});
    add(keys,
        {
            {"tts.wyoming",
             "voice",
             at<&S::wyoming_tts, &s::WyomingTtsConfig::voice>,
             Text{},
             "Voice by its name. Empty: the server's for the agent's language."},
            {"tts.wyoming",
             "speaker",
             at<&S::wyoming_tts, &s::WyomingTtsConfig::speaker>,
             Text{},
             "Speaker of a voice that has several."},
        });

    reach<&S::deepgram_tts>(keys, "tts.deepgram", "url", {"wss://", "ws://"});
    trust<&S::deepgram_tts>(keys, "tts.deepgram");
    using G = s::DeepgramTtsConfig;
    add(keys,
        {
            {"tts.deepgram",
             "api_key",
             at<&S::deepgram_tts, &G::api_key>,
             Secret{},
             "The key of the account."},
            {"tts.deepgram",
             "model",
             at<&S::deepgram_tts, &G::model>,
             Text{},
             "Voice model, such as `aura-2-thalia-en`. An agent's own `voice` wins."},
            {"tts.deepgram",
             "sample_rate",
             at<&S::deepgram_tts, &G::sample_rate>,
             Integer{8'000, 48'000},
             "Samples per second: 8000, 16000, 24000, 32000 or 48000."},
        });

    reach<&S::elevenlabs>(keys, "tts.elevenlabs", "base_url", {"wss://", "ws://"});
    trust<&S::elevenlabs>(keys, "tts.elevenlabs");
    using E = s::ElevenLabsConfig;
    add(keys,
        {
            {"tts.elevenlabs",
             "api_key",
             at<&S::elevenlabs, &E::api_key>,
             Secret{},
             "The key of the account."},
            {"tts.elevenlabs",
             "voice_id",
             at<&S::elevenlabs, &E::voice_id>,
             Text{},
             "Voice by its id. An agent's own `voice` wins."},
            {"tts.elevenlabs", "model", at<&S::elevenlabs, &E::model>, Text{}, "Model by its id."},
            {"tts.elevenlabs",
             "output_format",
             at<&S::elevenlabs, &E::output_format>,
             Choice{
                 {"ulaw_8000",
                  "alaw_8000",
                  "pcm_8000",
                  "pcm_16000",
                  "pcm_22050",
                  "pcm_24000",
                  "pcm_44100"}},
             "What is sent: telephone quality, or PCM of that rate."},
            {"tts.elevenlabs",
             "stability",
             at<&S::elevenlabs, &E::stability>,
             Number{0.0, 1.0},
             "Low is livelier, high is steadier."},
            {"tts.elevenlabs",
             "similarity_boost",
             at<&S::elevenlabs, &E::similarity_boost>,
             Number{0.0, 1.0},
             "How closely the original voice is followed."},
            {"tts.elevenlabs",
             "speed",
             at<&S::elevenlabs, &E::speed>,
             Number{0.7, 1.2},
             "1 is normal."},

            {"tts.flite",
             "voice",
             at<&S::flite, &s::FliteConfig::voice>,
             Choice{{"slt", "rms", "awb", "kal"}},
             "Voice: slt is female, rms, awb and kal are male; kal has 8 kHz, the others 16 kHz."},
            {"tts.flite",
             "speed",
             at<&S::flite, &s::FliteConfig::speed>,
             Number{0.5, 2.0},
             "1 is normal, 2 twice as fast."},
            {"tts.espeak-ng",
             "command",
             at<&S::espeak, &s::EspeakConfig::command>,
             Text{},
             "The program, looked up in PATH."},
            {"tts.espeak-ng",
             "voice",
             at<&S::espeak, &s::EspeakConfig::voice>,
             Text{},
             "eSpeak NG's voice name, such as `tr` or `en-gb`. Empty: from the agent's language."},
            {"tts.espeak-ng",
             "words_per_minute",
             at<&S::espeak, &s::EspeakConfig::words_per_minute>,
             Integer{80, 450},
             "Speed of speech."},
            {"tts.espeak-ng",
             "processes",
             at<&S::espeak, &s::EspeakConfig::processes>,
             Integer{1, 64},
             "How many worker processes may run at once."},
        });

    using F = s::FailoverConfig;
    using B = s::BreakerConfig;
    add(keys,
        {
            {"failover",
             "final_transcript",
             at<&S::failover, &F::final_transcript>,
             any_wait,
             "A recogniser that needs longer from the end of speech has failed."},
            {"failover",
             "first_token",
             at<&S::failover, &F::first_token>,
             any_wait,
             "A model that needs longer for its first token has failed."},
            {"failover",
             "next_token",
             at<&S::failover, &F::next_token>,
             any_wait,
             "Or longer between two tokens."},
            {"failover",
             "first_audio",
             at<&S::failover, &F::first_audio>,
             any_wait,
             "A voice that needs longer for a sentence's first audio has failed."},
            {"failover",
             "next_audio",
             at<&S::failover, &F::next_audio>,
             any_wait,
             "Or longer between two pieces of audio."},
            {"failover",
             "consecutive_failures",
             breaker<&B::consecutive_failures>,
             Integer{1, 1'000},
             "So many failures in a row open a provider's circuit breaker: it is not asked any "
             "more."},
            {"failover",
             "failure_ratio",
             breaker<&B::failure_ratio>,
             Number{0.01, 1.0},
             "So large a share of failures among the last `window` requests opens it too."},
            {"failover",
             "window",
             breaker<&B::window>,
             Integer{1, 10'000},
             "How many requests that share is taken of."},
            {"failover",
             "open_for",
             breaker<&B::open_for>,
             any_wait,
             "After this one request may try again; success closes the breaker."},
            {"failover",
             "longest_open",
             breaker<&B::longest_open>,
             any_wait,
             "Each try that fails doubles the wait, up to this."},
            {"failover",
             "hedge",
             at<&S::failover, &F::hedge>,
             Boolean{},
             "When a provider is later than it usually is (its own 95th percentile), ask the "
             "fallback too; the first to answer wins."},
            {"failover",
             "hedge_at_least",
             at<&S::failover, &F::hedge_at_least>,
             any_wait,
             "Never before this."},
            {"failover",
             "probe_interval",
             at<&S::failover, &F::probe_interval>,
             Duration{100ms, 1h},
             "How often providers that are idle or broken are asked whether they answer."},
        });
    return keys;
}

}  // namespace oavc::config
