#include "net/certificate_expiry.hpp"

#include "support/temporary_folder.hpp"
#include "support/tls_front.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace oavc::net {
namespace {

using namespace std::chrono_literals;
using test::SelfMadeCertificate;

class CertificateExpiry : public testing::Test {
protected:
    static std::string text_of(const SelfMadeCertificate& certificate) {
        std::ifstream in{certificate.certificate_file};
        return {std::istreambuf_iterator<char>{in}, {}};
    }
    std::string written(const std::string& text) const {
        std::ofstream{folder_.file("chain.pem")} << text;
        return folder_.file("chain.pem");
    }
    /// Seconds from now, to the minute: the machine is busy.
    static auto minutes_left(std::chrono::sys_seconds ends) {
        return std::chrono::round<std::chrono::minutes>(ends - std::chrono::system_clock::now());
    }

    test::TemporaryFolder folder_;
    SelfMadeCertificate day_{folder_.path(), "day", {}, 86'400};
    SelfMadeCertificate hour_{folder_.path(), "hour", {}, 3'600};
    SelfMadeCertificate over_{folder_.path(), "over", {}, -3'600};
};

TEST_F(CertificateExpiry, IsThatOfTheFirstInAChainToEnd) {
    EXPECT_EQ(minutes_left(*certificate_expiry(day_.certificate_file)), 24h);
    EXPECT_EQ(minutes_left(*certificate_expiry(written(text_of(day_) + text_of(hour_)))), 1h);
    EXPECT_EQ(minutes_left(*certificate_expiry(over_.certificate_file)), -1h);
}

TEST_F(CertificateExpiry, NeedsACertificate) {
    EXPECT_EQ(
        certificate_expiry(folder_.file("none.pem")).error(),
        boost::system::errc::no_such_file_or_directory
    );
    EXPECT_TRUE(certificate_expiry(written("")).has_error());
    EXPECT_TRUE(certificate_expiry(day_.key_file).has_error());
    EXPECT_TRUE(certificate_expiry(written(text_of(day_).substr(0, 200))).has_error());
}

}  // namespace
}  // namespace oavc::net
