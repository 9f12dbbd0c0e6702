#pragma once

#include "config/schema.hpp"

#include <string_view>
#include <vector>

// The rows of the one table of keys, a file per part of the house. schema() joins them in the order
// of the reference.

namespace oavc::config {

std::vector<Key> telephony_keys();
std::vector<Key> sip_keys();
std::vector<Key> stt_keys();
std::vector<Key> llm_keys();
std::vector<Key> tts_keys();
std::vector<Key> failover_keys();
std::vector<Key> conversation_keys();
std::vector<Key> server_keys();
std::vector<Key> security_keys();

inline constexpr Duration any_wait{std::chrono::milliseconds{1}, std::chrono::hours{24}};
inline constexpr std::int64_t any_count = 1'000'000;

}  // namespace oavc::config
