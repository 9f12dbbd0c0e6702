#pragma once

#include "base/time.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace oavc::services {

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

/// [llm.scripted]
struct ScriptedConfig {
    std::string dialogue_file;
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

/// [stt] [llm] [tts] and their provider sections.
struct Config {
    std::string stt_provider{"pocketsphinx"};
    std::string llm_provider{"scripted"};
    std::string tts_provider{"flite"};
    PocketSphinxConfig pocketsphinx;
    ScriptedConfig scripted;
    FliteConfig flite;
    EspeakConfig espeak;
};

}  // namespace oavc::services
