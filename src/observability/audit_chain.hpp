#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The format of the audit: JSON lines in a chain of hashes. Sans-I/O.
///
///     {"seq":2,"time":"2026-11-22T21:37:00.125Z","what":"call_started","who":"caller",
///      "source":"opensips","call":"4f1c…","direction":"incoming","prev":"9a…","hash":"c0…"}
///
/// `hash` is SHA-256 over the line's bytes before `,"hash":`, of which the hash of the line before
/// (`prev`; 64 zeros for the first) is the last. Whoever changes, removes or moves a line has to
/// write all that follow anew, and the last hash, which others have seen, is another one then.
namespace oavc::audit {

/// Who did what. Never personal data: sentences, numbers and bodies stay out.
struct Event {
    std::string what;    ///< "call_started", "api_request", …
    std::string who;     ///< "caller", "system", a role of the API
    std::string source;  ///< a numeric address, a carrier
    std::string call;    ///< session id; empty: no call
    std::vector<std::pair<std::string_view, std::string>> more{};
};

/// An event as JSON members, without its place in the chain. Control characters are escaped, what
/// is no UTF-8 stands as "\\x..", texts are cut at 512 bytes.
std::string described(const Event& event, std::chrono::system_clock::time_point at);

/// The end of a chain.
struct Link {
    static constexpr std::size_t hash_size = 64;  ///< hexadecimal digits

    std::uint64_t sequence{0};                       ///< of the last line
    std::string hash = std::string(hash_size, '0');  ///< its hash
    friend bool operator==(const Link&, const Link&) = default;
};

/// "17:9ac3…": how FILE.head has a chain's end, and how an operator gives one.
std::optional<Link> parse_link(std::string_view text) noexcept;

/// The next line, without a line feed. `described` is what described() made.
std::string sealed(Link& link, std::string_view described);

/// What a line says of its place; nullopt when it is no line of ours (torn, foreign).
struct Place {
    std::uint64_t sequence{0};
    std::string_view previous;
    std::string_view hash;
    bool intact{false};  ///< its hash is that of its bytes
};
std::optional<Place> place_of(std::string_view line) noexcept;

/// What is odd about a line.
struct Finding {
    bool broken{false};  ///< the chain is; else a write was cut off, and the chain is whole
    std::string what;    ///< in words; empty: nothing
};

/// Follows a chain line by line.
class Verifier {
public:
    /// The next line. After a finding the chain is followed on from there, so that each is told
    /// once.
    Finding line(std::string_view text);

    /// Where a chain that is whole ends: to compare with what was seen elsewhere.
    const Link& head() const noexcept { return head_; }
    std::uint64_t lines() const noexcept { return lines_; }
    /// Of the first line: 1 unless older files are missing.
    std::uint64_t first() const noexcept { return first_; }

private:
    Link head_;
    std::uint64_t lines_{0};
    std::uint64_t first_{0};
};

}  // namespace oavc::audit
