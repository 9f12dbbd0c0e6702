#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

// docs/security.md names the test that defends each line of its threat model.

namespace oavc {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

TEST(ThreatModel, EveryTestItNamesExists) {
    const fs::path root{OAVC_SOURCE_DIR};
    std::string sources;
    for (const auto& entry : fs::recursive_directory_iterator{root / "tests"}) {
        const auto extension = entry.path().extension();
        if (extension == ".cpp" || extension == ".hpp") sources += read_file(entry.path());
    }
    const auto page = read_file(root / "docs" / "security.md");
    const std::regex named{"`([A-Z][A-Za-z0-9]+)\\.([A-Z][A-Za-z0-9]+)`"};
    int tests = 0;
    for (std::sregex_iterator at{page.begin(), page.end(), named}, end; at != end; ++at, ++tests) {
        const auto declared = "(" + (*at)[1].str() + ", " + (*at)[2].str() + ")";
        EXPECT_NE(sources.find(declared), std::string::npos) << at->str();
    }
    EXPECT_GE(tests, 20);
}

}  // namespace
}  // namespace oavc
