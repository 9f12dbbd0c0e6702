#pragma once

// What adapters of streaming chat servers are all held to. `Server`: FakeOllama or FakeOpenAi.

#include "services/errors.hpp"
#include "services/llm/detail/reply_reader.hpp"
#include "support/chat_behaviour.hpp"
#include "support/llm_client.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string_view>

namespace oavc::test {

/// What a body comes to when it arrives in pieces that end after `cut` and at the end.
inline Heard read_body(services::ReplyReader& reader, std::string_view body, std::size_t cut) {
    Heard heard;
    const auto drain = [&] {
        while (auto event = reader.next()) {
            if (event->has_error()) {
                heard.end = event->error();
                return true;
            }
            heard.text += (*event)->text;
            if ((*event)->kind == services::LlmEvent::Kind::tool_call)
                heard.calls.push_back((*event)->tool);
        }
        return false;
    };
    for (const auto piece : {body.substr(0, cut), body.substr(cut)}) {
        reader.push(piece);
        if (drain()) return heard;
    }
    reader.finish();
    EXPECT_TRUE(drain());
    return heard;
}

template <class Server>
void expect_that_cancelling_stops_it(LlmClient& client, Server& server) {
    server.behave([](ChatBehaviour& b) { b.stall_after = 1; });
    auto reply = client.ask(LlmClient::question("Hi"));
    EXPECT_EQ(client.first(*reply), "Hello");
    reply.reset();
    EXPECT_TRUE(client.settle_until([&] { return server.abandoned() == 1; }));
    server.reset();
    server.say({"Second."});
    EXPECT_EQ(client.hear("And now?").text, "Second.") << "and nothing of the first";
}

/// The server behaves again afterwards.
template <class Server>
void expect_that_what_came_stands(LlmClient& client, Server& server) {
    using services::ServiceErrc;
    const auto end_after_two_tokens = [&](auto change) {
        server.reset();
        server.behave(change);
        const auto heard = client.hear("Hi");
        EXPECT_EQ(heard.text, "Hello from");
        return heard.end;
    };
    using B = ChatBehaviour;
    EXPECT_EQ(end_after_two_tokens([](B& b) { b.error_after = 2; }), ServiceErrc::unavailable);
    EXPECT_EQ(end_after_two_tokens([](B& b) { b.cut_after = 2; }), ServiceErrc::unavailable);
    EXPECT_EQ(end_after_two_tokens([](B& b) { b.end_after = 2; }), ServiceErrc::unavailable);
    EXPECT_EQ(end_after_two_tokens([](B& b) { b.garbage_after = 2; }), ServiceErrc::protocol);
    EXPECT_EQ(end_after_two_tokens([](B& b) { b.flood_after = 2; }), ServiceErrc::protocol);
    server.reset();
}

}  // namespace oavc::test
