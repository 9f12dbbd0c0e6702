#include "api/access.hpp"

#include "api/json_reply.hpp"

#include <algorithm>
#include <utility>

namespace oavc::api {

std::string_view to_string(Role role) noexcept {
    switch (role) {
        case Role::anybody:
            return "anybody";
        case Role::watcher:
            return "watcher";
        case Role::admin:
            break;
    }
    return "admin";
}

std::string_view to_string(Access::Outcome outcome) noexcept {
    switch (outcome) {
        case Access::Outcome::unauthorized:
            return "unauthorized";
        case Access::Outcome::forbidden:
            return "forbidden";
        case Access::Outcome::too_many:
            break;
    }
    return "too_many";
}

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
    // The length is no secret; every byte is looked at whatever the earlier ones were.
    unsigned difference = a.size() == b.size() ? 0U : 1U;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const char other = b.empty() ? '\0' : b[i % b.size()];
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
    }
    return difference == 0;
}

namespace {

/// What follows "Bearer " (RFC 6750 §2.1; schemes compare without case); empty: none.
std::string_view bearer_of(const net::HttpRequest& request) noexcept {
    constexpr std::string_view scheme = "bearer ";
    const std::string_view given = request.header("Authorization");
    const bool bearer = given.size() > scheme.size() &&
                        std::equal(scheme.begin(), scheme.end(), given.begin(), [](char a, char b) {
                            return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b);
                        });
    return bearer ? given.substr(scheme.size()) : std::string_view{};
}

}  // namespace

bool RefusalLimit::allow(std::string_view source, TimePoint now) {
    const auto found = by_name_.find(source);
    if (found == by_name_.end()) {
        if (sources_.size() >= most_sources) {
            by_name_.erase(sources_.back().name);
            sources_.pop_back();
        }
        sources_.push_front({std::string{source}, burst, now});
        by_name_.emplace(sources_.front().name, sources_.begin());
    } else {
        sources_.splice(sources_.begin(), sources_, found->second);
    }
    Source& entry = sources_.front();
    const std::chrono::duration<double> passed = now - entry.at;
    const std::chrono::duration<double> each = pause;
    entry.left = std::min<double>(burst, entry.left + passed / each);
    entry.at = now;
    if (entry.left < 1) return false;
    entry.left -= 1;
    return true;
}

Access::Access(const Config& config) : token_{config.token}, read_token_{config.read_token} {}

void Access::set_tokens(const Config& config) {
    const std::lock_guard lock{mutex_};
    token_ = config.token;
    read_token_ = config.read_token;
}

std::optional<Role> Access::role_of(const net::HttpRequest& request) const {
    const auto given = bearer_of(request);
    if (!given.empty()) {
        // Both are looked at, whatever the first says.
        const bool admin = equal_in_constant_time(given, token_);
        const bool watcher = equal_in_constant_time(given, read_token_);
        if (admin) return Role::admin;
        if (watcher) return Role::watcher;
        if (!token_.empty() || !read_token_.empty()) return std::nullopt;
    }
    if (token_.empty() && request.peer_is_loopback) return Role::admin;
    return std::nullopt;
}

std::optional<net::HttpResponse> Access::refusal(
    const net::HttpRequest& request, Role needed, TimePoint now
) {
    if (needed == Role::anybody) return std::nullopt;
    const std::lock_guard lock{mutex_};
    const auto role = role_of(request);
    if (role && *role >= needed) return std::nullopt;
    const auto count = [this](Outcome outcome) { ++refused_[static_cast<std::size_t>(outcome)]; };
    if (!limit_.allow(request.peer_ip, now)) {
        count(Outcome::too_many);
        auto response = json_problem(429, "Too many refused requests: wait.", "too_many");
        response.headers["Retry-After"] = "5";
        return response;
    }
    if (role) {
        count(Outcome::forbidden);
        return json_problem(403, "[api] read_token may watch only; send [api] token.", "role");
    }
    if (token_.empty() && read_token_.empty()) {
        count(Outcome::forbidden);
        return json_problem(
            403,
            "The control API answers local clients only. To reach it from elsewhere, set [api] "
            "token and send it as 'Authorization: Bearer <token>'."
        );
    }
    count(Outcome::unauthorized);
    auto response =
        json_problem(401, "Send the token of [api] token as 'Authorization: Bearer <token>'.");
    response.headers["WWW-Authenticate"] = "Bearer";
    return response;
}

std::string_view Access::who(const net::HttpRequest& request) const {
    const std::lock_guard lock{mutex_};
    const auto role = role_of(request);
    if (!role) return "unknown";
    const bool by_token = !token_.empty() || !read_token_.empty();
    return by_token && !bearer_of(request).empty() ? to_string(*role) : "local";
}

std::uint64_t Access::refused(Outcome outcome) const {
    const std::lock_guard lock{mutex_};
    return refused_[static_cast<std::size_t>(outcome)];
}

}  // namespace oavc::api
