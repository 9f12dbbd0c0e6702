#include "config/keys/keys.hpp"
#include "config/keys/provider_keys.hpp"

namespace oavc::config {

namespace s = services;
using S = services::Config;

std::vector<Key> stt_keys() {
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

    reach<&S::wyoming_stt>(keys, "stt.wyoming", "url", {"tcp://", "tls://"});
    trust<&S::wyoming_stt>(keys, "stt.wyoming");
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
        });

    using T = s::ScriptedSttConfig;
    add(keys,
        {
            {"stt.scripted",
             "lines",
             at<&S::scripted_stt, &T::lines>,
             List{},
             "What a caller's utterances are taken for, one after another and from the first "
             "again; "
             "every call begins with the first. A line of the file each, or separated by commas."},
            {"stt.scripted",
             "delay",
             at<&S::scripted_stt, &T::delay>,
             Duration{0ms, 10s},
             "How long after the end of an utterance its text comes. Above `[failover] "
             "final_transcript` the provider counts as failed."},
        });
    return keys;
}

}  // namespace oavc::config
