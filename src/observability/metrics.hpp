#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace oavc::metrics {

/// Small closed sets only: kinds, providers, outcomes. Never a call's id, a number or a text.
using Labels = std::initializer_list<std::pair<const std::string, std::string>>;

/// Handles are cheap to copy and live as long as their registry; those of no registry do nothing.
/// Thread: any.
class Counter {
public:
    void add(double by = 1) const noexcept;
    /// For what its owner counts itself and is only read at a scrape: `total` since start-up. One
    /// thread at a time.
    void advance_to(double total) const noexcept;
    double value() const noexcept;

private:
    friend class Registry;
    prometheus::Counter* counter_{nullptr};
};

class Gauge {
public:
    void set(double value) const noexcept;
    double value() const noexcept;

private:
    friend class Registry;
    prometheus::Gauge* gauge_{nullptr};
};

class Histogram {
public:
    void observe(double value) const noexcept;
    /// Observations that were sorted into buckets elsewhere: those that are new, one number per
    /// bucket and one for what lies above the last.
    void add(const std::vector<double>& new_in_bucket, double new_sum) const noexcept;

private:
    friend class Registry;
    prometheus::Histogram* histogram_{nullptr};
};

/// What a caller waits for: 50 ms to 10 s.
inline const std::vector<double> turn_seconds{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10};

/// What somebody counts himself, since start-up, and gives away when metrics are read.
struct Count {
    enum class Unit { events, audio_seconds, work_seconds, bytes };

    std::string_view what;  ///< a literal: "lost_connections"
    double value{0};
    Unit unit{Unit::events};
};

/// The process's metrics. Everything is registered at start, so that every series exists with 0
/// before its first event. Names: oavc_THING_UNIT[_total], base units. Thread: any.
class Registry {
public:
    Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    ~Registry();

    /// The same name and labels give the same series. Throws std::invalid_argument for names that
    /// Prometheus does not allow.
    Counter counter(const std::string& name, const std::string& help, Labels labels = {});
    Gauge gauge(const std::string& name, const std::string& help, Labels labels = {});
    /// `bounds`: upper ends of the buckets, ascending.
    Histogram histogram(
        const std::string& name,
        const std::string& help,
        const std::vector<double>& bounds,
        Labels labels = {}
    );

    /// Prometheus text format 0.0.4.
    std::string text() const;
    static constexpr const char* content_type = "text/plain; version=0.0.4; charset=utf-8";

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace oavc::metrics
