#include "services/llm/detail/continuation.hpp"

#include <gtest/gtest.h>

namespace oavc::services {
namespace {

using Role = ChatMessage::Role;

LlmRequest question(std::string said_already) {
    LlmRequest request;
    request.messages.push_back({Role::system, "Be brief."});
    request.messages.push_back({Role::user, "When do you open?"});
    request.said_already = std::move(said_already);
    return request;
}

TEST(Continuation, AFreshReplySendsTheConversationAsItIs) {
    const auto messages = messages_to_send(question(""));
    ASSERT_EQ(messages.size(), 2u);
    EXPECT_EQ(messages[1].text, "When do you open?");
}

TEST(Continuation, ABrokenReplyIsTheAssistantsAndTheModelIsAskedToGoOn) {
    const auto messages = messages_to_send(question("We open at nine, and"));
    ASSERT_EQ(messages.size(), 4u);
    EXPECT_EQ(messages[1].role, Role::user);
    EXPECT_EQ(messages[2].role, Role::assistant);
    EXPECT_EQ(messages[2].text, "We open at nine, and");
    EXPECT_EQ(messages[3].role, Role::user) << "templates that alternate accept it";
    EXPECT_NE(messages[3].text.find("Do not repeat"), std::string::npos);
}

}  // namespace
}  // namespace oavc::services
