#include "services/errors.hpp"
#include "services/stt/phrase_recognizer.hpp"
#include "services/tts/detail/child_process.hpp"
#include "services/tts/detail/wav_stream.hpp"
#include "services/tts/espeak_tts.hpp"
#include "services/tts/flite_tts.hpp"
#include "services/tts/flite_voice.hpp"
#include "support/await.hpp"
#include "support/busy_worker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace oavc::services {
namespace {

using testing::HasSubstr;

std::vector<media::Sample> all_of(async::Shard& shard, TtsReply& reply, error_code* end = nullptr) {
    std::vector<media::Sample> audio;
    for (;;) {
        auto chunk = test::result_of(shard, reply.next());
        if (!chunk) {
            if (end == nullptr) {
                EXPECT_EQ(chunk.error(), ServiceErrc::end_of_stream) << chunk.error().message();
            } else {
                *end = chunk.error();
            }
            return audio;
        }
        EXPECT_FALSE(chunk->samples.empty());
        audio.insert(audio.end(), chunk->samples.begin(), chunk->samples.end());
    }
}

double rms(const std::vector<media::Sample>& audio) {
    double sum = 0;
    for (const double sample : audio)
        sum += sample * sample;
    return audio.empty() ? 0 : std::sqrt(sum / static_cast<double>(audio.size()));
}

std::unique_ptr<FliteTts> flite(async::WorkerPool& workers, const std::string& voice = "slt") {
    return std::make_unique<FliteTts>(FliteConfig{.voice = voice}, workers);
}

std::unique_ptr<EspeakTts> espeak(
    const std::string& command = "espeak-ng", std::size_t processes = 2
) {
    EspeakConfig config;
    config.command = command;
    config.processes = processes;
    return std::make_unique<EspeakTts>(config);
}

TEST(Flite, StreamsSpeechThatCanBeUnderstoodWithoutSilenceAtItsStart) {
    async::WorkerPool workers{2, 64};
    async::Shard shard{0};
    for (const auto voice : {"slt", "rms", "awb", "kal"}) {
        auto tts = flite(workers, voice);
        const auto rate = tts->capabilities().output_rate;
        EXPECT_EQ(rate, std::string_view{voice} == "kal" ? narrowband : wideband);
        auto session = test::value_of(shard, tts->open(shard, {"en-US", ""}));
        auto reply = session->speak("Your card will arrive tomorrow.");
        const auto first = test::value_of(shard, reply->next());
        EXPECT_LT(duration_of(first.samples.size(), rate), 60ms) << "the first piece is small";
        auto audio = first.samples;
        const auto rest = all_of(shard, *reply);
        audio.insert(audio.end(), rest.begin(), rest.end());
        EXPECT_GT(duration_of(audio.size(), rate), 1s);
        const auto sound =
            std::find_if(audio.begin(), audio.end(), [](int s) { return std::abs(s) >= 100; });
        EXPECT_LE(duration_of(static_cast<std::size_t>(sound - audio.begin()), rate), 10ms)
            << voice;
        PhraseRecognizer ear{{"your card will arrive tomorrow", "we are open from nine to five"}};
        EXPECT_EQ(ear.recognize(audio, rate), "your card will arrive tomorrow") << voice;
    }
}

TEST(Flite, ManyThreadsShareOneVoice) {
    const auto reference = synthesize_flite("The courier has your card.", "slt");
    ASSERT_TRUE(reference);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 8; ++k) {
                const auto speech = synthesize_flite("The courier has your card.", "slt");
                ASSERT_TRUE(speech);
                // Breath is random, so that no two are the same sample by sample.
                ASSERT_EQ(speech->samples.size(), reference->samples.size());
                EXPECT_NEAR(rms(speech->samples) / rms(reference->samples), 1, 0.02);
                const std::vector<media::Sample> end(
                    speech->samples.end() - 4'000, speech->samples.end() - 3'000
                );
                const std::vector<media::Sample> same(
                    reference->samples.end() - 4'000, reference->samples.end() - 3'000
                );
                EXPECT_NEAR(rms(end), rms(same), 0.1 * rms(same) + 50);
            }
        });
    }
}

TEST(Flite, SpeaksSentencesInOrderAndStopsWhenNobodyListens) {
    async::WorkerPool workers{2, 64};
    async::Shard shard{0};
    auto tts = flite(workers);
    auto session = test::value_of(shard, tts->open(shard, {}));
    const std::string longest(1'000, 'a');
    auto first = session->speak("One. " + longest);
    auto second = session->speak("Two.");
    auto third = session->speak("Three.");
    test::value_of(shard, first->next());
    first.reset();
    second.reset();
    EXPECT_GT(all_of(shard, *third).size(), 3'000u);
    // The service may go with everything under way.
    auto last = session->speak("Your card is with the courier and will arrive tomorrow.");
    session.reset();
    tts.reset();
    last.reset();
}

TEST(Flite, TheShardMayBeGoneWhenTheJobGetsItsTurn) {
    async::WorkerPool workers{1, 8};
    auto shard = std::make_unique<async::Shard>(0);
    auto tts = flite(workers);
    test::BusyWorker worker{workers};
    auto session = test::value_of(*shard, tts->open(*shard, {}));
    auto reply = session->speak("Hello there.");
    reply.reset();
    session.reset();
    shard.reset();
    worker.release();
    test::wait_for_worker(workers);
}

TEST(Flite, SpeedChangesTheLength) {
    const auto normal = synthesize_flite("Your card is with the courier.", "slt", 1.0);
    const auto fast = synthesize_flite("Your card is with the courier.", "slt", 2.0);
    const double ratio =
        static_cast<double>(fast->samples.size()) / static_cast<double>(normal->samples.size());
    EXPECT_NEAR(ratio, 0.5, 0.1);
}

TEST(Flite, AnyTextIsSurvivedAndTextWithoutWordsIsSilent) {
    for (const std::string text : {"", " ", "...", "!?", "\n\t", "\xFF\xFE", "—"}) {
        const auto speech = synthesize_flite(text);
        ASSERT_TRUE(speech) << text;
        EXPECT_TRUE(speech->samples.empty()) << text;
    }
    for (const std::string text :
         {"Günaydın José",
          "a",
          "$5.00 & 3% @ #1",
          "http://example.com/?a=b",
          "<speak>x</speak>",
          "1234567890123456789012345678901234567890",
          "((((",
          "'a'",
          "a\x01z",
          "e=mc^2 \\ | ~ `",
          "Mr. Dr. St. 12/12/2012 10:30 a.m. IV",
          "supercalifragilisticexpialidocious"}) {
        ASSERT_TRUE(synthesize_flite(text, "kal")) << text;
    }
    EXPECT_GT(synthesize_flite("Günaydın")->samples.size(), 3'000u);
}

TEST(Flite, RefusesVoicesAndLanguagesItDoesNotHave) {
    async::WorkerPool workers{1, 8};
    async::Shard shard{0};
    EXPECT_THROW(flite(workers, "bob"), std::runtime_error);
    auto tts = flite(workers);
    EXPECT_EQ(
        test::result_of(shard, tts->open(shard, {"tr", ""})).error(), ServiceErrc::configuration
    );
    // Another voice for one call comes at the service's rate.
    auto session = test::value_of(shard, tts->open(shard, {"en", "kal"}));
    auto reply = session->speak("Hello there, caller.");
    EXPECT_GT(duration_of(all_of(shard, *reply).size(), wideband), 700ms);
}

TEST(Flite, AFullWorkerPoolIsOverload) {
    async::WorkerPool workers{1, 1};
    async::Shard shard{0};
    auto tts = flite(workers);
    auto session = test::value_of(shard, tts->open(shard, {}));
    test::BusyWorker worker{workers};
    auto waiting = session->speak("One.");
    auto refused = session->speak("Two.");
    EXPECT_EQ(test::result_of(shard, refused->next()).error(), ServiceErrc::overloaded);
    worker.release();
    EXPECT_FALSE(all_of(shard, *waiting).empty());
}

TEST(Espeak, SpeaksTurkishAndOtherLanguages) {
    async::Shard shard{0};
    auto tts = espeak();
    EXPECT_EQ(tts->capabilities().output_rate, SampleRate{22'050});
    std::vector<std::vector<media::Sample>> spoken;
    for (const auto language : {"tr-TR", "en", "de"}) {
        auto session = test::value_of(shard, tts->open(shard, {language, ""}));
        for (int i = 0; i < 2; ++i) {  // the second time from a process started ahead
            auto reply = session->speak("Kartınız yarın öğleden önce size ulaşacak.");
            spoken.push_back(all_of(shard, *reply));
            EXPECT_GT(duration_of(spoken.back().size(), {22'050}), 1s) << language;
            EXPECT_GT(rms(spoken.back()), 500) << language;
        }
    }
    EXPECT_NE(spoken[0].size(), spoken[2].size()) << "Turkish is not read as English";
}

TEST(Espeak, TextIsNeverACommandOrAnOption) {
    async::Shard shard{0};
    const auto marker = std::filesystem::temp_directory_path() / "oavc-espeak-injection";
    std::filesystem::remove(marker);
    auto tts = espeak();
    auto session = test::value_of(shard, tts->open(shard, {"en", ""}));
    auto reply = session->speak(
        "--version -f /etc/passwd; touch " + marker.string() + " $(touch " + marker.string() + ")"
    );
    EXPECT_GT(all_of(shard, *reply).size(), 22'050u) << "it is read out";
    EXPECT_FALSE(std::filesystem::exists(marker));
    EXPECT_EQ(
        test::result_of(shard, tts->open(shard, {"en", "x; touch y"})).error(),
        ServiceErrc::configuration
    );
    EXPECT_EQ(
        test::result_of(shard, tts->open(shard, {"en", "--version"})).error(),
        ServiceErrc::configuration
    );
}

TEST(Espeak, RunsFewProcessesForManySentencesAndKillsThoseNobodyHears) {
    async::Shard shard{0};
    auto tts = espeak();
    auto session = test::value_of(shard, tts->open(shard, {"en", ""}));
    std::vector<std::unique_ptr<TtsReply>> replies;
    for (int i = 0; i < 10; ++i)
        replies.push_back(session->speak("One two three."));
    for (int i = 0; i < 10; i += 2)
        replies[static_cast<std::size_t>(i)].reset();
    for (const auto& reply : replies) {
        if (reply != nullptr) EXPECT_GT(all_of(shard, *reply).size(), 10'000u);
    }
    EXPECT_LE(tts->stats().started, 12u);
    // Everything may go at once.
    auto last = session->speak("The end.");
    tts.reset();
    session.reset();
    last.reset();
}

TEST(Espeak, ErrorsSayWhatIsMissing) {
    async::Shard shard{0};
    EspeakConfig config;
    config.voice = "nosuchvoice";
    EXPECT_THAT(
        [&] { EspeakTts{config}; },
        testing::ThrowsMessage<std::runtime_error>(HasSubstr("there is no 'nosuchvoice'"))
    );
    auto tts = espeak();
    auto session = test::value_of(shard, tts->open(shard, {"xx", ""}));
    auto reply = session->speak("Hello.");
    error_code end;
    EXPECT_TRUE(all_of(shard, *reply, &end).empty());
    EXPECT_TRUE(end == ServiceErrc::configuration || end == ServiceErrc::unavailable);
    auto silent = session->speak(" ... ");
    EXPECT_TRUE(all_of(shard, *silent).empty());
}

TEST(Espeak, AProgramThatSaysNothingSensibleIsAnErrorNotAHang) {
    async::Shard shard{0};
    auto tts = espeak("echo");
    auto session = test::value_of(shard, tts->open(shard, {"en", ""}));
    auto reply = session->speak("Hello.");
    error_code end;
    EXPECT_TRUE(all_of(shard, *reply, &end).empty());
    EXPECT_TRUE(end == ServiceErrc::protocol || end == ServiceErrc::unavailable) << end.message();
}

TEST(Espeak, AHangingProgramIsKilledWithItsReply) {
    // A program that ignores its arguments and neither speaks nor ends.
    const auto script = std::filesystem::temp_directory_path() / "oavc-hanging-voice";
    {
        std::ofstream file{script};
        file << "#!/bin/sh\nexec sleep 1000\n";
    }
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    async::Shard shard{0};
    auto tts = espeak(script.string(), 1);
    auto session = test::value_of(shard, tts->open(shard, {"en", ""}));
    auto reply = session->speak("Hello.");
    while (tts->stats().started == 0)
        std::this_thread::yield();
    reply.reset();
    while (tts->stats().killed == 0)
        std::this_thread::yield();
    auto other = session->speak("Hello.");
    while (tts->stats().started == 1)
        std::this_thread::yield();
    tts.reset();
    session.reset();
    EXPECT_LT(::waitpid(-1, nullptr, WNOHANG), 0) << "no child is left, dead or alive";
    other.reset();
    std::filesystem::remove(script);
}

TEST(EspeakVoice, FollowsTheLanguageTag) {
    EXPECT_EQ(espeak_voice_for("tr-TR"), "tr");
    EXPECT_EQ(espeak_voice_for("en-US"), "en-us");
    EXPECT_EQ(espeak_voice_for("en_GB"), "en-gb");
    EXPECT_EQ(espeak_voice_for("zh-CN"), "cmn");
    EXPECT_EQ(espeak_voice_for("no"), "nb");
    EXPECT_EQ(espeak_voice_for(""), "en");
}

std::vector<std::byte> wav_header(std::uint32_t rate, std::uint16_t channels, std::uint16_t bits) {
    std::string header = "RIFF";
    const auto put = [&](std::uint32_t value, int size) {
        for (int i = 0; i < size; ++i)
            header += static_cast<char>(value >> (8 * i));
    };
    put(0x7FFFF024, 4);  // made up, as the writer does not know the length
    header += "WAVEfmt ";
    put(16, 4);
    put(1, 2);
    put(channels, 2);
    put(rate, 4);
    put(rate * channels * bits / 8, 4);
    put(channels * bits / 8u, 2);
    put(bits, 2);
    header += "LIST";
    put(3, 4);
    header += "abc";
    header += '\0';  // padding
    header += "data";
    put(0x7FFFF000, 4);
    std::vector<std::byte> bytes(header.size());
    std::memcpy(bytes.data(), header.data(), header.size());
    return bytes;
}

TEST(WavStream, ReadsSamplesHoweverTheBytesArrive) {
    auto bytes = wav_header(22'050, 1, 16);
    for (const int byte : {0x01, 0x02, 0xFF, 0x80, 0x00})
        bytes.push_back(static_cast<std::byte>(byte));
    for (std::size_t step = 1; step <= bytes.size(); ++step) {
        WavStream wav;
        std::vector<media::Sample> samples;
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            const auto size = std::min(step, bytes.size() - at);
            ASSERT_TRUE(wav.feed(std::span{bytes}.subspan(at, size), samples));
        }
        EXPECT_EQ(wav.rate(), SampleRate{22'050});
        EXPECT_EQ(samples, (std::vector<media::Sample>{0x0201, -32'513}));
    }
}

TEST(WavStream, RefusesWhatIsNoMonoPcm) {
    const auto refused = [](const std::vector<std::byte>& bytes) {
        WavStream wav;
        std::vector<media::Sample> samples;
        return wav.feed(bytes, samples).has_error();
    };
    EXPECT_FALSE(refused(wav_header(8'000, 1, 16)));
    EXPECT_TRUE(refused(wav_header(8'000, 2, 16)));
    EXPECT_TRUE(refused(wav_header(8'000, 1, 8)));
    EXPECT_TRUE(refused(wav_header(1, 1, 16)));
    auto other = wav_header(8'000, 1, 16);
    other[0] = std::byte{'X'};
    EXPECT_TRUE(refused(other));
    EXPECT_TRUE(refused(std::vector<std::byte>(64, std::byte{'R'})));
}

}  // namespace
}  // namespace oavc::services
