#include "config/keys/keys.hpp"
#include "config/keys/provider_keys.hpp"

namespace oavc::config {

namespace s = services;
using S = services::Config;

std::vector<Key> tts_keys() {
    std::vector<Key> keys{
        {"tts", "provider", of<&S::tts_provider>, Provider{"tts"}, "Who speaks the reply."},
        {"tts", "fallback_provider", of<&S::tts_fallback>, Provider{"tts"}, fallback_help},
        {"tts",
         "cache_mb",
         of<&S::tts_cache_mb>,
         Integer{0, 65'536},
         "Megabytes of memory for sentences that were said before, of all calls together: whoever "
         "needs one again needs no synthesis. Sentences with numbers or addresses of people are "
         "never kept. 0: none is."},
    };

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

    reach<&S::wyoming_tts>(keys, "tts.wyoming", "url", {"tcp://", "tls://"});
    trust<&S::wyoming_tts>(keys, "tts.wyoming");
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
    return keys;
}

}  // namespace oavc::config
