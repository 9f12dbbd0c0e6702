#include "media/vad.hpp"

#include "gtest/gtest.h"
#include "support/silero_file.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace oavc::media {
namespace {

TEST(VadFactory, AnUnknownEngineIsRefusedWithTheKnownOnes) {
    VadConfig config;
    config.engine = "energy";
    const auto made = make_vad_factory(config);
    ASSERT_TRUE(made.has_error());
    EXPECT_EQ(
        made.error(),
        "Unknown provider: 'energy' for [vad] engine (known: auto, webrtc, silero, gated)"
    );
}

TEST(VadFactory, WebRtcByNameHasNothingToExplain) {
    VadConfig config;
    config.engine = "webrtc";
    const auto made = make_vad_factory(config);
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ((*made)->name(), "webrtc");
    EXPECT_EQ((*made)->note(), "");
}

TEST(VadFactory, AutoWithoutAModelTakesWebRtcAndSaysWhatToDo) {
    VadConfig config;
    config.model = "/nonexistent/silero.bin";
    const auto made = make_vad_factory(config);
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ((*made)->name(), "webrtc");
    EXPECT_NE((*made)->note().find("/nonexistent/silero.bin"), std::string_view::npos);
    EXPECT_NE((*made)->note().find("oavc models pull silero-vad"), std::string_view::npos);
    EXPECT_NE((*made)->make(narrowband), nullptr);
}

TEST(VadFactory, AutoTakesTheModelOfTheDataDirectory) {
    const auto folder =
        std::filesystem::path{::testing::TempDir()} / ("oavc-vad-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder / "models");
    const auto bytes = test::silero_file();
    std::ofstream{folder / "models" / "silero-vad.bin", std::ios::binary}.write(
        reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())
    );
    ::setenv("OAVC_DATA_DIR", folder.c_str(), 1);
    const auto made = make_vad_factory({});
    ::unsetenv("OAVC_DATA_DIR");
    std::filesystem::remove_all(folder);

    ASSERT_TRUE(made.has_value());
    EXPECT_EQ((*made)->name(), "gated");
    EXPECT_EQ((*made)->note(), "");
}

TEST(VadFactory, SileroByNameWithoutAModelIsAnError) {
    VadConfig config;
    for (const char* const engine : {"silero", "gated"}) {
        config.engine = engine;
        config.model = "/nonexistent/silero.bin";
        const auto made = make_vad_factory(config);
        ASSERT_TRUE(made.has_error());
        EXPECT_NE(made.error().find("/nonexistent/silero.bin"), std::string::npos);
    }
}

}  // namespace
}  // namespace oavc::media
