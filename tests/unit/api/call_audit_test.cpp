#include "api/call_audit.hpp"

#include "async/run_blocking.hpp"
#include "support/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

namespace oavc::api {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Kind = pipeline::CallEvent::Kind;

class CallAuditTest : public testing::Test {
protected:
    test::TemporaryFolder folder;
    async::Shard shard{0};
    Access access{{.token = "s3cret", .read_token = "watch"}};

    /// What `work` leaves in an audit.
    template <class Work>
    std::string audit_of(Work work) {
        const auto file = folder.file("audit.jsonl");
        {
            audit::Config config;
            config.file = file;
            audit::Log log{config, {}};
            log.start();
            work(log);
        }
        std::ifstream in{file};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    static asio::awaitable<void> ask(
        async::Shard& shard, net::HttpHandler handler, net::HttpRequest request
    ) {
        static_cast<void>(co_await handler(shard, std::move(request)));
    }
    static asio::awaitable<net::HttpResponse> answer(int status) {
        net::HttpResponse response;
        response.status = status;
        co_return response;
    }
    void request(
        audit::Log& log,
        std::string method,
        std::string target,
        int status,
        int times,
        std::string token = "s3cret"
    ) {
        const auto handler = audited(log, access, [status](async::Shard&, net::HttpRequest) {
            return answer(status);
        });
        for (int i = 0; i < times; ++i) {
            net::HttpRequest asked;
            asked.method = method;
            asked.target = target;
            asked.peer_ip = "192.0.2.7";
            asked.headers["Authorization"] = "Bearer " + token;
            asked.body = R"({"to":"+905321234567"})";
            async::run_blocking(shard, ask(shard, handler, std::move(asked)));
        }
    }
};

TEST_F(CallAuditTest, TellsHowACallBeganWhatWasDoneToItAndHowItEnded) {
    const auto text = audit_of([](audit::Log& log) {
        CallAudit audit{log};
        transports::CallInfo call;
        call.via = "sip";
        call.native_id = "a@b";
        call.from = "[phone]";
        pipeline::CallEvent event;
        event.kind = Kind::started;
        audit.on_call_event(SessionId{"4f1c"}, call, event);
        event.kind = Kind::caller_said;
        event.text = "my secret";
        audit.on_call_event(SessionId{"4f1c"}, call, event);
        event.kind = Kind::control;
        event.text = "transfer: done";
        audit.on_call_event(SessionId{"4f1c"}, call, event);
        event.kind = Kind::ended;
        event.text = "transferred";
        event.since_start = 1500ms;
        audit.on_call_event(SessionId{"4f1c"}, call, event);
    });
    EXPECT_THAT(
        text,
        AllOf(
            HasSubstr(R"("what":"call_started","who":"caller","source":"sip","call":"4f1c")"),
            HasSubstr(R"("action":"transfer: done")"),
            HasSubstr(R"("reason":"transferred","duration_ms":"1500")"),
            Not(HasSubstr("secret"))
        )
    );
}

TEST_F(CallAuditTest, TellsWhoChangedWhatThroughTheApiButNotWhatWasInIt) {
    const auto text = audit_of([this](audit::Log& log) {
        request(log, "GET", "/api/v1/calls", 200, 1);
        request(log, "POST", "/api/v1/calls/4f1c/transfer", 200, 1);
    });
    EXPECT_THAT(
        text,
        AllOf(
            HasSubstr(R"("what":"api_request","who":"admin","source":"192.0.2.7","call":"4f1c",)"
                      R"("request":"POST /api/v1/calls/4f1c/transfer","status":"200")"),
            Not(HasSubstr("GET")),
            Not(HasSubstr("s3cret")),
            Not(HasSubstr("905321234567"))
        )
    );
}

TEST_F(CallAuditTest, TellsTheRoleOfTheTokenAlsoOfWhoWasRefused) {
    const auto text = audit_of([this](audit::Log& log) {
        request(log, "POST", "/api/v1/drain", 403, 1, "watch");
        access.set_tokens({});
        request(log, "POST", "/api/v1/drain", 403, 1, "watch");
    });
    EXPECT_THAT(text, HasSubstr(R"("what":"access_refused","who":"watcher","source":"192.0.2.7")"));
    EXPECT_THAT(text, HasSubstr(R"("what":"access_refused","who":"unknown","source":"192.0.2.7")"));
    net::HttpRequest here;
    here.peer_is_loopback = true;
    EXPECT_EQ(access.who(here), "local");
}

TEST_F(CallAuditTest, AFloodOfRefusalsIsToldInAFewRecords) {
    const auto text = audit_of([this](audit::Log& log) {
        request(log, "GET", "/api/v1/calls", 401, 200, "guessed");
    });
    const auto records = std::count(text.begin(), text.end(), '\n');
    EXPECT_GE(records, 1);
    EXPECT_LE(records, 100);
    EXPECT_THAT(text, HasSubstr(R"("what":"access_refused","who":"unknown","source":"192.0.2.7")"));
}

}  // namespace
}  // namespace oavc::api
