#include "observability/otlp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <type_traits>
#include <utility>
#include <variant>

namespace oavc::trace {

namespace {

/// Bytes of the UTF-8 character that `text` begins with; 0: it begins with none (RFC 3629 §4).
std::size_t character(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t size = first >= 0xC2 && first < 0xE0   ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
    if (size == 0 || text.size() < size) return 0;
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0u) != 0x80u) return 0;
    }
    const unsigned second = byte(1);
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool surrogate = first == 0xED && second > 0x9F;
    const bool beyond = first == 0xF4 && second > 0x8F;
    return overlong || surrogate || beyond ? 0 : size;
}

void append_text(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const std::size_t size = character(text);
        const auto byte = static_cast<unsigned char>(text.front());
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += text.front();
        } else if (byte < 0x20 || byte == 0x7F) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
        } else {
            out += text.substr(0, size);
        }
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    out += '"';
}

void append_value(std::string& out, const Value& value) {
    const auto append = [&out](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::string>) {
            out += R"({"stringValue":)";
            append_text(out, held);
            out += '}';
        } else if constexpr (std::is_same_v<Held, std::int64_t>) {
            fmt::format_to(std::back_inserter(out), R"({{"intValue":"{}"}})", held);
        } else if constexpr (std::is_same_v<Held, double>) {
            fmt::format_to(std::back_inserter(out), R"({{"doubleValue":{}}})", held);
        } else {
            fmt::format_to(std::back_inserter(out), R"({{"boolValue":{}}})", held);
        }
    };
    std::visit(append, value);
}

void append_attributes(std::string& out, std::span<const Attribute> attributes) {
    out += R"("attributes":[)";
    bool first = true;
    for (const Attribute& attribute : attributes) {
        out += first ? R"({"key":)" : R"(,{"key":)";
        first = false;
        append_text(out, attribute.key);
        out += R"(,"value":)";
        append_value(out, attribute.value);
        out += '}';
    }
    out += ']';
}

std::int64_t nanoseconds(std::chrono::system_clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

void append_span(std::string& out, const Span& span) {
    fmt::format_to(
        std::back_inserter(out),
        R"({{"traceId":"{}","spanId":"{}",)",
        to_hex(span.context.trace),
        to_hex(span.context.span)
    );
    if (span.parent != SpanId{}) {
        fmt::format_to(std::back_inserter(out), R"("parentSpanId":"{}",)", to_hex(span.parent));
    }
    out += R"("name":)";
    append_text(out, span.name);
    fmt::format_to(
        std::back_inserter(out),
        R"(,"kind":{},"startTimeUnixNano":"{}","endTimeUnixNano":"{}",)",
        static_cast<int>(span.kind),
        nanoseconds(span.start),
        nanoseconds(span.end)
    );
    append_attributes(out, span.attributes);
    if (!span.events.empty()) {
        out += R"(,"events":[)";
        bool first = true;
        for (const SpanEvent& event : span.events) {
            fmt::format_to(
                std::back_inserter(out),
                R"({}{{"timeUnixNano":"{}","name":)",
                first ? "" : ",",
                nanoseconds(event.at)
            );
            first = false;
            append_text(out, event.name);
            out += '}';
        }
        out += ']';
    }
    if (!span.problem.empty()) {
        out += R"(,"status":{"code":2,"message":)";
        append_text(out, span.problem);
        out += '}';
    }
    out += '}';
}

/// The text of `"name":"…"` in an answer, without unescaping: for people. Empty: it is not there.
std::string_view member(std::string_view body, std::string_view name) noexcept {
    auto at = body.find(name);
    if (at == std::string_view::npos) return {};
    at = body.find_first_not_of(" \t\r\n:", at + name.size());
    if (at == std::string_view::npos) return {};
    const bool quoted = body[at] == '"';
    const auto begin = at + (quoted ? 1 : 0);
    const auto end = body.find_first_of(quoted ? "\"" : ",} \t\r\n", begin);
    return body.substr(begin, end == std::string_view::npos ? end : end - begin);
}

}  // namespace

std::string otlp_json(const Resource& resource, std::span<const Span> spans) {
    std::string out{R"({"resourceSpans":[{"resource":{)"};
    const Attribute who[]{
        {"service.name", resource.service_name},
        {"service.version", resource.service_version},
        {"service.instance.id", resource.instance}};
    append_attributes(out, who);
    out += R"(},"scopeSpans":[{"scope":{"name":"oavc.call","version":)";
    append_text(out, resource.service_version);
    out += R"(},"spans":[)";
    bool first = true;
    for (const Span& span : spans) {
        if (!std::exchange(first, false)) out += ',';
        append_span(out, span);
    }
    out += "]}]}]}";
    return out;
}

Verdict judge_answer(int status, std::string_view body) noexcept {
    constexpr std::size_t longest_why = 200;
    Verdict verdict;
    if (status / 100 == 2) {
        const auto rejected = member(body, "\"rejectedSpans\"");
        std::from_chars(rejected.data(), rejected.data() + rejected.size(), verdict.rejected);
        verdict.why = member(body, "\"errorMessage\"").substr(0, longest_why);
        return verdict;
    }
    const bool busy = status == 429 || status == 502 || status == 503 || status == 504;
    verdict.kind = busy ? Verdict::Kind::retry : Verdict::Kind::refused;
    verdict.why = member(body, "\"message\"").substr(0, longest_why);
    if (verdict.why.empty()) verdict.why = "status " + std::to_string(status);
    return verdict;
}

std::optional<Clock::duration> parse_retry_after(std::string_view value) noexcept {
    constexpr std::uint32_t longest = 300;
    std::uint32_t seconds = 0;
    const auto* const end = value.data() + value.size();
    const auto [rest, error] = std::from_chars(value.data(), end, seconds);
    if (rest != end || value.empty()) return std::nullopt;
    const bool huge = error == std::errc::result_out_of_range;
    return std::chrono::seconds{huge ? longest : std::min(seconds, longest)};
}

bool ExportQueue::push(Span span, TimePoint now) {
    if (waiting_.size() >= most_spans) {
        ++stats_.dropped;
        return false;
    }
    if (waiting_.empty()) oldest_ = now;
    waiting_.push_back(std::move(span));
    return true;
}

void ExportQueue::take_batch() {
    const auto size = static_cast<std::ptrdiff_t>(std::min(waiting_.size(), batch_size));
    const auto end = waiting_.begin() + size;
    batch_.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
    waiting_.erase(waiting_.begin(), end);
    attempts_ = 0;
}

std::span<const Span> ExportQueue::next(TimePoint now) {
    if (now < not_before_) return {};
    if (batch_.empty() && !waiting_.empty() && (full() || now >= oldest_ + batch_wait)) {
        take_batch();
    }
    return batch_;
}

std::span<const Span> ExportQueue::flush() {
    if (batch_.empty()) take_batch();
    return batch_;
}

TimePoint ExportQueue::next_deadline() const noexcept {
    if (!batch_.empty() || full()) return not_before_;
    if (waiting_.empty()) return TimePoint::max();
    return std::max(not_before_, oldest_ + batch_wait);
}

void ExportQueue::on_answer(
    const Verdict& verdict, std::optional<Clock::duration> retry_after, TimePoint now
) {
    ++attempts_;
    if (verdict.kind == Verdict::Kind::retry && attempts_ < most_attempts) {
        ++stats_.retries;
        const auto doubled = first_retry * (1u << (attempts_ - 1));
        not_before_ = now + retry_after.value_or(std::min<Clock::duration>(doubled, longest_retry));
        return;
    }
    if (verdict.kind == Verdict::Kind::accepted) {
        const auto rejected = std::min(verdict.rejected, batch_.size());
        stats_.rejected += rejected;
        stats_.exported += batch_.size() - rejected;
    } else {
        stats_.failed += batch_.size();
        // A collector that is away is not asked at once again with the next batch.
        if (verdict.kind == Verdict::Kind::retry) not_before_ = now + longest_retry;
    }
    batch_.clear();
    if (!waiting_.empty()) oldest_ = now - batch_wait;  // what came meanwhile has waited enough
}

}  // namespace oavc::trace
