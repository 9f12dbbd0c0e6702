#pragma once

// An OpenTelemetry collector that takes OTLP/HTTP with JSON, on a real loopback socket.
//
//     FakeCollector collector;
//     config.endpoint = collector.url();
//     collector.answer(503, {{"Retry-After", "1"}});  // from now on; default: 200 {}
//     collector.wait_for_spans(5);                    // false after 30 s
//     collector.spans();  collector.requests().back().headers
//     collector.hang(true);                           // takes requests and never answers
//     collector.stop(); collector.start();

#include "support/scripted_http_server.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::test {

class FakeCollector {
public:
    std::string url() const { return server_.url(); }
    void stop() { server_.stop(); }
    void start() { server_.start(); }
    void hang(bool hangs) noexcept { hangs_ = hangs; }

    void answer(
        int status, std::map<std::string, std::string> headers = {}, std::string body = "{}"
    ) {
        const std::lock_guard lock{mutex_};
        status_ = status;
        headers_ = std::move(headers);
        body_ = std::move(body);
    }

    /// Accepted ones only, as objects of OTLP's JSON.
    std::vector<boost::json::value> spans() const {
        const std::lock_guard lock{mutex_};
        return spans_;
    }
    std::vector<ScriptedHttpServer::Request> requests() const {
        const std::lock_guard lock{mutex_};
        return requests_;
    }

    bool wait_for_spans(std::size_t count) const {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, patience, [&] { return spans_.size() >= count; });
    }
    bool wait_for_requests(std::size_t count) const {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, patience, [&] { return requests_.size() >= count; });
    }

private:
    static constexpr std::chrono::seconds patience{30};

    void take(ScriptedHttpServer::Exchange& http) {
        const auto& request = http.request();
        std::string answer;
        {
            const std::lock_guard lock{mutex_};
            requests_.push_back(request);
            std::string more;
            for (const auto& [name, value] : headers_)
                more += fmt::format("{}: {}\r\n", name, value);
            const bool known = request.method == "POST" && request.target == "/v1/traces" &&
                               request.headers.at("content-type") == "application/json";
            const int status = known ? status_ : 404;
            answer = fmt::format(
                "HTTP/1.1 {} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}"
                "\r\n{}",
                status,
                body_.size(),
                more,
                body_
            );
            if (status == 200) keep(request.body);
        }
        changed_.notify_all();
        if (hangs_) return http.hang();
        http.raw(answer);
        http.keep_open();
    }

    void keep(const std::string& body) {
        const auto batch = boost::json::parse(body);
        for (const auto& resource : batch.at("resourceSpans").as_array()) {
            for (const auto& scope : resource.at("scopeSpans").as_array()) {
                for (const auto& span : scope.at("spans").as_array())
                    spans_.push_back(span);
            }
        }
    }

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::atomic<bool> hangs_{false};
    int status_{200};
    std::map<std::string, std::string> headers_;
    std::string body_{"{}"};
    std::vector<boost::json::value> spans_;
    std::vector<ScriptedHttpServer::Request> requests_;
    ScriptedHttpServer server_{[this](ScriptedHttpServer::Exchange& http) { take(http); }};
};

}  // namespace oavc::test
