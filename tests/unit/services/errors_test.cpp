#include "services/errors.hpp"

#include "services/detail/stream_error.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace oavc::services {
namespace {

namespace failed = boost::asio::error;

TEST(ServiceError, TellsWhatWasBehindIt) {
    const auto error = service_error(failed::connection_refused);
    EXPECT_EQ(error, ServiceErrc::unavailable);
    EXPECT_EQ(error.message(), "service unavailable: Connection refused");
    EXPECT_NE(error, ServiceErrc::timed_out);
    EXPECT_NE(error, error_code{failed::connection_refused});
    EXPECT_EQ(make_error_code(ServiceErrc::unavailable).message(), "service unavailable");
}

TEST(ServiceError, TwoCausesAreTheSameErrorAndDifferentMessages) {
    const auto refused = service_error(failed::connection_refused);
    const auto reset = service_error(failed::connection_reset);
    EXPECT_EQ(refused, reset);
    EXPECT_NE(refused.message(), reset.message());
    EXPECT_EQ(service_error(refused).message(), refused.message()) << "told once";
}

TEST(ServiceError, AnHttpStatusIsNamed) {
    const auto forbidden = service_error({403, net::http_status_category()});
    EXPECT_EQ(forbidden, ServiceErrc::rejected);
    EXPECT_NE(forbidden.message().find("403"), std::string::npos) << forbidden.message();
    EXPECT_EQ(service_error({503, net::http_status_category()}), ServiceErrc::overloaded);
    EXPECT_EQ(service_error({500, net::http_status_category()}), ServiceErrc::unavailable);
}

TEST(ServiceError, MoreCausesThanAreRememberedAreStillErrors) {
    // In a process of its own, for what is remembered is remembered for ever.
    const auto remember = [] {
        for (int value = 1; value < 2'000; ++value) {
            const error_code cause{value, boost::system::generic_category()};
            EXPECT_EQ(with_cause(ServiceErrc::rejected, cause), ServiceErrc::rejected);
            EXPECT_EQ(
                with_cause(ServiceErrc::rejected, cause).message().rfind("service rejected", 0), 0u
            );
        }
        std::exit(::testing::Test::HasFailure() ? 1 : 0);
    };
    EXPECT_EXIT(remember(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace oavc::services
