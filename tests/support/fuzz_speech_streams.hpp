#pragma once

#include "base/assert.hpp"
#include "services/stt/detail/deepgram_listen.hpp"
#include "services/stt/detail/vosk_protocol.hpp"
#include "services/tts/detail/deepgram_speak.hpp"
#include "support/socket_recorder.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// What the fuzz targets of recognisers' streams do with an input; the replay tests run them too.
/// An input is a script of steps, separated by 0x1E: single characters are what our side does, all
/// else is a message of the server. A broken promise aborts.
namespace oavc::test {

namespace detail {

/// Calls `take` with each step of `script`.
template <class Take>
void each_step(std::string_view script, Take&& take) {
    constexpr std::size_t most_steps = 400;  // audio is long
    for (std::size_t steps = 0; !script.empty() && steps < most_steps; ++steps) {
        const auto end = std::min(script.find('\x1E'), script.size());
        take(script.substr(0, end));
        script.remove_prefix(std::min(end + 1, script.size()));
    }
}

inline std::vector<services::SttWord> checked(std::vector<services::SttWord> words) {
    for (const auto& word : words) {
        OAVC_ASSERT(word.begin >= milliseconds{0} && word.begin <= word.end);
        OAVC_ASSERT(word.confidence >= 0 && word.confidence <= 1);
    }
    return words;
}

inline const std::vector<media::Sample>& audio_of_a_step() {
    static const std::vector<media::Sample> audio(1'600, 1);
    return audio;
}

}  // namespace detail

/// One utterance against a Vosk server: '.' audio, '$' the end, '!' and '?' a lost connection. The
/// first character chooses how the final is asked for.
inline void fuzz_vosk_reply(std::string_view input) {
    using namespace services;
    if (input.empty()) return;
    VoskConfig config;
    config.finalize = std::vector<std::string>{"eof", "reset", "silence"}.at(
        static_cast<unsigned char>(input.front()) % 3u
    );
    const std::string first = vosk::config_message(config);
    SocketRecorder socket;
    vosk::Line line;
    vosk::Utterance utterance{{1}, config, first};
    utterance.attach(line);
    bool over = false;
    detail::each_step(input.substr(1), [&](std::string_view step) {
        using Outcome = vosk::Utterance::Outcome;
        if (over) {
            line.take_owed(step);
            return;
        }
        auto outcome = Outcome::nothing;
        if (step == ".") {
            if (!utterance.ended()) utterance.push(detail::audio_of_a_step());
        } else if (step == "$") {
            utterance.end();
        } else if (step == "!" || step == "?") {
            outcome = utterance.on_closed(step == "!" ? 0 : 1011);
        } else {
            outcome = utterance.on_message(step);
        }
        if (outcome == Outcome::lost) {
            line = {};
            utterance.attach(line);
        }
        over = outcome == Outcome::final || outcome == Outcome::hopeless;
        OAVC_ASSERT(outcome != Outcome::final || utterance.ended());
        OAVC_ASSERT(outcome != Outcome::interim || !utterance.text().empty());
        OAVC_ASSERT(utterance.text().size() <= input.size());
        detail::checked(utterance.words());
        socket.room = 1'000;
        if (over) {
            utterance.release(line, socket);
        } else {
            utterance.pump(line, socket);
        }
    });
}

/// A call's utterances against Deepgram: '+' begins one, '.' audio, '$' its end, '-' cancels it,
/// '!' a lost connection, '~' a quarter of a second.
inline void fuzz_deepgram_message(std::string_view input) {
    using namespace services;
    SocketRecorder socket;
    TimePoint now = TimePoint{} + 1h;
    deepgram::Listener listener{milliseconds{100}};
    listener.attach();
    std::uint32_t id = 0;
    std::set<std::uint32_t> ended;
    bool open = false;
    detail::each_step(input, [&](std::string_view step) {
        if (step == "+") {
            listener.begin({++id});
            open = true;
        } else if (step == ".") {
            listener.push(detail::audio_of_a_step());
        } else if (step == "$") {
            listener.end();
            if (open) ended.insert(id);
            open = false;
        } else if (step == "-") {
            listener.cancel({id});
            ended.erase(id);
            open = false;
        } else if (step == "!") {
            listener.detach();
            listener.attach();
        } else if (step == "~") {
            now += milliseconds{250};
            listener.on_time(now);
        } else {
            static_cast<void>(listener.on_message(step, now));
            static_cast<void>(deepgram::parse_voice_message(step));
        }
        socket.room = 1'000;
        listener.pump(socket, now);
        while (const auto event = listener.next_event()) {
            detail::checked(event->words);
            OAVC_ASSERT(event->text.size() <= input.size());
            const auto of = event->utterance.value;
            if (event->kind == SttEvent::Kind::final) {
                OAVC_ASSERT(ended.erase(of) == 1);  // one for each, and none for a cancelled one
            } else {
                OAVC_ASSERT(!event->text.empty());
                OAVC_ASSERT(ended.contains(of) || (open && of == id));
            }
        }
    });
}

}  // namespace oavc::test
