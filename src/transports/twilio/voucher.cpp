#include "transports/twilio/voucher.hpp"

#include "base/base64.hpp"
#include "transports/twilio/token.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace oavc::transports::twilio {

namespace {

constexpr std::size_t longest_address = 80;
constexpr std::size_t longest_voucher = 420;

std::string hex(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, longest_address))
        out += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return out;
}

std::optional<std::string> unhex(std::string_view digits) {
    if (digits.size() % 2 != 0 || digits.size() > 2 * longest_address) return std::nullopt;
    std::string out;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        unsigned value = 0;
        const char* const begin = digits.data() + i;
        const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
        if (error != std::errc{} || end != begin + 2) return std::nullopt;
        out += static_cast<char>(value);
    }
    return out;
}

/// The first word is there so that nothing that is signed for another purpose is a voucher.
std::string signature(std::string_view secret, std::string_view call_sid, std::string_view body) {
    const std::string text = fmt::format("oavc-voucher-1.{}.{}", call_sid, body);
    std::array<std::byte, EVP_MAX_MD_SIZE> mac;
    unsigned size = 0;
    ::HMAC(
        EVP_sha256(),
        secret.data(),
        static_cast<int>(secret.size()),
        reinterpret_cast<const unsigned char*>(text.data()),  // NOLINT
        text.size(),
        reinterpret_cast<unsigned char*>(mac.data()),  // NOLINT
        &size
    );
    return base64::encode_url(std::span{mac}.first(size));
}

/// What stands before the next dot; `text` goes on behind it.
std::string_view next_part(std::string_view& text) {
    const auto dot = text.find('.');
    const auto part = text.substr(0, dot);
    text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
    return part;
}

}  // namespace

std::string make_voucher(
    std::string_view secret, const Vouched& call, std::chrono::system_clock::time_point expires
) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(expires.time_since_epoch()).count();
    const std::string body = fmt::format("{}.{}.{}", seconds, hex(call.from), hex(call.to));
    return fmt::format("{}.{}", body, signature(secret, call.call_sid, body));
}

std::optional<Vouched> read_voucher(
    std::span<const std::string> secrets,
    std::string_view call_sid,
    std::string_view voucher,
    std::chrono::system_clock::time_point now
) {
    const auto last_dot = voucher.rfind('.');
    if (voucher.size() > longest_voucher || last_dot == std::string_view::npos) return std::nullopt;
    std::string_view body = voucher.substr(0, last_dot);
    const auto mac = voucher.substr(last_dot + 1);
    const bool ours = std::ranges::any_of(secrets, [&](const std::string& secret) {
        return !secret.empty() && same_token(signature(secret, call_sid, body), mac);
    });
    if (!ours) return std::nullopt;
    const auto expires = next_part(body);
    std::int64_t seconds = 0;
    const auto [end, error] =
        std::from_chars(expires.data(), expires.data() + expires.size(), seconds);
    if (error != std::errc{} || end != expires.data() + expires.size()) return std::nullopt;
    if (std::chrono::seconds{seconds} < now.time_since_epoch()) return std::nullopt;
    auto from = unhex(next_part(body));
    auto to = unhex(next_part(body));
    if (!from || !to) return std::nullopt;
    return Vouched{std::string{call_sid}, std::move(*from), std::move(*to)};
}

bool UsedVouchers::use(std::string_view voucher, TimePoint now) {
    const std::scoped_lock lock{mutex_};
    std::erase_if(used_, [now](const auto& entry) { return entry.second <= now; });
    if (used_.size() >= bound_) return false;
    return used_.emplace(voucher, now + ttl_).second;
}

}  // namespace oavc::transports::twilio
