#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace oavc::trace {

using TraceId = std::array<std::byte, 16>;
using SpanId = std::array<std::byte, 8>;

/// Lower-case hexadecimal, as W3C and OTLP write ids.
std::string to_hex(std::span<const std::byte> id);

/// Where in which trace something happens (W3C Trace Context).
struct Context {
    TraceId trace{};
    SpanId span{};
    bool sampled{false};  ///< spans of this trace are kept

    /// Ids of zeros only are none.
    bool valid() const noexcept { return trace != TraceId{} && span != SpanId{}; }
};

/// Value of a `traceparent` header (W3C Trace Context §3.2.2). Nothing when it is not valid: a new
/// trace is begun then. Of versions to come the known part is read.
std::optional<Context> parse_traceparent(std::string_view text) noexcept;

/// "00-<trace>-<span>-01"; empty for a context that is not valid.
std::string to_traceparent(const Context& context);

using Value = std::variant<std::string, std::int64_t, double, bool>;
struct Attribute {
    std::string key;
    Value value;
};

/// Something that happened within a span.
struct SpanEvent {
    std::string name;
    std::chrono::system_clock::time_point at{};
};

/// What was done from when to when. Holds no personal data: no numbers, no words of the call.
struct Span {
    enum class Kind { internal = 1, server = 2, client = 3 };  ///< numbers are OTLP's

    Context context;
    SpanId parent{};  ///< zeros: the root of our part and of the whole
    std::string name;
    Kind kind{Kind::internal};
    std::chrono::system_clock::time_point start{};
    std::chrono::system_clock::time_point end{};
    std::vector<Attribute> attributes;
    std::vector<SpanEvent> events;
    std::string problem;  ///< why it failed; empty: it did not
};

/// Where finished spans go. Thread: any; never blocks.
class SpanSink {
public:
    virtual void take(Span span) noexcept = 0;

protected:
    ~SpanSink() = default;
};

/// Makes contexts: ids, and which traces are kept. A trace that began elsewhere is kept when its
/// beginner keeps it, of our own a share. Thread: any.
class Tracer {
public:
    /// `sample_ratio` 0 … 1. `sink` outlives us.
    Tracer(double sample_ratio, SpanSink& sink) noexcept;

    /// A call that came with `traceparent`, which may be empty or wrong. `parent` is what it came
    /// from, zeros: nothing.
    Context begin(std::string_view traceparent, SpanId& parent) const noexcept;

    /// A span below `parent`.
    static Context below(const Context& parent) noexcept;

    void finish(Span span) const noexcept { sink_.take(std::move(span)); }

private:
    const std::uint64_t keep_below_;  ///< of the ids' last 56 bits
    SpanSink& sink_;
};

}  // namespace oavc::trace
