#include "observability/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace oavc::metrics {

struct Registry::Impl {
    prometheus::Registry registry;
};

Registry::Registry() : impl_{std::make_unique<Impl>()} {}
Registry::~Registry() = default;

Counter Registry::counter(const std::string& name, const std::string& help, Labels labels) {
    Counter made;
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
    made.counter_ = &family.Add(labels);
    return made;
}

Gauge Registry::gauge(const std::string& name, const std::string& help, Labels labels) {
    Gauge made;
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
    made.gauge_ = &family.Add(labels);
    return made;
}

Histogram Registry::histogram(
    const std::string& name,
    const std::string& help,
    const std::vector<double>& bounds,
    Labels labels
) {
    Histogram made;
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
    made.histogram_ = &family.Add(labels, bounds);
    return made;
}

std::string Registry::text() const {
    return prometheus::TextSerializer{}.Serialize(impl_->registry.Collect());
}

void Counter::add(double by) const noexcept {
    if (counter_ != nullptr) counter_->Increment(by);
}

void Counter::advance_to(double total) const noexcept {
    if (counter_ == nullptr) return;
    const double more = total - counter_->Value();
    if (more > 0) counter_->Increment(more);
}

double Counter::value() const noexcept { return counter_ == nullptr ? 0 : counter_->Value(); }

void Gauge::set(double value) const noexcept {
    if (gauge_ != nullptr) gauge_->Set(value);
}

double Gauge::value() const noexcept { return gauge_ == nullptr ? 0 : gauge_->Value(); }

void Histogram::observe(double value) const noexcept {
    if (histogram_ != nullptr) histogram_->Observe(value);
}

void Histogram::add(const std::vector<double>& new_in_bucket, double new_sum) const noexcept {
    if (histogram_ != nullptr) histogram_->ObserveMultiple(new_in_bucket, new_sum);
}

}  // namespace oavc::metrics
