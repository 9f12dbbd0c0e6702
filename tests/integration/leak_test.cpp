// A caller tells his card, his phone and his identity number, in digits and in words, and the model
// repeats them: nothing that leaves the process for others than the model and the voice has any of
// it.

#include "caller/run.hpp"
#include "media/level.hpp"
#include "media/wav.hpp"
#include "pipeline/sealed_recording.hpp"
#include "support/fake_collector.hpp"
#include "support/fake_ollama.hpp"
#include "support/fake_vosk.hpp"
#include "support/http.hpp"
#include "support/running_server.hpp"
#include "support/temporary_folder.hpp"

#include <boost/json/parse.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oavc {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::string_view card = "4539578763621486";
constexpr std::string_view identity = "38472615972";
constexpr std::string_view phone = "905321234567";
constexpr std::string_view said =
    "my card is 4539 5787 6362 1486 and my phone is plus 90 532 123 45 67 and my identity number "
    "is three eight four seven two six one five nine seven two and my mail is ali at example dot "
    "com";

class SilentObserver final : public caller::RunObserver {
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {}
    void on_answered(const caller::Dialled&) override {}
    void on_caller_speaks(milliseconds, const caller::Utterance&) override {}
    void on_server_event(milliseconds, const caller::ServerEvent&) override {}
    void on_over(milliseconds, std::string_view) override {}
    void on_report(const caller::CallReport&) override {}
};

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// The one recording below `folder`, opened.
media::WavAudio recording_in(const std::filesystem::path& folder, std::string_view key) {
    std::string sealed;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{folder}) {
        if (entry.path().extension() == ".sealed") sealed = read_file(entry.path());
    }
    std::string_view rest = sealed;
    auto unsealer = pipeline::Unsealer::open(
        *pipeline::parse_recording_key(key), rest.substr(0, pipeline::sealed_header_size)
    );
    if (!unsealer) return {};
    rest.remove_prefix(pipeline::sealed_header_size);
    std::string wav;
    while (!unsealer->complete()) {
        const auto size = 4 + pipeline::Unsealer::rest_of(rest.substr(0, 4)).value();
        wav += unsealer->chunk(rest.substr(0, size)).value();
        rest.remove_prefix(size);
    }
    return media::parse_wav(std::as_bytes(std::span{wav})).value();
}

/// Frames of a side that are as loud as speech.
std::size_t loud_frames(const std::vector<media::Sample>& side) {
    std::size_t loud = 0;
    for (std::size_t at = 0; at + 160 <= side.size(); at += 160)
        loud += media::is_voiced(media::Samples{side}.subspan(at, 160)) ? 1 : 0;
    return loud;
}

/// Its digits in a row, whatever stands between two of them that may stand in a number.
std::string digits_of(std::string_view text) {
    std::string digits;
    for (const char c : text) {
        if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
            digits += c;
        } else if (std::string_view{" -.,"}.find(c) == std::string_view::npos) {
            digits += '|';
        }
    }
    return digits;
}

/// Stretches of eight digits of the persona that `text` has: fewer may be a time or a port.
std::vector<std::string> leaks(std::string_view text) {
    std::vector<std::string> found;
    const auto digits = digits_of(text);
    for (const std::string_view number : {card, identity, phone}) {
        for (std::size_t i = 0; i + 8 <= number.size(); ++i) {
            const std::string part{number.substr(i, 8)};
            if (digits.find(part) != std::string::npos) found.push_back(part);
        }
    }
    for (const std::string_view words : {"three eight", "seven two", "example dot", "ali at"}) {
        if (text.find(words) != std::string_view::npos) found.emplace_back(words);
    }
    return found;
}

/// Every text that somebody said, wherever it stands in the API's answer.
void collect_texts(const json::value& value, std::vector<std::string>& texts) {
    if (const auto* const object = value.if_object()) {
        for (const auto& [name, member] : *object) {
            const bool speech = name == "text" || name == "caller_said" ||
                                name == "connector_said" || name == "heard";
            if (speech && member.is_string()) texts.emplace_back(member.get_string());
            collect_texts(member, texts);
        }
    } else if (const auto* const array = value.if_array()) {
        for (const auto& item : *array)
            collect_texts(item, texts);
    }
}

TEST(Leaks, NothingOfAWholeCallHasTheCallersNumbers) {
    const test::TemporaryFolder folder;
    test::FakeVosk vosk;
    vosk.say_always(std::string{said});
    test::FakeOllama ollama;
    ollama.say(
        {"I have noted card ",
         "4539 5787 6362 1486, ",
         "phone +90 532 123 45 67. ",
         "Your identity number is ",
         "38472615972."}
    );
    const test::FakeCollector collector;
    const std::string ini =
        "[telephony]\nprovider = twilio\n[telephony.twilio]\n"
        "auth_token = for-tests-only\n[api]\nhost = 127.0.0.1\n"
        "[stt]\nprovider = vosk\n[stt.vosk]\nurl = " +
        vosk.url() + "\n[llm]\nprovider = ollama\n[llm.ollama]\nbase_url = " + ollama.url() +
        "\n[tts]\nprovider = flite\n[agent]\ngreeting = Hello.\nrecord = yes\n"
        "[logging]\nlevel = debug\nformat = json\nshow_personal_data = yes\n"
        "file = " +
        folder.file("log") + "\n[tracing]\nendpoint = " + collector.url() +
        "\n[security]\naudit_file = " + folder.file("audit.jsonl") +
        "\n[recording]\nfolder = " + folder.file("recordings") + "\nkey = " + std::string(64, '5') +
        "\n";
    std::ofstream{folder.file("leak.ini")} << ini;
    std::string outputs;
    std::vector<std::string> texts;
    {
        test::RunningServer server{folder.file("leak.ini"), {{"OAVC_LOGGING_LEVEL", "debug"}}};
        server.start();
        caller::Options options;
        options.via = "twilio";
        options.from = "+" + std::string{phone};
        options.speech = {{caller::Options::Speech::Kind::text, "my card and my phone"}};
        options.json = true;
        options.timeout = 120s;
        SilentObserver observer;
        caller::CallRun run{options, server.config(), observer};
        static_cast<void>(run.run());
        ASSERT_TRUE(server.calls_end_within(30s));

        const auto get = [&](const std::string& path) {
            net::HttpClientRequest request;
            request.url = test::local_url("http", server.config().api.port, path);
            const auto answer = test::fetch(std::move(request));
            EXPECT_TRUE(answer) << path;
            return answer ? answer->body : std::string{"{}"};
        };
        const auto calls = get("/api/v1/calls");
        outputs += calls + get("/metrics") + get("/health/ready");
        const auto list = json::parse(calls);
        const std::string id{list.at("calls").at(0).at("session").as_string()};
        for (const auto* const part : {"", "/events"}) {
            const auto answer = get("/api/v1/calls/" + id + part);
            outputs += answer;
            collect_texts(json::parse(answer), texts);
        }
    }
    ASSERT_TRUE(collector.wait_for_spans(1));  // what waited was sent before the server was gone
    std::string traces;
    for (const auto& request : collector.requests())
        traces += std::regex_replace(request.body, std::regex{R"(UnixNano":"\d+")"}, "");
    log::configure({});
    const auto log = read_file(folder.file("log"));
    const auto audit = read_file(folder.file("audit.jsonl"));
    // What is scanned has something to hide.
    ASSERT_GE(ollama.asks().size(), 1U);
    EXPECT_THAT(ollama.asks().back().body, HasSubstr("4539 5787")) << "the model hears the truth";
    EXPECT_THAT(log, HasSubstr("my card is [card]"));
    EXPECT_THAT(outputs, HasSubstr("I have noted card [card]"));
    EXPECT_THAT(audit, HasSubstr(R"("what":"call_started","who":"caller","source":"twilio")"));
    EXPECT_THAT(audit, HasSubstr("recording_stored"));
    for (const auto* const span : {"call", "turn", "stt", "llm", "tts"})
        EXPECT_THAT(traces, HasSubstr("\"name\":\"" + std::string{span} + "\""));
    ASSERT_THAT(texts, Not(IsEmpty()));

    // He speaks for two seconds at least, and all of it is his card's number, says the recogniser.
    const auto recording = recording_in(folder.file("recordings"), std::string(64, '5'));
    ASSERT_EQ(recording.channels, 2U);
    EXPECT_GT(loud_frames(recording.channel(1)), 10U) << "our greeting is on record";
    EXPECT_LT(loud_frames(recording.channel(0)), 10U) << "his number is not";

    EXPECT_THAT(leaks(outputs), IsEmpty()) << outputs;
    EXPECT_THAT(leaks(log), IsEmpty());
    EXPECT_THAT(leaks(audit), IsEmpty());
    EXPECT_THAT(leaks(traces), IsEmpty());
    for (const auto& text : texts)
        EXPECT_EQ(text.find_first_of("0123456789"), std::string::npos) << text;
    EXPECT_THAT(leaks(std::string{said}), Not(IsEmpty())) << "the scan finds what is there";
}

}  // namespace
}  // namespace oavc
