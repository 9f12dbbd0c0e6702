#pragma once

#include "caller/options.hpp"
#include "caller/run.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

/// Keeps what a run of the test caller told; may act on what it tells.
class Witness final : public caller::RunObserver {
public:
    std::function<void()> on_placing;
    std::function<void(const caller::ServerEvent&)> on_event;
    std::string over;
    std::size_t answered{0};

private:
    void on_waiting(std::string_view) override {}
    void on_call(std::size_t, std::string_view) override {
        if (on_placing) on_placing();
    }
    void on_answered(const caller::Dialled&) override { ++answered; }
    void on_caller_speaks(milliseconds, const caller::Utterance&) override {}
    void on_server_event(milliseconds, const caller::ServerEvent& event) override {
        if (on_event) on_event(event);
    }
    void on_over(milliseconds, std::string_view why) override { over = why; }
    void on_report(const caller::CallReport&) override {}
};

inline caller::Options call_over(std::string via, std::vector<caller::Options::Speech> speech) {
    caller::Options options;
    options.via = std::move(via);
    options.speech = std::move(speech);
    options.json = true;  // no recording
    options.wait = std::chrono::seconds{20};
    options.timeout = std::chrono::seconds{90};
    return options;
}

}  // namespace oavc::test
