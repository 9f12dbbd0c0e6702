#include "observability/audit_chain.hpp"
#include "pipeline/sealed_recording.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace oavc {
namespace {

using test::Program;
using testing::HasSubstr;

class AuditCommand : public testing::Test {
protected:
    test::TemporaryFolder folder;
    std::vector<std::string> lines;
    audit::Link link;

    AuditCommand() {
        for (int i = 0; i < 6; ++i)
            lines.push_back(audit::sealed(link, R"("what":"test")"));
    }
    std::string write(const std::string& name, std::size_t from, std::size_t to) const {
        std::ofstream out{folder.file(name)};
        for (std::size_t i = from; i < to; ++i)
            out << lines[i] << '\n';
        return folder.file(name);
    }
    /// Exit status and what was printed.
    static std::pair<int, std::string> verify(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {OAVC_BINARY, "audit", "verify"});
        Program program{std::move(arguments)};
        const int status = program.wait();
        return {status, program.output()};
    }
};

TEST_F(AuditCommand, FollowsAWholeChainThroughItsFilesInAnyOrder) {
    const auto first = write("audit.jsonl.000000000003", 0, 3);
    const auto second = write("audit.jsonl", 3, 6);
    const auto [status, output] = verify({second, first});
    EXPECT_EQ(status, 0) << output;
    EXPECT_THAT(output, HasSubstr("records 1 to 6: the chain is whole\nhead 6:" + link.hash));
}

TEST_F(AuditCommand, SaysWhereTheChainIsBroken) {
    lines[2].replace(lines[2].find("test"), 4, "tess");
    const auto file = write("audit.jsonl", 0, 6);
    const auto [status, output] = verify({file});
    EXPECT_EQ(status, 1);
    EXPECT_THAT(output, HasSubstr("audit.jsonl:3: record 3 was changed"));
}

TEST_F(AuditCommand, NoticesAFileThatWasShortenedByItsHeadAndByOursAlone) {
    const auto file = write("audit.jsonl", 0, 4);
    EXPECT_EQ(verify({file}).first, 0) << "a chain alone cannot know that it went on";
    const auto head = std::to_string(link.sequence) + ":" + link.hash;
    const auto [status, output] = verify({file, "--head", head});
    EXPECT_EQ(status, 1);
    EXPECT_THAT(output, HasSubstr("the records up to 6 are missing at the end"));
    std::ofstream{file + ".head"} << head << '\n';
    EXPECT_EQ(verify({file}).first, 1);
}

TEST_F(AuditCommand, MissesTheOldestFilesUnlessToldNotTo) {
    const auto file = write("audit.jsonl", 3, 6);
    EXPECT_EQ(verify({file}).first, 1);
    EXPECT_EQ(verify({file, "--from-middle"}).first, 0);
}

TEST_F(AuditCommand, NoticesAChainThatWasMadeAnew) {
    audit::Link forged;
    const auto real = lines;
    for (auto& line : lines)
        line = audit::sealed(forged, R"("what":"forged")");
    const auto file = write("audit.jsonl", 0, 6);
    const auto [status, output] = verify({file, "--head", "6:" + link.hash});
    EXPECT_EQ(status, 1);
    EXPECT_THAT(output, HasSubstr("record 6 is not the one that was known"));
}

TEST(RecordingCommand, TurnsASealedFileIntoAWav) {
    const test::TemporaryFolder folder;
    const std::string key_text(64, 'a');
    auto sealer = *pipeline::Sealer::make(*pipeline::parse_recording_key(key_text));
    std::string plain(44 + 400, 'x');
    plain.replace(0, 4, "RIFF");
    const auto bytes = std::as_bytes(std::span{plain});
    std::string sealed = sealer.header();
    sealed += *sealer.chunk(bytes.first(44), false);
    sealed += *sealer.chunk(bytes.subspan(44), false);
    const auto without_end = sealed;
    sealed += *sealer.chunk({}, true);
    std::ofstream{folder.file("whole")} << sealed;
    std::ofstream{folder.file("cut")} << without_end;
    std::ofstream{folder.file("key")} << key_text << '\n';
    std::ofstream{folder.file("wrong")} << std::string(64, 'b') << '\n';
    const auto decrypt = [&](const std::string& in, const std::string& out, const char* key) {
        Program program{
            {OAVC_BINARY,
             "recording",
             "decrypt",
             folder.file(in),
             folder.file(out),
             "--key-file",
             folder.file(key)}};
        const int status = program.wait();
        return std::pair{status, program.output()};
    };
    EXPECT_EQ(decrypt("whole", "out.wav", "key").first, 0);
    std::ifstream in{folder.file("out.wav"), std::ios::binary};
    const std::string wav{std::istreambuf_iterator<char>{in}, {}};
    ASSERT_EQ(wav.size(), plain.size());
    EXPECT_EQ(static_cast<unsigned char>(wav[40]) + 256 * static_cast<unsigned char>(wav[41]), 400);
    EXPECT_NE(decrypt("whole", "out.wav", "key").first, 0) << "nothing is overwritten";
    const auto [status, output] = decrypt("cut", "part.wav", "key");
    EXPECT_EQ(status, 1);
    EXPECT_THAT(output, HasSubstr("end is missing"));
    EXPECT_THAT(decrypt("whole", "none.wav", "wrong").second, HasSubstr("the key is not the one"));
}

}  // namespace
}  // namespace oavc
