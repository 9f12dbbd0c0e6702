#pragma once

#include "caller/bench/engine.hpp"
#include "caller/bench/figures.hpp"
#include "caller/bench/options.hpp"
#include "caller/bench/process.hpp"
#include "caller/bench/script.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::caller::bench {

/// One step of load and what became of it.
struct Step {
    std::string what;  ///< "server", or "reflector"
    int run{1};        ///< of `runs`; 0: of a search
    int runs{1};
    int part{1};  ///< of the run: soaks and churns have several
    Figures figures;
    std::string invalid;    ///< why nothing can be said; empty: it is valid
    std::string shortfall;  ///< what was not good; empty: all was
    bool good() const noexcept { return invalid.empty() && shortfall.empty(); }
};

/// Everything a load test found.
struct Results {
    std::string via;
    std::string mode;
    std::vector<int> cores;         ///< the generator's
    std::vector<int> server_cores;  ///< empty: an attached server's
    int repeat{1};
    bool attached{false};     ///< one process for all runs
    std::vector<Step> steps;  ///< in the order of measuring
    std::optional<std::size_t> knee;
    bool knee_is_beyond{false};  ///< it is more; --most, or the limit of open files, was reached
    double margin{0};
    std::string verdict;  ///< why the exit status is not 0; empty: it is

    /// What an instance may admit: the knee less the margin.
    std::optional<std::size_t> safe_calls() const noexcept;
    /// Server CPU per call-second as a multiple of the reflector's, medians of all measured steps
    /// with as many calls; of a server that had none such: its last step.
    std::optional<double> multiple_of_floor() const noexcept;
};

/// Told while the test runs.
class BenchObserver {
public:
    virtual void on_phase(std::string_view what) = 0;
    /// About every second.
    virtual void on_progress(std::string_view phase, const Engine& engine) = 0;
    virtual void on_step(const Step& step) = 0;

protected:
    ~BenchObserver() = default;
};

/// Called once the engine exists, and with null before it goes: for signal handlers.
using EngineHook = std::function<void(Engine*)>;

/// Runs a load test. Blocks. Throws std::runtime_error that says what to do when it cannot begin. A
/// search goes no further than the open files that the kernel allows.
Results run_bench(Options options, BenchObserver& observer, const EngineHook& hook);

}  // namespace oavc::caller::bench
