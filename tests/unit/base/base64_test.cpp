#include "base/base64.hpp"

#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace oavc::base64 {
namespace {

std::string decoded(std::string_view text) {
    std::vector<std::byte> out(decoded_limit(text.size()));
    const auto size = decode(text, out);
    return size ? std::string{as_text(std::span{out}.first(*size))} : "error";
}

TEST(Base64, SpeaksTheVectorsOfRfc4648) {
    const std::pair<std::string_view, std::string_view> vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [plain, text] : vectors) {
        EXPECT_EQ(encode(as_bytes(plain)), text);
        EXPECT_EQ(decoded(text), plain);
    }
}

TEST(Base64, ReturnsEveryByteAtEveryLength) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < 600; ++i) {
        const auto text = encode(bytes);
        EXPECT_EQ(text.size(), encoded_size(bytes.size()));
        std::vector<std::byte> back(bytes.size());
        ASSERT_EQ(decode(text, back), bytes.size());
        EXPECT_EQ(back, bytes);
        bytes.push_back(static_cast<std::byte>(i * 7));
    }
}

TEST(Base64, AcceptsMissingPaddingAndNothingElseThatIsWrong) {
    EXPECT_EQ(decoded("Zg"), "f");
    EXPECT_EQ(decoded("Zm8"), "fo");
    for (const std::string_view bad :
         {"Z", "Zm9vY", "Zm9v Zg==", "Zm-v", "Zm_v", "Z===", "=Zm9", "Zm9v\n"}) {
        EXPECT_EQ(decoded(bad), "error") << bad;
    }
    for (int c = 0; c < 256; ++c) {
        const char raw = static_cast<char>(c);
        const bool known = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                           (c >= '0' && c <= '9') || c == '+' || c == '/';
        for (std::size_t place = 0; place < 3; ++place) {
            std::string text = "AAAA";
            text[place] = raw;
            EXPECT_EQ(decoded(text) != "error", known) << c << " at " << place;
        }
    }
}

TEST(Base64, NeverWritesBeyondItsRoom) {
    std::array<std::byte, 3> room{};
    EXPECT_EQ(decode("Zm9vYg==", room), std::nullopt);
    EXPECT_EQ(decode("Zm9v", room), 3u);
}

TEST(Base64, HasAUrlAlphabetWithoutPadding) {
    EXPECT_EQ(encode_url(as_bytes("\xFB\xFF\xFE!")), "-__-IQ");
}

}  // namespace
}  // namespace oavc::base64
