// What docs/ tells operators to write must be read without a complaint, and its links must lead
// somewhere.

#include "config/explain.hpp"
#include "config/load.hpp"
#include "services/providers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace oavc::config {
namespace {

const std::filesystem::path docs = OAVC_SOURCE_DIR "/docs";

std::vector<std::filesystem::path> pages() {
    std::vector<std::filesystem::path> all{OAVC_SOURCE_DIR "/README.md"};
    for (const auto& entry : std::filesystem::recursive_directory_iterator{docs}) {
        if (entry.path().extension() == ".md") all.push_back(entry.path());
    }
    return all;
}

struct Excerpt {
    std::string page;
    std::string ini;
};

/// Every ```ini block of every page.
std::vector<Excerpt> excerpts() {
    std::vector<Excerpt> all;
    for (const auto& path : pages()) {
        std::ifstream in{path};
        bool inside = false;
        for (std::string line; std::getline(in, line);) {
            if (line == "```ini") {
                inside = true;
                all.push_back({path.string(), ""});
            } else if (line.starts_with("```")) {
                inside = false;
            } else if (inside) {
                all.back().ini += line + "\n";
            }
        }
        EXPECT_FALSE(inside) << path << ": a block is not closed";
    }
    return all;
}

/// Secrets of files and managers that are not here: as many digits as a key has.
std::string with_secrets(const std::string& ini) {
    static const std::regex elsewhere{R"(\$\{(file|gcp-secret):[^}]*\})"};
    return std::regex_replace(ini, elsewhere, std::string(64, '0'));
}

/// A value for each ${NAME} of the text.
Environment values_for(const std::string& ini) {
    static const std::regex name{R"(\$\{([A-Za-z_][A-Za-z0-9_]*))"};
    Environment environment;
    for (std::sregex_iterator at{ini.begin(), ini.end(), name}, end; at != end; ++at)
        environment[(*at)[1]] = "for-tests-only";
    return environment;
}

TEST(Documentation, HasExcerptsThatAreReadWithoutComplaint) {
    const auto all = excerpts();
    ASSERT_FALSE(all.empty());
    for (const auto& [page, ini] : all) {
        const auto loaded = load_text(with_secrets(ini), page, OAVC_SOURCE_DIR, values_for(ini));
        EXPECT_EQ(loaded.count(Severity::error) + loaded.count(Severity::warning), 0U)
            << list_problems(loaded, Severity::warning) << ini;
    }
}

TEST(Documentation, LinksLeadToFilesThatExist) {
    static const std::regex link{R"(\]\(([^)\s]+)\))"};
    std::size_t links = 0;
    for (const auto& path : pages()) {
        std::ifstream in{path};
        for (std::string line; std::getline(in, line);) {
            for (std::sregex_iterator at{line.begin(), line.end(), link}, end; at != end; ++at) {
                std::string target = (*at)[1];
                target.resize(std::min(target.find('#'), target.size()));
                if (target.empty() || target.find("://") != std::string::npos) continue;
                ++links;
                EXPECT_TRUE(std::filesystem::exists(path.parent_path() / target))
                    << path << ": " << line;
            }
        }
    }
    EXPECT_GT(links, 50U);
}

TEST(Documentation, HasAPageThatChoosesEachProvider) {
    std::set<std::string> chosen;
    for (const auto& [page, ini] : excerpts()) {
        if (page.find("/docs/providers/") == std::string::npos) continue;
        const auto loaded = load_text(with_secrets(ini), page, OAVC_SOURCE_DIR, values_for(ini));
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
