// What docs/providers tells operators to write must be read without a complaint.

#include "config/explain.hpp"
#include "config/load.hpp"
#include "services/providers.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace oavc::config {
namespace {

const std::filesystem::path pages = OAVC_SOURCE_DIR "/docs/providers";

struct Excerpt {
    std::string page;
    std::string ini;
};

/// Every ```ini block of every page.
std::vector<Excerpt> excerpts() {
    std::vector<Excerpt> all;
    for (const auto& entry : std::filesystem::directory_iterator{pages}) {
        if (entry.path().extension() != ".md") continue;
        std::ifstream in{entry.path()};
        bool inside = false;
        for (std::string line; std::getline(in, line);) {
            if (line == "```ini") {
                inside = true;
                all.push_back({entry.path().filename().string(), ""});
            } else if (line.starts_with("```")) {
                inside = false;
            } else if (inside) {
                all.back().ini += line + "\n";
            }
        }
        EXPECT_FALSE(inside) << entry.path() << ": a block is not closed";
    }
    return all;
}

/// A value for each ${NAME} of the text.
Environment values_for(const std::string& ini) {
    static const std::regex name{R"(\$\{([A-Za-z_][A-Za-z0-9_]*))"};
    Environment environment;
    for (std::sregex_iterator at{ini.begin(), ini.end(), name}, end; at != end; ++at)
        environment[(*at)[1]] = "for-tests-only";
    return environment;
}

TEST(ProviderPages, HaveExcerptsThatAreReadWithoutComplaint) {
    const auto all = excerpts();
    ASSERT_FALSE(all.empty());
    for (const auto& [page, ini] : all) {
        const auto loaded = load_text(ini, page, OAVC_SOURCE_DIR, values_for(ini));
        EXPECT_EQ(loaded.count(Severity::error) + loaded.count(Severity::warning), 0U)
            << list_problems(loaded, Severity::warning) << ini;
    }
}

TEST(ProviderPages, ChooseTheProviderTheyAreAbout) {
    std::set<std::string> chosen;
    for (const auto& [page, ini] : excerpts()) {
        const auto loaded = load_text(ini, page, OAVC_SOURCE_DIR, values_for(ini));
        const auto& services = loaded.config.services;
        for (const auto& id : {services.stt_provider, services.llm_provider, services.tts_provider})
            if (ini.find("provider = " + id + "\n") != std::string::npos) chosen.insert(id);
    }
    const auto expect_page = [&](std::string_view id) {
        EXPECT_TRUE(chosen.contains(std::string{id})) << "no page of docs/providers chooses " << id;
    };
    for (const auto id : services::known_stt_providers)
        expect_page(id);
    for (const auto id : services::known_llm_providers)
        expect_page(id);
    for (const auto id : services::known_tts_providers)
        expect_page(id);
}

}  // namespace
}  // namespace oavc::config
