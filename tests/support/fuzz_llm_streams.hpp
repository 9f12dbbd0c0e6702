#pragma once

#include "base/assert.hpp"
#include "services/detail/line_splitter.hpp"
#include "services/detail/sse_parser.hpp"
#include "services/llm/detail/ollama_protocol.hpp"
#include "services/llm/detail/openai_protocol.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// What the fuzz targets of streamed replies do with an input; the replay test runs them too. The
/// first byte says how the rest is cut into reads: however it is, the outcome must be the same. A
/// broken promise aborts.
namespace oavc::test {

namespace detail {

inline constexpr std::size_t fuzzed_limit = 200;  ///< of a line or event: small, so that it is met

/// Calls `take` with the pieces of `text`, each of `size` bytes.
template <class Take>
void in_pieces(std::string_view text, std::size_t size, Take&& take) {
    for (; !text.empty(); text.remove_prefix(std::min(size, text.size())))
        take(text.substr(0, size));
}

inline std::vector<std::string> lines_of(std::string_view text, std::size_t size) {
    services::LineSplitter splitter{fuzzed_limit};
    std::vector<std::string> lines;
    in_pieces(text, size, [&](std::string_view piece) {
        splitter.push(piece);
        while (const auto line = splitter.next()) {
            OAVC_ASSERT(line->size() <= fuzzed_limit);
            OAVC_ASSERT(line->find('\n') == std::string_view::npos);
            lines.emplace_back(*line);
        }
    });
    lines.emplace_back(splitter.rest());
    lines.emplace_back(splitter.failed() ? "failed" : "whole");
    return lines;
}

inline std::vector<std::string> events_of(std::string_view text, std::size_t size) {
    services::SseParser parser{fuzzed_limit};
    std::vector<std::string> events;
    const auto keep = [&](const services::SseEvent& event) {
        OAVC_ASSERT(event.data.size() <= fuzzed_limit);
        events.push_back(event.type + "|" + event.data);
    };
    in_pieces(text, size, [&](std::string_view piece) {
        parser.push(piece);
        while (const auto event = parser.next())
            keep(*event);
    });
    if (const auto event = parser.finish()) keep(*event);
    events.emplace_back(parser.failed() ? "failed" : "whole");
    return events;
}

/// A reply in words: its text, its calls and its end.
inline std::string reply_of(
    services::ReplyReader& reader, std::string_view text, std::size_t size
) {
    std::string said;
    std::string calls;
    std::string end;
    const auto drain = [&] {
        while (auto event = reader.next()) {
            if (event->has_error()) {
                end = event->error().message();
                return;
            }
            said += (*event)->text;
            const auto& call = (*event)->tool;
            calls += "\n" + call.id + "|" + call.name + "|" + call.arguments;
            if ((*event)->kind == services::LlmEvent::Kind::text) calls.resize(calls.size() - 3);
        }
    };
    in_pieces(text, size, [&](std::string_view piece) {
        if (!end.empty()) return;
        reader.push(piece);
        drain();
    });
    reader.finish();
    if (end.empty()) drain();
    OAVC_ASSERT(!end.empty());
    OAVC_ASSERT(said.size() + calls.size() <= 64 * text.size() + 64);
    return said + calls + "\n" + end;
}

}  // namespace detail

/// NDJSON: lines, and both of Ollama's replies.
inline void fuzz_ndjson(std::string_view input) {
    if (input.empty()) return;
    const std::size_t size = 1 + static_cast<unsigned char>(input.front()) % 64;
    const auto text = input.substr(1);
    const auto whole = std::max<std::size_t>(text.size(), 1);
    OAVC_ASSERT(detail::lines_of(text, size) == detail::lines_of(text, whole));
    for (const bool strip : {false, true}) {
        services::OllamaReader cut{strip, [](int, std::string_view) {}};
        services::OllamaReader at_once{strip, [](int, std::string_view) {}};
        OAVC_ASSERT(detail::reply_of(cut, text, size) == detail::reply_of(at_once, text, whole));
    }
}

/// Server-sent events, and OpenAI's replies.
inline void fuzz_sse(std::string_view input) {
    if (input.empty()) return;
    const std::size_t size = 1 + static_cast<unsigned char>(input.front()) % 64;
    const auto text = input.substr(1);
    const auto whole = std::max<std::size_t>(text.size(), 1);
    OAVC_ASSERT(detail::events_of(text, size) == detail::events_of(text, whole));
    services::OpenAiReader cut{[](int, std::string_view) {}};
    services::OpenAiReader at_once{[](int, std::string_view) {}};
    OAVC_ASSERT(detail::reply_of(cut, text, size) == detail::reply_of(at_once, text, whole));
}

}  // namespace oavc::test
