#pragma once

#include "base/base64.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "transports/twilio/errors.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oavc::transports::twilio {

/// 32 random bytes, base64url: what nobody guesses within a minute, or ever.
std::string make_token();

/// Compares without telling by its duration where the difference is.
bool same_token(std::string_view a, std::string_view b) noexcept;

/// Calls between their webhook and their media socket: each holds what the webhook brought, under a
/// token that is good once, for its CallSid, for `ttl`. Thread: any (webhooks and sockets of one
/// call may be on different shards).
template <class Pending>
class TokenTable {
public:
    TokenTable(Clock::duration ttl, std::size_t bound) : ttl_{ttl}, bound_{bound} {}

    /// A token for a call that has none yet. Errors: TwilioErrc::too_many_tokens.
    Result<std::string> issue(const std::string& call_sid, Pending pending, TimePoint now) {
        const std::scoped_lock lock{mutex_};
        if (calls_.size() >= bound_) return TwilioErrc::too_many_tokens;
        auto [entry, inserted] = calls_.try_emplace(call_sid);
        entry->second.emplace(Entry{make_token(), now + ttl_, std::move(pending)});
        return entry->second->token;
    }

    /// A new token for a call that waits already: Twilio asks again when our first answer got lost.
    std::optional<std::string> renew(std::string_view call_sid, TimePoint now) {
        const std::scoped_lock lock{mutex_};
        const auto entry = calls_.find(call_sid);
        if (entry == calls_.end() || entry->second->expires <= now) return std::nullopt;
        entry->second->token = make_token();
        entry->second->expires = now + ttl_;
        return entry->second->token;
    }

    /// What the webhook brought, once; nothing for a wrong, used or expired token.
    std::optional<Pending> redeem(
        std::string_view call_sid, std::string_view token, TimePoint now
    ) {
        const std::scoped_lock lock{mutex_};
        const auto entry = calls_.find(call_sid);
        if (entry == calls_.end() || entry->second->expires <= now) return std::nullopt;
        if (!same_token(entry->second->token, token)) return std::nullopt;
        std::optional<Pending> pending{std::move(entry->second->pending)};
        calls_.erase(entry);
        return pending;
    }

    /// Lets go of calls whose socket never came; how many.
    std::size_t expire(TimePoint now) {
        std::vector<Pending> gone;  // destroyed after the lock is released
        const std::scoped_lock lock{mutex_};
        for (auto entry = calls_.begin(); entry != calls_.end();) {
            if (entry->second->expires > now) {
                ++entry;
                continue;
            }
            gone.push_back(std::move(entry->second->pending));
            entry = calls_.erase(entry);
        }
        return gone.size();
    }

    std::size_t size() const {
        const std::scoped_lock lock{mutex_};
        return calls_.size();
    }

private:
    struct Entry {
        std::string token;
        TimePoint expires;
        Pending pending;
    };

    const Clock::duration ttl_;
    const std::size_t bound_;
    mutable std::mutex mutex_;
    std::map<std::string, std::optional<Entry>, std::less<>>
        calls_;  ///< by CallSid, which is no secret
};

}  // namespace oavc::transports::twilio
