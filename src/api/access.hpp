#pragma once

#include "api/config.hpp"
#include "base/time.hpp"
#include "net/http.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace oavc::api {

/// What somebody may do. Each may do what those before it may.
enum class Role {
    anybody,  ///< knows the address
    watcher,  ///< sees calls and their transcripts
    admin,    ///< acts on them
};
std::string_view to_string(Role role) noexcept;

/// Same text, in a time that does not depend on where they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

/// How often each source may be refused: `burst` at once, then one per `pause`. Sans-I/O. Bound:
/// `most_sources`; the one that was heard of longest ago makes room.
class RefusalLimit {
public:
    static constexpr std::size_t most_sources = 1'024;
    static constexpr unsigned burst = 20;
    static constexpr Clock::duration pause = std::chrono::seconds{1};

    /// Notes a refusal. False: `source` has had too many; tell it to wait.
    bool allow(std::string_view source, TimePoint now);
    std::size_t sources() const noexcept { return by_name_.size(); }

private:
    struct Source {
        std::string name;
        double left;
        TimePoint at;
    };
    std::list<Source> sources_;  ///< latest first
    std::map<std::string, std::list<Source>::iterator, std::less<>> by_name_;
};

/// Who may do what by [api] token (admin) and read_token (watcher), sent as `Authorization:
/// Bearer`. Without `token`, clients on this machine need none and are admins. The right token is
/// always served; who is refused too often hears 429 instead of why. Thread: any.
class Access {
public:
    enum class Outcome { unauthorized, forbidden, too_many };
    static constexpr Outcome outcomes[]{
        Outcome::unauthorized, Outcome::forbidden, Outcome::too_many};

    explicit Access(const Config& config);

    /// Holds for the next request.
    void set_tokens(const Config& config);

    /// Nothing: go on. Else 401, 403 or 429 with what to do.
    std::optional<net::HttpResponse> refusal(
        const net::HttpRequest& request, Role needed, TimePoint now
    );

    /// Who asks, for the audit: "admin" or "watcher" by the role of the token, "local" for a client
    /// on this machine that needs none, else "unknown".
    std::string_view who(const net::HttpRequest& request) const;

    /// Refused so far.
    std::uint64_t refused(Outcome outcome) const;

private:
    std::optional<Role> role_of(const net::HttpRequest& request) const;

    mutable std::mutex mutex_;
    std::string token_;
    std::string read_token_;
    RefusalLimit limit_;
    std::array<std::uint64_t, std::size(outcomes)> refused_{};
};
std::string_view to_string(Access::Outcome outcome) noexcept;

}  // namespace oavc::api
