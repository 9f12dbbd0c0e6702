#include "config/explain.hpp"
#include "config/load.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace oavc::config {
namespace {

using testing::HasSubstr;
using testing::Not;

class SecretsTest : public testing::Test {
protected:
    test::TemporaryFolder folder;

    void put(const std::string& name, const std::string& text) const {
        std::ofstream{folder.path() / name, std::ios::binary} << text;
    }
    Loaded load_ini(const std::string& text, const SecretReader& gcp = {}) const {
        return load_text(text, "test.ini", folder.path(), {}, gcp);
    }
    static std::string problems(const Loaded& loaded) {
        return list_problems(loaded, Severity::note);
    }
};

TEST_F(SecretsTest, AFileGivesItsTextWithoutTheLineFeedAtItsEnd) {
    put("token", "s3cret-of-file\n");
    const auto loaded = load_ini("[api]\ntoken = ${file:token}\n");
    EXPECT_EQ(loaded.config.api.token, "s3cret-of-file");
    EXPECT_TRUE(loaded.ok());
    const auto absolute = (folder.path() / "token").string();
    EXPECT_EQ(
        load_ini("[api]\ntoken = a${file:" + absolute + "}b\n").config.api.token, "as3cret-of-fileb"
    );
}

TEST_F(SecretsTest, AFileThatCannotBeReadIsAProblemOfItsLine) {
    put("empty", "\n");
    put("huge", std::string(70'000, 'x'));
    const std::pair<const char*, const char*> cases[]{
        {"${file:nowhere}", "there is no such file"},
        {"${file:.}", "it is a folder"},
        {"${file:empty}", "it is empty"},
        {"${file:huge}", "it is larger than 64 KiB"},
        {"${file:}", "no file is named"},
        {"${gcp-secret:projects/p/secrets/s}", "it cannot be fetched by this command"},
    };
    for (const auto& [value, why] : cases) {
        const auto loaded = load_ini(std::string{"[api]\ntoken = "} + value + "\n");
        EXPECT_FALSE(loaded.ok()) << value;
        EXPECT_THAT(problems(loaded), HasSubstr("test.ini:2: error: [api] token: ${")) << value;
        EXPECT_THAT(problems(loaded), HasSubstr(why)) << value;
    }
}

TEST_F(SecretsTest, GooglesSecretsComeFromTheirReader) {
    const SecretReader reader = [](std::string_view name) -> Result<std::string, SecretProblem> {
        if (name == "projects/p/secrets/good")
            return {boost::system::in_place_value, "s3cret-of-google"};
        return SecretProblem{"there is no " + std::string{name}};
    };
    const auto good = load_ini("[api]\ntoken = ${gcp-secret:projects/p/secrets/good}\n", reader);
    EXPECT_EQ(good.config.api.token, "s3cret-of-google");
    const auto bad = load_ini("[api]\ntoken = ${gcp-secret:projects/p/secrets/bad}\n", reader);
    EXPECT_FALSE(bad.ok());
    EXPECT_THAT(problems(bad), HasSubstr("there is no projects/p/secrets/bad"));
}

TEST_F(SecretsTest, ASecretInAKeyThatIsNoneIsNotShownEither) {
    put("secret", "s3cret-of-file\n");
    const auto loaded = load_ini(
        "[agent]\ngreeting = ${file:secret}\n[api]\nport = ${file:secret}\nhost = ${file:secret}\n"
    );
    EXPECT_EQ(loaded.config.pipeline.agents.back().greeting, "s3cret-of-file");
    EXPECT_FALSE(loaded.ok()) << "it is no port";
    EXPECT_THAT(problems(loaded), HasSubstr("[api] port"));
    EXPECT_THAT(problems(loaded) + explain(loaded), Not(HasSubstr("s3cret")));
}

/// Every key that is a secret holds a canary; it sings nowhere.
TEST_F(SecretsTest, NoSecretKeyIsEverPrinted) {
    const std::string canary = "CANARY7f3a9c";
    std::string ini;
    std::string_view section;
    int secrets = 0;
    for (const Key& key : schema()) {
        if (!is_secret(key)) continue;
        if (section != key.section) {
            section = key.section;
            ini += "[" + std::string{section} + "]\n";
        }
        ini += std::string{key.name} + " = " + canary + std::to_string(secrets++) + "\n";
    }
    ASSERT_GE(secrets, 8);
    const auto loaded = load_ini(ini);
    EXPECT_THAT(explain(loaded), HasSubstr("****"));
    EXPECT_THAT(explain(loaded) + problems(loaded), Not(HasSubstr(canary)));

    // Nor when what stands there is wrong, in every way that we know.
    for (const std::string& wrong :
         {"${" + canary, "${" + canary + "}x", canary + "\n\t" + canary}) {
        std::string broken = ini;
        for (std::size_t at = 0; (at = broken.find(canary, at)) != std::string::npos;) {
            broken.replace(at, canary.size(), wrong);
            at += wrong.size();
        }
        const auto text = problems(load_ini(broken));
        // A name in ${…} is told, for it is the environment's; the value never.
        if (wrong.starts_with("${")) continue;
        EXPECT_THAT(text + explain(load_ini(broken)), Not(HasSubstr(canary)));
    }
}

}  // namespace
}  // namespace oavc::config
