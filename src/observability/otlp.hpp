#pragma once

#include "base/time.hpp"
#include "observability/trace.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Spans to an OpenTelemetry collector: OTLP/HTTP 1.x with JSON, without sockets.

namespace oavc::trace {

/// Who we are, in every batch.
struct Resource {
    std::string service_name;
    std::string service_version;
    std::string instance;
};

/// Body of POST /v1/traces. Ids are hexadecimal, 64-bit numbers are strings, enums are numbers (the
/// JSON mapping that OTLP defines, which is not that of plain Protobuf). Texts that are not UTF-8
/// lose the bytes that are not.
std::string otlp_json(const Resource& resource, std::span<const Span> spans);

/// What a collector's answer means for the batch.
struct Verdict {
    enum class Kind {
        accepted,
        retry,   ///< 429, 502, 503, 504, no connection
        refused  ///< anything else: resending would not help
    };
    Kind kind{Kind::accepted};
    std::size_t rejected{0};  ///< accepted: spans that the collector left out
    std::string why;          ///< the collector's words, at most 200 bytes
};
Verdict judge_answer(int status, std::string_view body) noexcept;

/// `Retry-After` in seconds (RFC 9110 §10.2.3; dates are not read), at most five minutes.
std::optional<Clock::duration> parse_retry_after(std::string_view value) noexcept;

/// What is sent when: batches, retries, and what is given up. Sans-I/O; time comes in. Thread: its
/// owner's, which locks.
class ExportQueue {
public:
    static constexpr std::size_t most_spans = 2048;  ///< waiting; newer ones are dropped, counted
    static constexpr std::size_t batch_size = 512;
    static constexpr Clock::duration batch_wait = 5s;
    static constexpr Clock::duration first_retry = 1s;  ///< then twice as long each time
    static constexpr Clock::duration longest_retry = 30s;
    static constexpr unsigned most_attempts = 5;  ///< of one batch, then it is given up

    struct Stats {
        std::uint64_t exported{0};
        std::uint64_t dropped{0};   ///< the queue was full
        std::uint64_t rejected{0};  ///< left out by the collector
        std::uint64_t failed{0};    ///< given up: refused, or never accepted
        std::uint64_t retries{0};   ///< of batches
    };

    /// False: dropped. True for the span that makes a batch full comes with `full()`.
    bool push(Span span, TimePoint now);
    bool full() const noexcept { return waiting_.size() >= batch_size; }

    /// The batch to send now: one that is to be tried again, a full one, or one that has waited
    /// long enough. Valid until on_answer(), which every batch must be followed by.
    std::span<const Span> next(TimePoint now);
    /// Takes all that waits, whatever the time: for the end.
    std::span<const Span> flush();
    /// When to ask next() again.
    TimePoint next_deadline() const noexcept;

    /// What became of the batch. `retry_after`: of the answer.
    void on_answer(
        const Verdict& verdict, std::optional<Clock::duration> retry_after, TimePoint now
    );

    std::size_t waiting() const noexcept { return waiting_.size() + batch_.size(); }
    const Stats& stats() const noexcept { return stats_; }

private:
    void take_batch();

    std::deque<Span> waiting_;
    TimePoint oldest_{};  ///< when the first of `waiting_` came
    std::vector<Span> batch_;
    unsigned attempts_{0};
    TimePoint not_before_{};
    Stats stats_;
};

}  // namespace oavc::trace
