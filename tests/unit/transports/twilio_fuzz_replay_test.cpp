#include "support/fuzz_twilio.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace oavc::transports::twilio {
namespace {

/// Runs the seeds and the past crashes of a fuzz target; how many there were.
template <class Target>
std::size_t replay(const std::string& name, Target&& target) {
    namespace fs = std::filesystem;
    std::size_t count = 0;
    for (const auto& folder :
         {fs::path{OAVC_SOURCE_DIR} / "fuzz" / "corpus" / name,
          fs::path{OAVC_TEST_DATA} / "crashes" / name}) {
        if (!fs::exists(folder)) continue;
        for (const auto& entry : fs::directory_iterator{folder}) {
            std::ifstream file{entry.path(), std::ios::binary};
            const std::string input{std::istreambuf_iterator<char>{file}, {}};
            SCOPED_TRACE(entry.path().filename().string());
            target(as_bytes(input));
            ++count;
        }
    }
    return count;
}

TEST(TwilioFuzzReplay, MessagesKeepEveryPromise) {
    EXPECT_GE(replay("twilio_message_fuzz", test::fuzz_twilio_message), 7u);
}

TEST(TwilioFuzzReplay, WebhookFormsKeepEveryPromise) {
    EXPECT_GE(replay("webhook_form_fuzz", test::fuzz_webhook_form), 2u);
}

}  // namespace
}  // namespace oavc::transports::twilio
