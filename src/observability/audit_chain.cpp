#include "observability/audit_chain.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <charconv>

namespace oavc::audit {

namespace {

constexpr std::size_t longest_value = 512;
constexpr std::string_view opening = "{\"seq\":";
constexpr std::string_view prev_key = ",\"prev\":\"";
constexpr std::string_view hash_key = ",\"hash\":\"";
constexpr std::string_view closing = "\"}";

std::string sha256(std::string_view bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    std::string hex;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
        size = 0;  // a line without a hash is found by whoever verifies
    }
    for (unsigned i = 0; i < size; ++i)
        hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

/// Bytes of the UTF-8 character at `at`; 0: it is none (RFC 3629 §4, overlong forms aside).
std::size_t utf8_size(std::string_view text, std::size_t at) noexcept {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t size = lead < 0x80    ? 1
                             : lead < 0xC2  ? 0
                             : lead < 0xE0  ? 2
                             : lead < 0xF0  ? 3
                             : lead <= 0xF4 ? 4
                                            : 0;
    if (size == 0 || at + size > text.size()) return 0;
    for (std::size_t i = 1; i < size; ++i) {
        if ((static_cast<unsigned char>(text[at + i]) & 0xC0U) != 0x80U) return 0;
    }
    return size;
}

void append_text(std::string& out, std::string_view text) {
    out += '"';
    const std::size_t limit = out.size() + longest_value;
    for (std::size_t i = 0; i < text.size() && out.size() < limit;) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t size = utf8_size(text, i);
        if (size == 0) {
            out += fmt::format("\\\\x{:02x}", byte);
            ++i;
            continue;
        }
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += text[i];
        } else if (byte < 0x20 || byte == 0x7F) {
            out += fmt::format("\\u{:04x}", byte);
        } else {
            out += text.substr(i, size);
        }
        i += size;
    }
    out += '"';
}

void append_member(std::string& out, std::string_view key, std::string_view value) {
    if (value.empty()) return;
    out += out.empty() ? "" : ",";
    append_text(out, key);
    out += ':';
    append_text(out, value);
}

std::string time_text(std::chrono::system_clock::time_point at) {
    using namespace std::chrono;
    const auto day = floor<days>(at);
    const year_month_day date{day};
    const hh_mm_ss time{floor<milliseconds>(at - day)};
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        time.hours().count(),
        time.minutes().count(),
        time.seconds().count(),
        time.subseconds().count()
    );
}

}  // namespace

std::string described(const Event& event, std::chrono::system_clock::time_point at) {
    std::string text;
    append_member(text, "time", time_text(at));
    append_member(text, "what", event.what);
    append_member(text, "who", event.who);
    append_member(text, "source", event.source);
    append_member(text, "call", event.call);
    for (const auto& [key, value] : event.more)
        append_member(text, key, value);
    return text;
}

std::optional<Link> parse_link(std::string_view text) noexcept {
    Link link;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), link.sequence);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.size() < 1 + Link::hash_size || text.front() != ':') return std::nullopt;
    link.hash = text.substr(1, Link::hash_size);
    return link;
}

std::string sealed(Link& link, std::string_view described) {
    ++link.sequence;
    std::string line =
        fmt::format("{}{},{}{}{}\"", opening, link.sequence, described, prev_key, link.hash);
    link.hash = sha256(line);
    line += hash_key;
    line += link.hash;
    line += closing;
    return line;
}

std::optional<Place> place_of(std::string_view line) noexcept {
    // From the end, where every length is known: nothing that stands in a text can look like it.
    const std::size_t tail = hash_key.size() + Link::hash_size + closing.size();
    const std::size_t before = prev_key.size() + Link::hash_size + 1;
    if (line.size() < opening.size() + tail + before) return std::nullopt;
    const auto body = line.substr(0, line.size() - tail);
    const auto seal = line.substr(body.size());
    const auto link = body.substr(body.size() - before);
    if (!line.starts_with(opening) || !seal.starts_with(hash_key) || !seal.ends_with(closing) ||
        !link.starts_with(prev_key) || !link.ends_with('"')) {
        return std::nullopt;
    }
    Place place;
    place.hash = seal.substr(hash_key.size(), Link::hash_size);
    place.previous = link.substr(prev_key.size(), Link::hash_size);
    const auto number = body.substr(opening.size());
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), place.sequence);
    if (error != std::errc{} || end == number.data() + number.size() || *end != ',') {
        return std::nullopt;
    }
    place.intact = sha256(body) == place.hash;
    return place;
}

Finding Verifier::line(std::string_view text) {
    ++lines_;
    const auto place = place_of(text);
    if (!place) return {false, "is no record: a write that was cut off, or something foreign"};
    const auto number = place->sequence;
    const auto before = std::exchange(head_, Link{number, std::string{place->hash}});
    const bool first = first_ == 0;
    if (first) first_ = number;
    if (!place->intact) return {true, fmt::format("record {} was changed", number)};
    if (first) {
        if (number != 1 || place->previous == Link{}.hash) return {};
        return {true, "record 1 does not begin a chain"};
    }
    const auto expected = before.sequence + 1;
    if (number == expected + 1) {
        return {true, fmt::format("record {} is missing before this one", expected)};
    }
    if (number > expected) {
        return {
            true,
            fmt::format("records {} to {} are missing before this one", expected, number - 1)};
    }
    if (number < expected) {
        return {
            true,
            fmt::format(
                "record {} stands behind record {}: moved, or twice", number, before.sequence
            )};
    }
    if (place->previous == before.hash) return {};
    return {
        true,
        fmt::format(
            "record {} does not continue record {}: one was replaced", number, expected - 1
        )};
}

}  // namespace oavc::audit
