#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace oavc::test {

/// Runs everything that fuzz target `name` starts from and that ever crashed it. Returns how many.
inline std::size_t replay_corpus(const std::string& name, void (*run)(std::string_view)) {
    std::size_t inputs = 0;
    const std::array folders{
        OAVC_SOURCE_DIR "/fuzz/corpus/" + name,
        OAVC_TEST_DATA "/crashes/" + name,
    };
    for (const std::string& folder : folders) {
        if (!std::filesystem::exists(folder)) continue;
        for (const auto& entry : std::filesystem::directory_iterator{folder}) {
            SCOPED_TRACE(entry.path().string());
            std::ifstream file{entry.path(), std::ios::binary};
            const std::string bytes{std::istreambuf_iterator<char>{file}, {}};
            run(bytes);
            ++inputs;
        }
    }
    return inputs;
}

}  // namespace oavc::test
