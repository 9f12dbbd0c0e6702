#pragma once

// Every provider that [stt], [llm] and [tts] may name, each with its part of an INI file and the
// fake server behind it, for tests that hold whole calls:
//
//     for (const Provider& stt : stt_providers()) {
//         const auto rig = stt.make();                   // its server runs
//         ini += configured("stt", stt, *rig);           // [stt] provider = … [stt.…] …
//         rig->expect(exchanges[0]);                     // what comes next
//     }

#include "base/units.hpp"
#include "caller/speech.hpp"
#include "caller/words.hpp"
#include "media/frame.hpp"
#include "media/level.hpp"
#include "support/fake_deepgram.hpp"
#include "support/fake_elevenlabs.hpp"
#include "support/fake_llama.hpp"
#include "support/fake_ollama.hpp"
#include "support/fake_openai.hpp"
#include "support/fake_piper.hpp"
#include "support/fake_vosk.hpp"
#include "support/fake_wyoming.hpp"
#include "support/tiny_whisper_model.hpp"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <numbers>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::test {

/// A question of the caller and what the model answers.
struct Exchange {
    std::string_view question;
    std::string_view answer;
};

/// Two that every engine understands; tests/data/matrix.dialogue has them too. The first answer
/// lasts long enough to be interrupted.
inline constexpr std::array<Exchange, 2> exchanges{
    {{"tell me about your savings accounts",
      "Our three savings accounts differ in how long your money stays with us. The first one pays "
      "two percent a year and you can take your money out at any time. The second one pays three "
      "percent and your money stays with us for a year. The third one is for customers who save "
      "every month."},
     {"where is the nearest branch", "The branch is on Market Street."}}};

/// The tone, in Hz, that says a sentence of the n-th answer, where the voice is a fake one.
/// Sentences of neither answer sound lower.
inline constexpr std::array<double, 2> answer_tones{700, 1'100};
inline constexpr double other_tone = 450;

inline std::vector<media::Sample> tone_saying(std::string sentence, SampleRate rate) {
    while (sentence.ends_with(' '))
        sentence.pop_back();
    double hz = other_tone;
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
        if (exchanges[i].answer.find(sentence) != std::string_view::npos) hz = answer_tones[i];
    }
    std::vector<media::Sample> samples(samples_in(milliseconds{40}, rate) * sentence.size());
    const double step = 2 * std::numbers::pi * hz / rate.hz;
    for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i] = static_cast<media::Sample>(8'000 * std::sin(step * static_cast<double>(i)));
    return samples;
}

/// What a fake recogniser understands: as many words of the question as it has heard of its audio,
/// none of noise. Too little of it, or the wrong rate, and words are missing in the end.
class WordsAsHeard {
public:
    void expect(std::string_view question) {
        auto speech = caller::prepare_speech(
            {{caller::Options::Speech::Kind::text, std::string{question}}}, "rms"
        );
        const std::lock_guard lock{mutex_};
        words_ = caller::words_of(question);
        whole_ = voiced(speech.at(0).samples, narrowband);
    }
    std::string operator()(media::Samples audio, SampleRate rate) const {
        const std::lock_guard lock{mutex_};
        const auto heard = voiced(audio, rate) / (0.9 * whole_);  // the line cuts a little
        const auto count = std::min(heard, 1.0) * static_cast<double>(words_.size());
        std::string text;
        for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
            text += (i == 0 ? "" : " ") + words_[i];
        return text;
    }

private:
    /// Seconds.
    static double voiced(media::Samples audio, SampleRate rate) {
        const auto step = samples_in(10ms, rate);
        std::size_t steps = 0;
        for (; audio.size() >= step; audio = audio.subspan(step))
            steps += media::is_voiced(audio.first(step)) ? 1 : 0;
        return static_cast<double>(steps) / 100;
    }

    mutable std::mutex mutex_;
    std::vector<std::string> words_;
    double whole_{1};
};

/// One provider at work. Thread: any.
class ProviderRig {
public:
    virtual ~ProviderRig() = default;
    /// Its own section of the INI file.
    virtual std::string ini() const = 0;
    /// What is said and answered from now on, where the server is a fake.
    virtual void expect(const Exchange&) {}
    /// Of its server; null: not counted.
    virtual const ConnectionCount* connections() const { return nullptr; }
};

struct Provider {
    std::string name;                                    ///< in the matrix
    std::string id;                                      ///< in the INI file
    std::function<std::unique_ptr<ProviderRig>()> make;  ///< null: not in this build
    bool exact{true};                                    ///< stt: the transcript is what was said
    bool tones{false};                                   ///< tts: speaks in tone_saying
};

inline void PrintTo(const Provider& provider, std::ostream* out) { *out << provider.name; }

/// `kind`: stt, llm or tts. `keys`: lines of the same section.
inline std::string configured(
    std::string_view kind,
    const Provider& provider,
    const ProviderRig& rig,
    std::string_view keys = ""
) {
    return "[" + std::string{kind} + "]\nprovider = " + provider.id + "\n" + std::string{keys} +
           rig.ini();
}

namespace rigs {

/// Without a server: the embedded engines.
class Embedded final : public ProviderRig {
public:
    explicit Embedded(std::string ini = "") : ini_{std::move(ini)} {}
    std::string ini() const override { return ini_; }

private:
    const std::string ini_;
};

template <class Rig, class... Arguments>
std::function<std::unique_ptr<ProviderRig>()> make(Arguments... arguments) {
    return [arguments...] { return std::make_unique<Rig>(arguments...); };
}

constexpr milliseconds word_pause{50};
inline const std::string dialogue_file = OAVC_TEST_DATA "/matrix.dialogue";

class Vosk final : public ProviderRig {
public:
    Vosk() {
        server_.recognise([this](media::Samples audio) { return words_(audio, wideband); });
    }
    ~Vosk() override { server_.stop(); }
    std::string ini() const override { return "[stt.vosk]\nurl = " + server_.url() + "\n"; }
    void expect(const Exchange& exchange) override { words_.expect(exchange.question); }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    WordsAsHeard words_;
    FakeVosk server_;
};

class WyomingStt final : public ProviderRig {
public:
    WyomingStt() {
        server_.recogniser([this](media::Samples audio) { return words_(audio, wideband); });
    }
    std::string ini() const override { return "[stt.wyoming]\nurl = " + server_.url() + "\n"; }
    void expect(const Exchange& exchange) override { words_.expect(exchange.question); }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    WordsAsHeard words_;
    FakeWyoming server_;
};

class WyomingTts final : public ProviderRig {
public:
    WyomingTts() {
        server_.synthesizer([](const std::string& text) { return tone_saying(text, {22'050}); });
    }
    std::string ini() const override { return "[tts.wyoming]\nurl = " + server_.url() + "\n"; }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    FakeWyoming server_;
};

class ElevenLabs final : public ProviderRig {
public:
    ElevenLabs() {
        server_.synthesizer([](const std::string& text) { return tone_saying(text, narrowband); });
    }
    std::string ini() const override {
        return "[tts.elevenlabs]\nbase_url = " + server_.base_url() +
               "\napi_key = secret\nvoice_id = voice1\n";
    }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    FakeElevenLabs server_;
};

class DeepgramStt final : public ProviderRig {
public:
    DeepgramStt() {
        server_.recognise([this](media::Samples audio) { return words_(audio, wideband); });
    }
    std::string ini() const override {
        return "[stt.deepgram]\nurl = " + server_.listen_url() + "\napi_key = for-tests-only\n";
    }
    void expect(const Exchange& exchange) override { words_.expect(exchange.question); }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    WordsAsHeard words_;
    FakeDeepgram server_;
};

class DeepgramTts final : public ProviderRig {
public:
    DeepgramTts() { server_.synthesise(tone_saying); }
    std::string ini() const override {
        return "[tts.deepgram]\nurl = " + server_.speak_url() + "\napi_key = for-tests-only\n";
    }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    FakeDeepgram server_;
};

/// The real library with a model that writes nonsense: what it understands is no matter.
class Whisper final : public ProviderRig {
public:
    std::string ini() const override {
        static const std::string model = [] {
            const auto path = std::filesystem::temp_directory_path() /
                              ("oavc-tiny-whisper-" + std::to_string(::getpid()) + ".bin");
            write_tiny_whisper(path);
            return path.string();
        }();
        return "[stt.faster-whisper]\nmodel_path = " + model +
               "\nlanguage = en\nbeam_size = 1\ncpu_threads = 1\n";
    }
};
#ifdef OAVC_HAS_WHISPER
inline const auto make_whisper = make<Whisper>();
#else
inline const std::function<std::unique_ptr<ProviderRig>()> make_whisper;
#endif

/// Words come one by one, so that an interruption finds the answer unfinished.
class Llama final : public ProviderRig {
public:
    Llama() {
        Trouble slow;
        slow.pause = word_pause;
        server_.trouble(slow);
    }
    std::string ini() const override { return "[llm.llama]\nurl = " + server_.url() + "\n"; }
    void expect(const Exchange& exchange) override {
        server_.model([answer = std::string{exchange.answer}](const std::string&) { return answer; }
        );
    }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    FakeLlama server_;
};

inline std::vector<std::string> tokens_of(std::string_view answer) {
    std::vector<std::string> tokens;
    while (!answer.empty()) {
        const auto end = std::min(answer.find(' ', 1), answer.size());
        tokens.emplace_back(answer.substr(0, end));
        answer.remove_prefix(end);
    }
    return tokens;
}

/// `Server`: FakeOllama or FakeOpenAi.
template <class Server>
class ChatRig : public ProviderRig {
public:
    ChatRig() {
        server_.behave([](ChatBehaviour& behaviour) { behaviour.gap = word_pause; });
    }
    void expect(const Exchange& exchange) override { server_.say(tokens_of(exchange.answer)); }

protected:
    Server server_;
};

class Ollama final : public ChatRig<FakeOllama> {
public:
    explicit Ollama(std::string endpoint) : endpoint_{std::move(endpoint)} {}
    std::string ini() const override {
        return "[llm.ollama]\nbase_url = " + server_.url() + "\nendpoint = " + endpoint_ + "\n";
    }

private:
    const std::string endpoint_;
};

class OpenAi final : public ChatRig<FakeOpenAi> {
public:
    OpenAi() { server_.want_key("for-tests-only"); }
    std::string ini() const override {
        return "[llm.openai]\nbase_url = " + server_.url() + "\napi_key = for-tests-only\n";
    }
};

class Piper final : public ProviderRig {
public:
    Piper() {
        server_.synthesizer([](const std::string& text) { return tone_saying(text, {22'050}); });
    }
    std::string ini() const override { return "[tts.piper]\nurl = " + server_.url() + "\n"; }
    const ConnectionCount* connections() const override { return &server_.connections(); }

private:
    FakePiper server_;
};

}  // namespace rigs

inline std::vector<Provider> stt_providers() {
    return {
        {"vosk", "vosk", rigs::make<rigs::Vosk>()},
        {"wyoming", "wyoming", rigs::make<rigs::WyomingStt>()},
        {"deepgram", "deepgram", rigs::make<rigs::DeepgramStt>()},
        {.name = "faster-whisper",
         .id = "faster-whisper",
         .make = rigs::make_whisper,
         .exact = false},
        {"pocketsphinx", "pocketsphinx", rigs::make<rigs::Embedded>()},
    };
}

inline std::vector<Provider> llm_providers() {
    return {
        {"llama", "llama", rigs::make<rigs::Llama>()},
        {"ollama-generate", "ollama", rigs::make<rigs::Ollama>("generate")},
        {"ollama-chat", "ollama", rigs::make<rigs::Ollama>("chat")},
        {"openai", "openai", rigs::make<rigs::OpenAi>()},
        {"scripted", "scripted", rigs::make<rigs::Embedded>()},
    };
}

inline std::vector<Provider> tts_providers() {
    const auto toned = [](std::string id, std::function<std::unique_ptr<ProviderRig>()> make) {
        return Provider{.name = id, .id = id, .make = std::move(make), .tones = true};
    };
    return {
        toned("piper", rigs::make<rigs::Piper>()),
        toned("wyoming", rigs::make<rigs::WyomingTts>()),
        toned("deepgram", rigs::make<rigs::DeepgramTts>()),
        toned("elevenlabs", rigs::make<rigs::ElevenLabs>()),
        {"flite", "flite", rigs::make<rigs::Embedded>()},
        {"espeak-ng", "espeak-ng", rigs::make<rigs::Embedded>()},
    };
}

}  // namespace oavc::test
