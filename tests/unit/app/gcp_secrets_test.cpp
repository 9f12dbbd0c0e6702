#include "app/gcp_secrets.hpp"

#include "support/scripted_http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

namespace oavc::app {
namespace {

using test::ScriptedHttpServer;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view token_target =
    "/computeMetadata/v1/instance/service-accounts/default/token";

/// Google's metadata server and Secret Manager in one, on the loopback interface.
class GcpSecretsTest : public testing::Test {
protected:
    std::atomic<int> tokens{0};
    std::atomic<bool> has_account{true};
    ScriptedHttpServer server{[this](ScriptedHttpServer::Exchange& http) { answer(http); }};

    void answer(ScriptedHttpServer::Exchange& http) {
        const auto& request = http.request();
        const auto header = [&](const std::string& name) {
            const auto found = request.headers.find(name);
            return found == request.headers.end() ? std::string{} : found->second;
        };
        if (request.target == token_target) {
            ++tokens;
            if (header("metadata-flavor") != "Google") return http.respond(403, "text/plain", "");
            if (!has_account) return http.respond(404, "text/plain", "");
            return http.respond(
                200,
                "application/json",
                R"({"access_token":"ya29.token","expires_in":3599,"token_type":"Bearer"})"
            );
        }
        if (header("authorization") != "Bearer ya29.token") return http.respond(401, "", "");
        // "hello": aGVsbG8=, CRC-32C 2591144780
        if (request.target == "/v1/projects/p/secrets/good/versions/latest:access" ||
            request.target == "/v1/projects/p/secrets/good/versions/7:access") {
            return http.respond(
                200,
                "application/json",
                R"({"name":"x","payload":{"data":"aGVsbG8=","dataCrc32c":"2591144780"}})"
            );
        }
        if (request.target.find("damaged") != std::string::npos) {
            return http.respond(
                200, "application/json", R"({"payload":{"data":"aGVsbG8=","dataCrc32c":"1"}})"
            );
        }
        if (request.target.find("garbage") != std::string::npos) {
            return http.respond(200, "application/json", "{");
        }
        const bool secret = request.target.find("forbidden") != std::string::npos;
        http.respond(secret ? 403 : 404, "application/json", "{}");
    }

    config::SecretReader reader() {
        const auto url = server.url();
        return gcp_secrets(
            {{"GCE_METADATA_HOST", url.substr(url.find("://") + 3)},
             {"OAVC_SECRET_MANAGER_URL", url}}
        );
    }
};

TEST_F(GcpSecretsTest, ReadsSecretsWithOneToken) {
    const auto read = reader();
    EXPECT_EQ(*read("projects/p/secrets/good"), "hello");
    EXPECT_EQ(*read("projects/p/secrets/good/versions/7"), "hello");
    EXPECT_EQ(tokens, 1);
}

TEST_F(GcpSecretsTest, SaysWhatToDoWhenASecretCannotBeHad) {
    const auto read = reader();
    EXPECT_THAT(read("projects/p/secrets/forbidden").error().what, HasSubstr("secretAccessor"));
    EXPECT_THAT(
        read("projects/p/secrets/none").error().what,
        HasSubstr("there is no projects/p/secrets/none/versions/latest")
    );
    EXPECT_THAT(read("projects/p/secrets/damaged").error().what, HasSubstr("CRC-32C"));
    EXPECT_THAT(read("projects/p/secrets/garbage").error().what, HasSubstr("cannot be read"));
    EXPECT_THAT(read("projects/p").error().what, HasSubstr("projects/PROJECT/secrets/NAME"));
}

TEST_F(GcpSecretsTest, SaysSoWithoutAServiceAccountOrOffGoogle) {
    has_account = false;
    EXPECT_THAT(reader()("projects/p/secrets/good").error().what, HasSubstr("service account"));
    const auto read = reader();
    server.stop();
    EXPECT_THAT(read("projects/p/secrets/good").error().what, HasSubstr("metadata server"));
}

TEST(GcpSecrets, NamesAreChecked) {
    EXPECT_EQ(*secret_version("projects/p/secrets/s"), "projects/p/secrets/s/versions/latest");
    EXPECT_EQ(
        *secret_version("projects/p/secrets/s/versions/3"), "projects/p/secrets/s/versions/3"
    );
    for (const std::string_view wrong :
         {"",
          "s",
          "projects/p/secrets/",
          "projects/p/secrets/s/versions",
          "projects/../secrets/s?x",
          "projects/p/secrets/s/versions/3/more",
          "projects/p\r\n/secrets/s"}) {
        EXPECT_TRUE(secret_version(wrong).has_error()) << wrong;
    }
    EXPECT_EQ(crc32c("123456789"), 0xE306'9283U);  // RFC 3720's check value
}

TEST(GcpSecrets, AnswersAreChecked) {
    for (const std::string_view wrong :
         {"",
          "[]",
          "{}",
          R"({"payload":1})",
          R"({"payload":{"data":"!!"}})",
          R"({"payload":{"data":""}})",
          R"({"payload":{"data":"aGVsbG8=","dataCrc32c":"x"}})"}) {
        EXPECT_TRUE(secret_of(wrong).has_error()) << wrong;
        if (!secret_of(wrong)) EXPECT_THAT(secret_of(wrong).error().what, Not(HasSubstr("aGVs")));
    }
}

}  // namespace
}  // namespace oavc::app
