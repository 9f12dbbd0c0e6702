#pragma once

#include "base/time.hpp"
#include "net/tls_identity.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace oavc::services {

/// How a remote service is reached. Each has its own in its own section.
struct Endpoint {
    std::string url;
    net::TlsIdentity tls;                ///< whom to believe, and what to show who asks
    milliseconds connect_timeout{2000};  ///< name, TCP, TLS and handshake together
};

/// [stt.pocketsphinx]
struct PocketSphinxConfig {
    std::string model_dir{"/usr/share/pocketsphinx/model/en-us"};
    /// Phrases that callers may say, one per line; empty: what the scripted dialogue knows.
    std::string phrases_file;
    /// Use the general language model (100 MB, hears 14 % of real telephone speech).
    bool general_model{false};
    std::size_t max_backlog_ms{
        10'000};  ///< audio waiting for a worker before the oldest is dropped
};

/// [stt.vosk]
struct VoskConfig {
    Endpoint endpoint{"ws://vosk-server:2700", {}, milliseconds{2000}};
    int sample_rate{16'000};  ///< of the server's model: 8000, 16000, …
    milliseconds chunk{100};  ///< audio per message
    /// How the final is asked for: eof (all servers), reset (stock Python server, one connection
    /// for the call) or silence (servers that know neither).
    std::string finalize{"eof"};
    bool words{false};                     ///< ask for word times
    int max_alternatives{0};               ///< 0: one result; above: the best of so many
    std::vector<std::string> phrase_list;  ///< grammar; empty: the model's own
};

/// [stt.faster-whisper]
struct FasterWhisperConfig {
    std::string model_size{"base"};
    std::string model_path;            ///< a ggml file; empty: from model_size and compute_type
    std::string language{"auto"};      ///< ISO 639-1, auto, or agent: the agent's own language
    std::string device{"auto"};        ///< auto, cpu, cuda
    std::string compute_type{"auto"};  ///< faster-whisper's names; chooses the file's quantisation
    int beam_size{5};
    std::string initial_prompt;
    std::vector<std::string> hotwords;
    int cpu_threads{0};           ///< per decode; 0: cores divided by num_workers
    std::size_t num_workers{1};   ///< decodes at once, each with a state of its own
    std::size_t max_queue{64};    ///< utterances that may wait; more are refused and counted
    milliseconds deadline{8000};  ///< a final that waits longer than this is given up
    bool partials{true};          ///< interim results while the caller speaks
    milliseconds partial_interval{700};
    milliseconds min_speech{250};              ///< shorter utterances are not decoded
    double min_level_dbfs{-45.0};              ///< quieter ones are not either
    double min_log_probability{-1.0};          ///< mean of the tokens; below: dropped
    std::vector<std::string> ignored_phrases;  ///< added to the built-in list of hallucinations
};

/// [stt.wyoming]
struct WyomingSttConfig {
    Endpoint endpoint{"tcp://wyoming-faster-whisper:10300", {}, milliseconds{2000}};
    std::string language;  ///< empty: the agent's
    milliseconds chunk{100};
};

/// [stt.deepgram]
struct DeepgramSttConfig {
    Endpoint endpoint{"wss://api.deepgram.com/v1/listen", {}, milliseconds{3000}};
    std::string api_key;
    std::string model{"nova-3"};
    std::string language;           ///< empty: the agent's
    milliseconds endpointing{300};  ///< 0: off
    std::vector<std::string> keyterms;
    bool smart_format{false};
    milliseconds chunk{40};
};

/// [stt.scripted]
struct ScriptedSttConfig {
    std::vector<std::string> lines{"hello"};  ///< what utterances are answered with, in turn
    milliseconds delay{0};                    ///< from the end of an utterance
};

/// [llm.scripted]
struct ScriptedConfig {
    std::string dialogue_file;
};

/// [llm.llama]
struct LlamaConfig {
    Endpoint endpoint{"ws://llama-server:8765", {}, milliseconds{2000}};
    double temperature{0.2};
    double top_p{0.7};
    int max_tokens{80};
    bool use_rag{true};
    std::string rag_url{"ws://llama-server:8766"};  ///< of `oavc rag`; calls do not need it
    std::string model;                ///< sent when given; the stock server ignores it
    std::string dialect{"messages"};  ///< messages (form A) or prompt (form B, flat)
    bool fold_history{true};  ///< the server reads only the last user message: put history in it
};

/// [llm.ollama]
struct OllamaConfig {
    Endpoint endpoint{"http://ollama:11434", {}, milliseconds{2000}};
    std::string api{"generate"};  ///< generate or chat
    std::string model{"llama3.2:3b"};
    double temperature{0.7};
    double top_p{0.9};
    int max_tokens{150};  ///< num_predict
    int num_ctx{4096};
    std::string keep_alive{"30m"};
    bool think{false};
    std::vector<std::string> stop;
    bool pull_missing{false};  ///< at start, with progress in the log
    bool warm_up{true};        ///< load the model at start
};

/// [llm.openai]
struct OpenAiConfig {
    Endpoint endpoint{"https://api.openai.com/v1", {}, milliseconds{3000}};
    std::string api_key;  ///< empty: no Authorization header (local servers)
    std::string model{"gpt-4.1-mini"};
    double temperature{0.7};
    double top_p{1.0};
    int max_tokens{150};
    std::string max_tokens_field{"max_tokens"};  ///< or max_completion_tokens
    std::vector<std::string> stop;
};

/// [tts.flite]
struct FliteConfig {
    std::string voice{"slt"};  ///< slt, rms, awb (16 kHz), kal (8 kHz)
    double speed{1.0};         ///< 0.5 … 2
};

/// [tts.espeak-ng]
struct EspeakConfig {
    std::string command{"espeak-ng"};
    std::string voice;  ///< empty: from the language
    int words_per_minute{165};
    std::size_t processes{2};  ///< at most this many at once
};

/// [tts.piper]
struct PiperConfig {
    Endpoint endpoint{"ws://piper-tts-server:8000/tts", {}, milliseconds{2000}};
    std::string voice{"tr_TR-dfki-medium"};
    int sample_rate{22'050};  ///< what the voice really has
};

/// [tts.wyoming]
struct WyomingTtsConfig {
    Endpoint endpoint{"tcp://wyoming-piper:10200", {}, milliseconds{2000}};
    std::string voice;  ///< empty: the server's for the agent's language
    std::string speaker;
};

/// [tts.deepgram]
struct DeepgramTtsConfig {
    Endpoint endpoint{"wss://api.deepgram.com/v1/speak", {}, milliseconds{3000}};
    std::string api_key;
    std::string model{"aura-2-thalia-en"};
    int sample_rate{8'000};
};

/// [tts.elevenlabs]
struct ElevenLabsConfig {
    Endpoint endpoint{"wss://api.elevenlabs.io", {}, milliseconds{3000}};
    std::string api_key;
    std::string voice_id;
    std::string model{"eleven_flash_v2_5"};
    std::string output_format{"ulaw_8000"};  ///< ulaw_8000, alaw_8000 or pcm_RATE
    double stability{0.5};
    double similarity_boost{0.8};
    double speed{1.0};
};

/// When a circuit breaker opens and closes. One breaker per endpoint, for all calls.
struct BreakerConfig {
    std::size_t consecutive_failures{3};  ///< so many in a row open it
    double failure_ratio{0.5};            ///< or this share of the last `window` requests …
    std::size_t window{20};               ///< … once there were so many
    milliseconds open_for{10'000};        ///< then one request may try (half open)
    milliseconds longest_open{60'000};    ///< each failed try doubles the wait up to this
};

/// [failover]: what holds for every provider. The pipeline's own limits ([turns]) are longer.
struct FailoverConfig {
    milliseconds final_transcript{2500};  ///< end of speech → final
    milliseconds first_token{4000};
    milliseconds next_token{3000};
    milliseconds first_audio{2500};
    milliseconds next_audio{2000};
    BreakerConfig breaker;
    bool hedge{false};  ///< later than the provider's own p95: the fallback starts too
    milliseconds hedge_at_least{300};
    milliseconds probe_interval{15'000};  ///< how often idle or broken providers are looked at
};

/// [stt] [llm] [tts], their provider sections and [failover].
struct Config {
    std::string stt_provider{"vosk"};
    std::string llm_provider{"llama"};
    std::string tts_provider{"piper"};
    // Empty: none.
    std::string stt_fallback;
    std::string llm_fallback;
    std::string tts_fallback;
    std::size_t tts_cache_mb{32};  ///< audio of sentences that were said before; 0: none is kept
    FailoverConfig failover;

    PocketSphinxConfig pocketsphinx;
    VoskConfig vosk;
    FasterWhisperConfig whisper;
    WyomingSttConfig wyoming_stt;
    DeepgramSttConfig deepgram_stt;
    ScriptedSttConfig scripted_stt;
    ScriptedConfig scripted;
    LlamaConfig llama;
    OllamaConfig ollama;
    OpenAiConfig openai;
    FliteConfig flite;
    EspeakConfig espeak;
    PiperConfig piper;
    WyomingTtsConfig wyoming_tts;
    DeepgramTtsConfig deepgram_tts;
    ElevenLabsConfig elevenlabs;
};

}  // namespace oavc::services
