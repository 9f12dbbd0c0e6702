#include "observability/trace.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <utility>

namespace oavc::trace {

namespace {

constexpr std::uint64_t all_of_56_bits = std::uint64_t{1} << 56;

/// Upper-case digits are none here (W3C).
int digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool read_hex(std::string_view text, std::span<std::byte> out) noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const int high = digit(text[2 * i]);
        const int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = static_cast<std::byte>(high * 16 + low);
    }
    return true;
}

std::uint64_t last_56_bits(const TraceId& id) noexcept {
    std::uint64_t bits = 0;
    for (std::size_t i = id.size() - 7; i < id.size(); ++i)
        bits = bits << 8 | std::to_integer<std::uint64_t>(id[i]);
    return bits;
}

}  // namespace

std::string to_hex(std::span<const std::byte> id) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : id) {
        text += digits[std::to_integer<std::size_t>(byte >> 4)];
        text += digits[std::to_integer<std::size_t>(byte & std::byte{15})];
    }
    return text;
}

std::optional<Context> parse_traceparent(std::string_view text) noexcept {
    constexpr std::size_t size = 55;  // 2 - 32 - 16 - 2
    if (text.size() < size || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
    std::array<std::byte, 1> version{};
    std::array<std::byte, 1> flags{};
    Context context;
    const bool read =
        read_hex(text.substr(0, 2), version) && read_hex(text.substr(3, 32), context.trace) &&
        read_hex(text.substr(36, 16), context.span) && read_hex(text.substr(53, 2), flags);
    if (!read || version[0] == std::byte{0xff} || !context.valid()) return {};
    if (text.size() > size && (version[0] == std::byte{0} || text[size] != '-')) return {};
    context.sampled = (flags[0] & std::byte{1}) != std::byte{0};
    return context;
}

std::string to_traceparent(const Context& context) {
    if (!context.valid()) return {};
    return "00-" + to_hex(context.trace) + "-" + to_hex(context.span) +
           (context.sampled ? "-01" : "-00");
}

Tracer::Tracer(double sample_ratio, SpanSink& sink) noexcept
    : keep_below_{static_cast<std::uint64_t>(
          std::clamp(sample_ratio, 0.0, 1.0) * static_cast<double>(all_of_56_bits)
      )},
      sink_{sink} {}

Context Tracer::begin(std::string_view traceparent, SpanId& parent) const noexcept {
    parent = {};
    Context context;
    if (const auto came = parse_traceparent(traceparent)) {
        context = *came;
        parent = came->span;
    } else {
        random_bytes(context.trace);
        context.sampled = last_56_bits(context.trace) < keep_below_;
    }
    random_bytes(context.span);
    return context;
}

Context Tracer::below(const Context& parent) noexcept {
    Context context = parent;
    if (parent.valid()) random_bytes(context.span);
    return context;
}

}  // namespace oavc::trace
