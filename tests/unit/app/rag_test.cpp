#include "app/rag.hpp"

#include "app/options.hpp"
#include "async/shard_pool.hpp"
#include "net/http_server.hpp"
#include "support/http.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace oavc::app {
namespace {

using testing::HasSubstr;

/// The document search of the predecessor's server: one reply to each request.
class RagTest : public testing::Test {
protected:
    RagTest() {
        net::HttpServer::Options options;
        options.host = "127.0.0.1";
        server_.emplace(pool_, options);
        server_->handle_websocket(
            "/",
            [](const net::HttpRequest&) { return std::nullopt; },
            [this](async::Shard&, net::HttpRequest, auto socket) {
                return answer(this, std::move(socket));
            }
        );
        pool_.start();
        server_->start();
    }
    ~RagTest() override {
        server_->stop();
        pool_.drain_and_join();
    }

    static asio::awaitable<void> answer(RagTest* test, std::unique_ptr<net::WebSocket> socket) {
        for (;;) {
            const auto message = co_await socket->read();
            if (message.has_error()) co_return;
            std::string reply;
            {
                const std::lock_guard lock{test->mutex_};
                test->request_ = std::string{message->data};
                reply = test->reply_;
            }
            socket->send_text(reply);
        }
    }

    /// Exit status; what was printed is in `output`.
    int run(std::vector<std::string_view> arguments) {
        const std::string url = test::local_url("ws", server_->port(), "/");
        arguments.insert(arguments.end(), {"--url", url});
        testing::internal::CaptureStdout();
        int status = -1;
        try {
            status = rag_command(arguments);
        } catch (...) {
            output = testing::internal::GetCapturedStdout();
            throw;
        }
        std::fflush(stdout);
        output = testing::internal::GetCapturedStdout();
        return status;
    }
    void reply_with(std::string text) {
        const std::lock_guard lock{mutex_};
        reply_ = std::move(text);
    }
    std::string request() {
        const std::lock_guard lock{mutex_};
        return request_;
    }

    std::string output;

private:
    std::mutex mutex_;
    std::string request_;
    std::string reply_;
    async::ShardPool pool_{1};
    std::optional<net::HttpServer> server_;
};

TEST_F(RagTest, SearchPrintsThePassagesWithTheirSource) {
    reply_with(
        R"({"action":"search","query":"iade","results":[{"content":"İade 14 gün içinde yapılır.","metadata":{"source":"a.pdf"}}],"count":1})"
    );
    EXPECT_EQ(run({"search", "iade", "-k", "3"}), 0);
    EXPECT_EQ(request(), R"({"action":"search","query":"iade","k":3})");
    EXPECT_THAT(output, HasSubstr("1. İade 14 gün içinde yapılır.\n   {\"source\":\"a.pdf\"}"));
}

TEST_F(RagTest, IngestAndStatsPrintTheNumbers) {
    reply_with(R"({"action":"ingest","success":true,"stats":{"documents":12,"chunks":340}})");
    EXPECT_EQ(run({"ingest", "--force"}), 0);
    EXPECT_EQ(request(), R"({"action":"ingest","force_reload":true})");
    EXPECT_THAT(output, HasSubstr("documents               12\n"));

    reply_with(R"({"action":"stats","documents":12})");
    EXPECT_EQ(run({"stats"}), 0);
    EXPECT_EQ(output, "documents               12\n");
}

TEST_F(RagTest, WhatTheServerRefusesIsSaidInItsWords) {
    reply_with(R"({"error":"RAG is disabled"})");
    EXPECT_THROW(
        {
            try {
                run({"stats"});
            } catch (const std::runtime_error& error) {
                EXPECT_THAT(error.what(), HasSubstr("refused: RAG is disabled"));
                throw;
            }
        },
        std::runtime_error
    );
    reply_with("no json");
    EXPECT_THROW(run({"stats"}), std::runtime_error);
}

TEST_F(RagTest, AWrongCommandLineIsExplained) {
    EXPECT_THROW(run({"find"}), UsageError);
    EXPECT_THROW(run({"search"}), UsageError);
    EXPECT_THROW(run({"stats", "now"}), UsageError);
    EXPECT_THROW(run({"search", "x", "-k", "0"}), UsageError);
}

}  // namespace
}  // namespace oavc::app
