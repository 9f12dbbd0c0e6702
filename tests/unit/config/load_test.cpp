#include "config/load.hpp"

#include "config/explain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace oavc::config {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A folder with a dialogue and a model in it, so that what a test writes is complete.
class Load : public testing::Test {
protected:
    Load() {
        std::ofstream{folder_ / "x.dialogue"} << "\n";
        std::filesystem::create_directories(folder_ / "model");
    }
    ~Load() override { std::filesystem::remove_all(folder_); }

    /// `text` on top of what every complete file has.
    Loaded load(std::string_view text, const Environment& environment = {}) const {
        constexpr std::string_view rest =
            "\n[llm.scripted]\ndialogue_file = x.dialogue\n[stt.pocketsphinx]\nmodel_dir = model\n";
        return bare(std::string{text}.append(rest), environment);
    }
    Loaded bare(std::string_view text, const Environment& environment = {}) const {
        return load_text(text, "test.ini", folder_, environment);
    }

    static std::string all(const Loaded& loaded) { return list_problems(loaded, Severity::note); }

    const std::filesystem::path folder_{make_folder()};

private:
    static std::filesystem::path make_folder() {
        std::string name = testing::TempDir() + "oavc-load-XXXXXX";
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error{"mkdtemp"};
        return name;
    }
};

TEST_F(Load, AnAlmostEmptyFileMeansTheDefaults) {
    const auto loaded = load("");
    EXPECT_THAT(all(loaded), IsEmpty());
    EXPECT_EQ(loaded.config.telephony.provider, "opensips");
    EXPECT_EQ(loaded.config.api.port, 8088);
    ASSERT_EQ(loaded.config.pipeline.agents.size(), 1u);
    EXPECT_EQ(loaded.config.services.scripted.dialogue_file, (folder_ / "x.dialogue").string());
}

TEST_F(Load, ListsAllProblemsAtOnceInTheOrderOfTheFile) {
    const auto loaded = load(
        "[telephony]\n"
        "provider = skype\n"
        "[api]\n"
        "prot = 8088\n"
        "port = many\n"
        "[twillio]\n"
        "auth_token = hush\n"
        "[stt]\n"
        "event_port = 1\n"
    );
    EXPECT_EQ(
        all(loaded),
        "test.ini:2: error: Unknown provider: 'skype' for [telephony] provider (known: opensips, "
        "sip, "
        "twilio, both)\n"
        "test.ini:4: warning: unknown key `prot` in [api]; did you mean `port`?\n"
        "test.ini:5: error: [api] port: \"many\" is not a whole number (0 … 65535)\n"
        "test.ini:6: warning: unknown section [twillio]; did you mean [telephony.twilio]?\n"
        "test.ini:9: warning: unknown key `event_port` in [stt]; it belongs in "
        "[telephony.opensips]\n"
        "test.ini: 2 errors, 3 warnings\n"
    );
    EXPECT_FALSE(loaded.ok());
}

TEST_F(Load, ExpandsTheEnvironmentWithAndWithoutDefaults) {
    const Environment environment{{"NAME", "Ada"}, {"EMPTY", ""}};
    const auto loaded = load(
        "[agent]\n"
        "greeting = Hello ${NAME}, ${MISSING:-friend}${EMPTY:-!} $${NAME} costs $5\n",
        environment
    );
    EXPECT_THAT(all(loaded), IsEmpty());
    EXPECT_EQ(loaded.config.pipeline.agents[0].greeting, "Hello Ada, friend! ${NAME} costs $5");
}

TEST_F(Load, ANameThatTheEnvironmentLacksIsAnErrorThatNamesIt) {
    const auto loaded = load("[agent]\ngreeting = ${NOBODY}\nlanguage = ${x y}\nvoice = ${open\n");
    EXPECT_THAT(
        all(loaded),
        HasSubstr("test.ini:2: error: [agent] greeting: the environment does not have NOBODY")
    );
    EXPECT_THAT(all(loaded), HasSubstr("test.ini:3: error: [agent] language: expected ${NAME}"));
    EXPECT_THAT(all(loaded), HasSubstr("test.ini:4: error: [agent] voice: a ${ is never closed"));
}

TEST_F(Load, ACertificateNeedsItsKeyAndFilesThatAreThere) {
    std::ofstream{folder_ / "a.pem"} << "\n";
    const auto problems = [this](std::string_view text) { return all(load(text)); };
    EXPECT_THAT(problems("[api]\ntls_port = 8443\n"), HasSubstr("tls_port: needs tls_certificate"));
    EXPECT_THAT(
        problems("[api]\ntls_certificate = a.pem\n"), HasSubstr("tls_private_key: belongs to")
    );
    EXPECT_THAT(
        problems("[api]\nport = 8443\ntls_port = 8443\ntls_certificate = a.pem\n"
                 "tls_private_key = a.pem\n"),
        HasSubstr("tls_port: must not be port")
    );
    EXPECT_THAT(problems("[api]\ntls_verify_client = yes\n"), HasSubstr("needs tls_ca"));
    const std::string ollama = "[llm]\nprovider = ollama\n[llm.ollama]\n";
    EXPECT_THAT(problems(ollama + "certificate_file = a.pem\n"), HasSubstr("both or none"));
    EXPECT_THAT(problems(ollama + "ca_file = no.pem\n"), HasSubstr("ca_file: there is no"));
    EXPECT_THAT(problems("[tracing]\nkey_file = a.pem\n"), HasSubstr("both or none"));
    const auto right = load(
        "[api]\ntls_port = 8443\ntls_certificate = a.pem\n"
        "tls_private_key = a.pem\ntls_ca = a.pem\ntls_verify_client = yes\n"
    );
    EXPECT_TRUE(right.ok()) << all(right);
}

TEST_F(Load, WhatIsNotInUseMayBeHalfConfigured) {
    constexpr std::string_view twilio = "[telephony.twilio]\nauth_token = ${TWILIO_AUTH_TOKEN}\n";
    const auto unused = load(twilio);
    EXPECT_TRUE(unused.ok());
    EXPECT_THAT(all(unused), HasSubstr("note: [telephony.twilio] auth_token"));
    EXPECT_FALSE(load(std::string{"[telephony]\nprovider = both\n"}.append(twilio)).ok());
}

TEST_F(Load, EnvironmentBeatsFileAndPortBeatsAll) {
    constexpr std::string_view text =
        "[api]\nport = 1000\n[agent.sales]\nmatch = 1\nlanguage = en\n";
    EXPECT_EQ(load(text).config.api.port, 1000);
    EXPECT_EQ(load(text, {{"OAVC_API_PORT", "2000"}}).config.api.port, 2000);
    const auto loaded = load(
        text, {{"OAVC_API_PORT", "2000"}, {"PORT", "3000"}, {"OAVC_AGENT_SALES_LANGUAGE", "tr"}}
    );
    EXPECT_EQ(loaded.config.api.port, 3000);
    EXPECT_EQ(loaded.config.pipeline.agents[0].language, "tr");
    EXPECT_EQ(loaded.find("api", "port")->origin.name, "PORT");
}

TEST_F(Load, AnEmptyVariableIsNoNumberButMayBeAText) {
    const auto loaded = load(
        "[agent]\ngoodbye = Bye\n",
        {{"OAVC_API_PORT", ""}, {"OAVC_AGENT_GOODBYE", ""}, {"LOG_LEVEL", ""}}
    );
    EXPECT_THAT(all(loaded), IsEmpty());
    EXPECT_EQ(loaded.config.api.port, 8088);
    EXPECT_EQ(loaded.config.pipeline.agents[0].goodbye, "");
}

TEST_F(Load, AWrongVariableIsNamed) {
    const auto loaded = load("", {{"OAVC_API_PORT", "high"}, {"LOG_LEVEL", "shout"}});
    EXPECT_THAT(
        all(loaded), HasSubstr("test.ini: error: environment OAVC_API_PORT ([api] port): \"high\"")
    );
    EXPECT_THAT(all(loaded), HasSubstr("environment LOG_LEVEL ([logging] level): \"shout\""));
}

TEST_F(Load, AMisspeltVariableIsWarnedOfAndKubernetesOwnNamesAreNot) {
    const auto loaded = load(
        "",
        {{"OAVC_API_PROT", "1"}, {"OAVC_SERVICE_HOST", "10.0.0.1"}, {"OAVC_PORT", "tcp://10.0.0.1"}}
    );
    EXPECT_EQ(loaded.problems.size(), 1u);
    EXPECT_THAT(
        all(loaded), HasSubstr("OAVC_API_PROT belongs to no key; did you mean OAVC_API_PORT?")
    );
}

TEST_F(Load, AgentsKeepTheFilesOrderInheritFromTheDefaultAndEndWithIt) {
    const auto loaded = load(
        "[agent.Sales]\n"
        "match = \\+90212.*\n"
        "greeting = Sales here.\n"
        "[agent.support]\n"
        "match = \\d{3}\n"
        "language = en\n"
        "[agent]\n"
        "language = tr\n"
        "greeting = Merhaba\n"
    );
    EXPECT_THAT(all(loaded), IsEmpty());
    const auto& agents = loaded.config.pipeline.agents;
    ASSERT_EQ(agents.size(), 3u);
    EXPECT_EQ(agents[0].name, "Sales");
    EXPECT_EQ(agents[0].greeting, "Sales here.");
    EXPECT_EQ(agents[0].language, "tr");
    EXPECT_EQ(agents[1].match, "\\d{3}");
    EXPECT_EQ(agents[1].language, "en");
    EXPECT_EQ(agents[1].greeting, "Merhaba");
    EXPECT_EQ(agents[2].name, "default");
    EXPECT_EQ(agents[2].match, "");
}

TEST_F(Load, AnAgentThatNoCallReachesIsReported) {
    EXPECT_THAT(
        all(load("[agent.a]\ngreeting = x\n")),
        HasSubstr("test.ini:1: error: [agent.a] has no `match`")
    );
    EXPECT_THAT(all(load("[agent]\nmatch = .*\n")), HasSubstr("belongs in an [agent.NAME]"));
    EXPECT_THAT(
        all(load("[agent.A]\nmatch = .*\n[agent.b]\nmatch = 1\n")),
        HasSubstr("test.ini:2: warning: [agent.a] match: takes every call")
    );
    EXPECT_THAT(all(load("[agent.a]\nmatch = .*\n")), IsEmpty());
}

TEST_F(Load, ATransferTargetWithoutItsNameIsReported) {
    EXPECT_THAT(
        all(load("[agent]\ntransfer_targets = sales:sip:s@example.com, sip:people@example.com\n")),
        HasSubstr("test.ini:2: error: [agent] transfer_targets: 'sip:people@example.com' is not "
                  "written like name:target")
    );
    EXPECT_THAT(
        all(load("[agent.a]\nmatch = 1\ntransfer_targets = support:+905551234567\n")), IsEmpty()
    );
}

TEST_F(Load, TheRtpPortsMustHoldTheCallLimit) {
    constexpr std::string_view range =
        "[telephony.opensips]\nrtp_port_start = 35000\nrtp_port_end = 35100\n";
    const auto written = load(std::string{range} + "[limits]\nmax_calls = 100\n");
    EXPECT_FALSE(written.ok());
    EXPECT_THAT(
        all(written), HasSubstr("test.ini:5: error: [limits] max_calls: 100 calls do not fit")
    );
    EXPECT_THAT(all(written), HasSubstr("hold 50"));

    // An old file knows no limit: the default gives way instead of stopping the deployment.
    const auto by_default = load(range);
    EXPECT_TRUE(by_default.ok());
    EXPECT_EQ(by_default.config.pipeline.limits.max_calls, 50u);
    EXPECT_THAT(all(by_default), HasSubstr("max_calls is 50 instead of 200"));
    EXPECT_EQ(by_default.find("limits", "max_calls")->value, "50");

    EXPECT_THAT(all(load("[rtp]\nmin_port = 40000\nmax_port = 39000\n")), HasSubstr("lies below"));
    EXPECT_THAT(
        all(load("[telephony.opensips]\nevent_port = 35010\n")),
        HasSubstr("lies among the RTP ports")
    );
}

TEST_F(Load, EventsAreBelievedFromWhereCommandsGo) {
    const auto old_file = load("[opensips]\nip = 10.1.1.1\n");
    EXPECT_THAT(
        old_file.config.opensips.allowed_peers, testing::ElementsAre("127.0.0.1", "10.1.1.1")
    );
    EXPECT_EQ(old_file.find("telephony.opensips", "allowed_peers")->value, "127.0.0.1, 10.1.1.1");
    const auto written = load("[telephony.opensips]\nmi_ip = 10.1.1.1\nallowed_peers = 10.2.2.2\n");
    EXPECT_THAT(written.config.opensips.allowed_peers, testing::ElementsAre("10.2.2.2"));
}

TEST_F(Load, MissingFilesAreReported) {
    constexpr std::string_view embedded =
        "[stt]\nprovider = pocketsphinx\n[llm]\nprovider = scripted\n";
    const auto gone = bare(
        "[llm.scripted]\ndialogue_file = gone.dialogue\n[stt.pocketsphinx]\nmodel_dir = gone\n" +
        std::string{embedded}
    );
    EXPECT_THAT(
        all(gone), HasSubstr("test.ini:2: error: [llm.scripted] dialogue_file: there is no")
    );
    EXPECT_THAT(all(gone), HasSubstr("pocketsphinx-en-us"));
    EXPECT_THAT(all(bare(embedded)), HasSubstr("[llm.scripted] dialogue_file: is needed"));
    EXPECT_THAT(all(load("[vad]\nmodel = gone.bin\n")), HasSubstr("[vad] model: there is no"));
}

TEST_F(Load, WhisperHasTimeToDecode) {
    const auto whisper =
        load("[stt]\nprovider = faster-whisper\nfallback_provider = vosk\n").config;
    EXPECT_EQ(whisper.services.failover.final_transcript, 8s);
    EXPECT_EQ(whisper.pipeline.turns.final_transcript, 17s);

    const auto told =
        load("[stt]\nprovider = faster-whisper\n[failover]\nfinal_transcript = 3s\n").config;
    EXPECT_EQ(told.services.failover.final_transcript, 3s);
    EXPECT_EQ(load("[stt]\nprovider = vosk\n").config.services.failover.final_transcript, 2500ms);
}

TEST_F(Load, HostedServicesNeedTheirKeysOnlyWhenTheyAreAsked) {
    EXPECT_TRUE(load("[tts.elevenlabs]\nspeed = 1.1\n").ok());
    const auto asked = load("[stt]\nprovider = deepgram\n[tts]\nfallback_provider = elevenlabs\n");
    EXPECT_THAT(all(asked), HasSubstr("[stt.deepgram] api_key: is needed"));
    EXPECT_THAT(all(asked), HasSubstr("[tts.elevenlabs] api_key: is needed"));
    EXPECT_THAT(all(asked), HasSubstr("[tts.elevenlabs] voice_id: is needed"));
}

TEST_F(Load, AFallbackNeedsItsTimeBeforeTheTurnIsGivenUp) {
    constexpr std::string_view text =
        "[llm]\nfallback_provider = ollama\n[failover]\nfirst_token = 5s\n";
    EXPECT_THAT(
        all(load(text)),
        HasSubstr("test.ini:4: warning: [failover] first_token: is 5s, twice with a fallback, but "
                  "[turns] first_token gives the turn up after 8s")
    );
    EXPECT_EQ(
        load(std::string{text} + "[turns]\nfirst_token = 10s\n").count(Severity::warning), 0u
    );
}

TEST_F(Load, TwilioNeedsATokenToCheckSignatures) {
    const std::string twilio = "[telephony]\nprovider = twilio\n[telephony.twilio]\n";
    EXPECT_THAT(all(load(twilio)), HasSubstr("error: [telephony.twilio] auth_token: is needed"));
    EXPECT_TRUE(load(twilio + "auth_token = t\n").ok());
    EXPECT_THAT(
        all(load(twilio + "validate_signatures = off\n")),
        HasSubstr("test.ini:4: warning: [telephony.twilio] validate_signatures")
    );
}

TEST_F(Load, SecretsAppearNowhere) {
    const auto loaded = load(
        "[telephony]\n"
        "provider = twilio\n"
        "[telephony.twilio]\n"
        "auth_token = sesame-file\n"
        "  sesame-line\n"
        "auth_token_secondary = ${TOKEN}\n"
        "auth_tokem = sesame-misspelt\n"
        "[api]\n"
        "token = ${sesame-name}\n",
        {{"TOKEN", "sesame-env"}}
    );
    EXPECT_THAT(explain(loaded) + all(loaded), Not(HasSubstr("sesame")));
    EXPECT_THAT(
        all(loaded), HasSubstr("[telephony.twilio] auth_token: a secret stands on one line")
    );
    EXPECT_THAT(all(loaded), HasSubstr("did you mean `auth_token`?"));
    EXPECT_THAT(explain(loaded), testing::ContainsRegex("auth_token_secondary +[*]{4} "));
    EXPECT_EQ(loaded.config.twilio.auth_token_secondary, "sesame-env");
}

TEST_F(Load, AFileOfThePredecessorWorksUnmodified) {
    const auto loaded = load(
        "[opensips]\nmi_transport = datagram\nhost = opensips\nip = 10.1.1.1\nport = 8087\n"
        "[oavc]\nhost = 0.0.0.0\nsip_port = 8089\n"
        "[engine]\nevent_ip = 10.1.1.2\nevent_port = 8091\nsip_ip = 0.0.0.0\n"
        "[RTP]\nmin_port = 35000\nmax_port = 35100\nbind_ip = 0.0.0.0\nip = 192.0.2.7\n"
        "[llm]\nurl = ws://llm:8765\ntimeout = 7.5\nmax_tokens = 80\n"
        "[stt]\nurl = ws://vosk:2700\nsample_rate = 16000\n"
        "[tts]\nurl = ws://piper:8000/tts\nvoice = tr_TR-dfki-medium\n"
        "[deepgram]\ndisabled = true\n"
        "[general]\nlogfile = out.log\n"
        "[logging]\nlevel = DEBUG\nformat = structured\n"
        "[pipeline]\nvad_threshold = 0.4\nstt_timeout = 5.0\ninterruption_min_words = 3\n"
        "[interruption]\nenabled = true\nvolume_threshold = 0.7\nvolume_duration_ms = 250\n"
        "[VAD]\nenabled = true\nmin_silence_ms = 500\nmin_speech_ms = 250\nturkish_optimized = "
        "true\n"
    );
    EXPECT_TRUE(loaded.ok()) << all(loaded);
    EXPECT_EQ(loaded.count(Severity::warning), 0u) << all(loaded);
    const Config& c = loaded.config;
    EXPECT_EQ(c.opensips.mi_ip, "10.1.1.1");
    EXPECT_EQ(c.opensips.event_ip, "10.1.1.2");
    EXPECT_EQ(c.opensips.event_port, 8091);
    EXPECT_EQ(c.sip.bind_ip, "0.0.0.0");
    EXPECT_EQ(c.sip.port, 8089);
    EXPECT_TRUE(c.serves_sip());
    EXPECT_EQ(c.rtp.port_end, 35100);
    EXPECT_EQ(c.rtp.advertised_ip, "192.0.2.7");
    EXPECT_EQ(c.services.failover.first_token, 7500ms);
    EXPECT_EQ(c.services.stt_provider, "vosk");
    EXPECT_EQ(c.services.llm_provider, "llama");
    EXPECT_EQ(c.services.tts_provider, "piper");
    EXPECT_EQ(c.services.vosk.endpoint.url, "ws://vosk:2700");
    EXPECT_EQ(c.services.llama.endpoint.url, "ws://llm:8765");
    EXPECT_EQ(c.services.llama.max_tokens, 80);
    EXPECT_EQ(c.services.piper.endpoint.url, "ws://piper:8000/tts");
    EXPECT_EQ(c.services.piper.voice, "tr_TR-dfki-medium");
    EXPECT_EQ(c.pipeline.turns.final_transcript, 5s);
    EXPECT_EQ(c.pipeline.interruption.min_words, 3u);
    EXPECT_EQ(c.pipeline.interruption.volume_threshold, 0.7);
    EXPECT_EQ(c.pipeline.interruption.volume_duration, 250ms);
    EXPECT_EQ(c.pipeline.vad.threshold, 0.4);
    EXPECT_EQ(c.pipeline.vad.min_silence, 500ms);
    EXPECT_EQ(c.pipeline.vad.min_speech, 250ms);
    EXPECT_EQ(c.logging.level, log::Level::debug);
    EXPECT_EQ(c.logging.format, log::Format::json);
    EXPECT_EQ(c.logging.file, (folder_ / "out.log").string());
    EXPECT_THAT(explain(loaded), HasSubstr("test.ini:17 (legacy [RTP] ip)"));
    EXPECT_THAT(all(loaded), HasSubstr("note: [llm] url is called [llm.llama] url now"));
}

TEST_F(Load, TheFileThatThePredecessorShippedWorksAsItIs) {
    const auto file = std::filesystem::path{OAVC_TEST_DATA} / "predecessor.ini";
    const auto loaded = config::load(file, {});
    EXPECT_TRUE(loaded.ok()) << all(loaded);
    const Config& c = loaded.config;
    EXPECT_EQ(c.opensips.mi_ip, "opensips");
    EXPECT_EQ(c.opensips.mi_port, 8087);
    EXPECT_EQ(c.opensips.event_port, 8090);
    EXPECT_EQ(c.sip.port, 8089);
    EXPECT_THAT(c.sip.allowed_peers, testing::Contains("opensips"));
    EXPECT_EQ(c.rtp.port_start, 35000);
    EXPECT_EQ(c.rtp.advertised_ip, "192.168.1.120");
    EXPECT_EQ(c.services.vosk.endpoint.url, "ws://vosk-server:2700");
    EXPECT_EQ(c.services.llama.endpoint.url, "ws://llm-turkish-server:8765");
    EXPECT_EQ(c.services.piper.endpoint.url, "ws://piper-tts-server:8000/tts");
    EXPECT_EQ(c.pipeline.vad.threshold, 0.5);
    EXPECT_EQ(c.pipeline.limits.max_calls, 50u);
    EXPECT_EQ(c.logging.level, log::Level::debug);

    // Its Compose file comes with these.
    const Environment compose{
        {"RTP_HOST_IP", "192.0.2.120"},
        {"VOSK_WEBSOCKET_URL", "ws://vosk-server:2701"},
        {"LLAMA_WEBSOCKET_URL", "ws://llm-turkish-server:8766"},
        {"LLAMA_MODEL", "llama3.2-turkish"},
        {"PIPER_WEBSOCKET_URL", "ws://piper-tts-server:8001/tts"},
        {"SYSTEM_PROMPT", "Merhaba!"},
        {"CONVERSATION_LANGUAGE", "tr-TR"},
        {"CONVERSATION_MAX_TURNS", "12"},
        {"VAD_CONFIDENCE", "0.3"},
        {"VAD_START_SECS", "0.05"},
        {"VAD_STOP_SECS", "0.3"},
        {"VAD_MIN_VOLUME", "0.001"},
        {"LOG_LEVEL", "INFO"},
        {"ENABLE_INTERRUPTIONS", "true"},
    };
    const auto in_compose = config::load(file, compose);
    EXPECT_TRUE(in_compose.ok()) << all(in_compose);
    const Config& d = in_compose.config;
    EXPECT_EQ(d.rtp.advertised_ip, "192.0.2.120");
    EXPECT_EQ(d.services.vosk.endpoint.url, "ws://vosk-server:2701");
    EXPECT_EQ(d.pipeline.vad.min_speech, 50ms);
    EXPECT_EQ(d.pipeline.agents[0].system_prompt, "Merhaba!");
    EXPECT_EQ(d.pipeline.agents[0].language, "tr-TR");
    EXPECT_EQ(d.pipeline.agents[0].memory_turns, 12u);
    EXPECT_THAT(d.pipeline.agents[0].greeting, HasSubstr("size nasıl yardımcı olabilirim"));
    EXPECT_EQ(d.logging.level, log::Level::info);
}

TEST_F(Load, AThresholdThatWasAnAmplitudeIsLeftOut) {
    const auto amplitude = load("[VAD]\nspeech_threshold = 98.3\n");
    EXPECT_TRUE(amplitude.ok()) << all(amplitude);
    EXPECT_EQ(amplitude.config.pipeline.vad.threshold, load("").config.pipeline.vad.threshold);
    EXPECT_THAT(
        all(amplitude), HasSubstr("test.ini:2: note: [VAD] speech_threshold is not used: an amplit")
    );
    EXPECT_EQ(load("[VAD]\nspeech_threshold = 0.4\n").config.pipeline.vad.threshold, 0.4);
}

TEST_F(Load, AFileOfThePredecessorSpeaksTurkishUntilItHasAnAgent) {
    const std::string old_file = "[opensips]\nip = 10.1.1.1\n";
    const auto agent = [](const Loaded& loaded) { return loaded.config.pipeline.agents[0]; };
    const auto as_before = load(old_file);
    EXPECT_EQ(agent(as_before).language, "tr");
    EXPECT_EQ(agent(as_before).greeting, "Merhaba, size nasıl yardımcı olabilirim?");
    EXPECT_THAT(agent(as_before).system_prompt, HasSubstr("banka"));
    EXPECT_THAT(all(as_before), HasSubstr("note: the file has no [agent]"));
    EXPECT_THAT(explain(as_before), HasSubstr("default (legacy file)"));

    EXPECT_EQ(agent(load(old_file, {{"WELCOME_MESSAGE", "Alo"}})).greeting, "Alo");
    EXPECT_EQ(agent(load(old_file, {{"CONVERSATION_LANGUAGE", "en"}})).greeting, "");
    EXPECT_EQ(agent(load(old_file + "[agent]\nvoice = x\n")).language, "en");
    EXPECT_EQ(agent(load("[telephony.opensips]\nmi_ip = 10.1.1.1\n")).language, "en");
}

TEST_F(Load, TheNewNameBeatsTheOldOneAndSaysSo) {
    const auto loaded =
        load("[rtp]\nmin_port = 30000\n[telephony.opensips]\nrtp_port_start = 35000\n");
    EXPECT_EQ(loaded.config.rtp.port_start, 35000);
    EXPECT_THAT(
        all(loaded),
        HasSubstr("test.ini:2: warning: [rtp] min_port is not used: [telephony.opensips] "
                  "rtp_port_start in line 4 wins")
    );
    const auto same =
        load("[rtp]\nmin_port = 35000\n[telephony.opensips]\nrtp_port_start = 35000\n");
    EXPECT_THAT(all(same), HasSubstr("test.ini:2: note: [rtp] min_port is not used: "));
    EXPECT_THAT(all(same), HasSubstr("says the same"));
}

TEST_F(Load, CodecsAndEncryptionAreChecked) {
    const auto loaded =
        load("[telephony.rtp]\ncodecs = PCMA, opus\ncodec_preference = ours\nsrtp = optional\n");
    EXPECT_TRUE(loaded.ok()) << all(loaded);
    EXPECT_EQ(loaded.config.rtp.codecs, (std::vector<std::string>{"PCMA", "opus"}));
    EXPECT_EQ(loaded.config.rtp.codec_preference, "ours");
    EXPECT_THAT(
        all(load("[telephony.rtp]\ncodecs = pcmu, g729\n")),
        HasSubstr("test.ini:2: error: [telephony.rtp] codecs: \"g729\" is none of")
    );
    EXPECT_THAT(all(load("[telephony.rtp]\ncodecs =\n")), HasSubstr("names no codec"));
    EXPECT_FALSE(load("[telephony.rtp]\nsrtp = maybe\n").ok());
}

TEST_F(Load, TheBlueprintsNamesOfRtpKeysAreAsGoodAsOurs) {
    const auto loaded = load(
        "[telephony.opensips]\nrtp_port_start = 40000\nrtp_port_end = 41000\n"
        "rtp_bind_ip = 192.0.2.1\nrtp_advertised_ip = 192.0.2.2\nmedia_timeout = 7s\n"
    );
    EXPECT_TRUE(loaded.problems.empty()) << all(loaded);
    const auto& rtp = loaded.config.rtp;
    EXPECT_EQ(rtp.port_start, 40000);
    EXPECT_EQ(rtp.port_end, 41000);
    EXPECT_EQ(rtp.bind_ip, "192.0.2.1");
    EXPECT_EQ(rtp.advertised_ip, "192.0.2.2");
    EXPECT_EQ(rtp.media_timeout, 7s);

    const auto both =
        load("[telephony.opensips]\nrtp_port_end = 40100\n[telephony.rtp]\nport_end = 41000\n");
    EXPECT_EQ(both.config.rtp.port_end, 41000);
    EXPECT_THAT(
        all(both),
        HasSubstr("[telephony.opensips] rtp_port_end is not used: [telephony.rtp] port_end in "
                  "line 4 wins")
    );
    const auto by_environment = load(
        "[telephony.rtp]\nport_end = 41000\n", {{"OAVC_TELEPHONY_OPENSIPS_RTP_PORT_END", "42000"}}
    );
    EXPECT_EQ(by_environment.config.rtp.port_end, 42000);
}

TEST_F(Load, OldEnvironmentNamesBeatTheFileAndNewOnesBeatThem) {
    constexpr std::string_view text =
        "[agent]\ngreeting = file\nsystem_prompt = file\n[logging]\nlevel = error\n";
    const Environment old_names{
        {"WELCOME_MESSAGE", "old"},
        {"SYSTEM_PROMPT", "old"},
        {"LOG_LEVEL", "WARNING"},
        {"VAD_CONFIDENCE", "0.3"},
        {"VAD_START_SECS", "0.2"},
        {"VAD_STOP_SECS", "0.8"},
        {"RTP_MIN_PORT", "36000"},
        {"RTP_MAX_PORT", "37000"},
        {"ENABLE_INTERRUPTIONS", "false"},
        {"CONVERSATION_MAX_TURNS", "7"},
        {"VOSK_WEBSOCKET_URL", "ws://x"},
        {"DEBUG_MODE", "false"},
    };
    const auto loaded = load(text, old_names);
    EXPECT_TRUE(loaded.ok()) << all(loaded);
    const Config& c = loaded.config;
    EXPECT_EQ(c.pipeline.agents[0].greeting, "old");
    EXPECT_EQ(c.pipeline.agents[0].system_prompt, "old");
    EXPECT_EQ(c.logging.level, log::Level::warn);
    EXPECT_EQ(c.pipeline.vad.threshold, 0.3);
    EXPECT_EQ(c.pipeline.vad.min_speech, 200ms);
    EXPECT_EQ(c.pipeline.vad.min_silence, 800ms);
    EXPECT_EQ(c.rtp.port_start, 36000);
    EXPECT_FALSE(c.pipeline.interruption.enabled);
    EXPECT_EQ(c.pipeline.agents[0].memory_turns, 7u);
    EXPECT_EQ(c.services.vosk.endpoint.url, "ws://x");

    Environment both = old_names;
    both["OAVC_AGENT_GREETING"] = "new";
    EXPECT_EQ(load(text, both).config.pipeline.agents[0].greeting, "new");
}

TEST_F(Load, TheBlueprintsExampleIsUnderstood) {
    const auto loaded = load(
        "[telephony]\nprovider = both\nfallback_provider = opensips\n"
        "[telephony.twilio]\naccount_sid = ${TWILIO_ACCOUNT_SID}\n"
        "auth_token = ${TWILIO_AUTH_TOKEN}\nphone_number = +1234567890\n"
        "[telephony.opensips]\nevent_ip = 0.0.0.0\nevent_port = 8090\n"
        "rtp_port_start = 35000\nrtp_port_end = 35500\n"
        "[stt]\nfallback_provider = vosk\n[stt.faster-whisper]\nmodel_size = base\nlanguage = tr\n"
        "[llm]\nfallback_provider = llama\n[llm.ollama]\nbase_url = http://ollama:11434\n",
        {{"TWILIO_ACCOUNT_SID", "AC1"}, {"TWILIO_AUTH_TOKEN", "t"}}
    );
    EXPECT_TRUE(loaded.ok()) << all(loaded);
    EXPECT_EQ(loaded.count(Severity::warning), 0u) << all(loaded);
    EXPECT_EQ(loaded.config.twilio.account_sid, "AC1");
}

TEST_F(Load, ExplainShowsEveryValueWithItsOriginInColumns) {
    const auto loaded = load(
        "[api]\nport = 9000\n[agent]\ngreeting = Merhaba, nasıl yardımcı olabilirim?\n",
        {{"OAVC_API_HOST", "127.0.0.1"}}
    );
    const std::string text = explain(loaded);
    for (const Setting& setting : loaded.settings) {
        EXPECT_THAT(text, HasSubstr(std::string{setting.key->name}));
    }
    EXPECT_THAT(text, testing::ContainsRegex("port +9000 +test.ini:2\n"));
    EXPECT_THAT(text, testing::ContainsRegex("host +127.0.0.1 +environment OAVC_API_HOST\n"));
    EXPECT_THAT(text, testing::ContainsRegex("format +console +default\n"));
    EXPECT_THAT(text, HasSubstr("Merhaba, nasıl yardımcı olabilirim?"));
}

TEST_F(Load, AMissingFileOrAFolderIsOneClearError) {
    const auto missing = config::load(folder_ / "none.ini", {});
    EXPECT_THAT(all(missing), HasSubstr("none.ini: error: cannot be read: there is no such file"));
    EXPECT_THAT(all(config::load(folder_, {})), HasSubstr("it is a folder"));
}

TEST_F(Load, ReadsAFileAndItsFolder) {
    std::ofstream{folder_ / "a.ini"} << "[llm.scripted]\ndialogue_file = ./x.dialogue\n"
                                        "[stt.pocketsphinx]\nmodel_dir = model\n";
    const auto loaded = config::load(folder_ / "a.ini", {});
    EXPECT_TRUE(loaded.ok()) << all(loaded);
    EXPECT_EQ(loaded.config.services.scripted.dialogue_file, (folder_ / "x.dialogue").string());
}

}  // namespace
}  // namespace oavc::config
