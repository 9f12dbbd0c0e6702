#pragma once

#include "support/run_program.hpp"
#include "support/running_server.hpp"
#include "support/temporary_folder.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::test {

/// Where a program is; empty: it is not installed.
inline std::string find_program(std::string_view name) {
    for (const std::string folder : {"/usr/local/bin/", "/usr/bin/"}) {
        const auto path = folder + std::string{name};
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    return {};
}

/// What SIPp made of a scenario.
struct SippResult {
    int status{-1};  ///< 0: every call went as the scenario says
    int successful{0};
    int failed{0};
    int retransmissions{0};  ///< its own
    std::string story;       ///< for people: its complaints, then every message
};

/// SIPp playing a scenario of tests/sipp against a port of the loopback interface. Runs from
/// construction on; the process ends with its owner. `Call-ID` of the n-th call: "NAME-n".
class Sipp {
public:
    struct Settings {
        std::string scenario;   ///< tests/sipp/SCENARIO.xml
        std::uint16_t port{0};  ///< whom it calls; 0: it is called, at its own port()
        int calls{1};
        int rate{10};  ///< new calls per second
        std::chrono::seconds limit{60};
        bool trace{true};               ///< keep every message for the story
        std::vector<std::string> more;  ///< options
    };

    explicit Sipp(const Settings& settings)
        : name_{settings.scenario},
          port_{free_ports(8)},  // SIP, then media with its neighbours
          program_{command(settings), {}, folder_.path().c_str()} {}

    std::uint16_t port() const noexcept { return port_; }
    std::string call_id(int number = 1) const { return name_ + '-' + std::to_string(number); }

    SippResult wait() {
        SippResult result;
        result.status = program_.wait();
        std::ifstream counters{folder_.file("counters.csv")};
        std::vector<std::string> names;
        std::vector<std::string> values;
        for (std::string line; std::getline(counters, line);) {
            std::vector<std::string> cells;
            std::stringstream rest{line};
            for (std::string cell; std::getline(rest, cell, ';');)
                cells.push_back(cell);
            (names.empty() ? names : values) = std::move(cells);
        }
        const auto counter = [&](std::string_view name) {
            for (std::size_t i = 0; i < names.size() && i < values.size(); ++i) {
                if (names[i] == name) return std::atoi(values[i].c_str());
            }
            return -1;
        };
        result.successful = counter("SuccessfulCall(C)");
        result.failed = counter("FailedCall(C)");
        result.retransmissions = counter("Retransmissions(C)");
        result.story = contents("errors.log") + contents("messages.log");
        if (result.status != 0 && result.story.empty()) result.story = program_.output();
        return result;
    }

private:
    std::string contents(const std::string& file) const {
        std::ifstream in{folder_.file(file), std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    std::vector<std::string> command(const Settings& settings) const {
        std::vector<std::string> out{
            find_program("sipp"),
            "-sf",
            std::string{OAVC_SOURCE_DIR} + "/tests/sipp/" + settings.scenario + ".xml",
            "-i",
            "127.0.0.1",
            "-p",
            std::to_string(port_),
            "-mi",
            "127.0.0.1",
            "-mp",
            std::to_string(port_ + 2),
            "-s",
            "bot",
            "-m",
            std::to_string(settings.calls),
            "-r",
            std::to_string(settings.rate),
            "-cid_str",
            settings.scenario + "-%u",
            "-timeout",
            std::to_string(settings.limit.count()),
            "-timeout_error",
            "-nostdin",
            "-f",
            "60",  // seconds between its screens: nobody reads them while it runs
            "-trace_err",
            "-error_file",
            folder_.file("errors.log"),
            "-trace_stat",
            "-fd",
            "1",
            "-stf",
            folder_.file("counters.csv"),
        };
        if (settings.port != 0) out.push_back("127.0.0.1:" + std::to_string(settings.port));
        if (settings.trace) {
            out.insert(out.end(), {"-trace_msg", "-message_file", folder_.file("messages.log")});
        }
        out.insert(out.end(), settings.more.begin(), settings.more.end());
        return out;
    }

    TemporaryFolder folder_;
    std::string name_;
    std::uint16_t port_;
    Program program_;
};

}  // namespace oavc::test
