#pragma once

#include "base/time.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

/// Twilio's messages for a crowd of calls: written from templates into borrowed memory.
namespace oavc::caller::bench {

/// Who is called, in a form that costs a call 80 bytes.
struct TwilioIds {
    char call_sid[35]{};    ///< "CA" and 32 hexadecimal digits
    char stream_sid[35]{};  ///< "MZ", dto.

    static TwilioIds make();
};

inline constexpr std::string_view bench_account = "AC00000000000000000000000000000001";

struct TwilioWebhook {
    std::string_view host;   ///< "127.0.0.1:8088"
    std::string_view url;    ///< as signed: "http://127.0.0.1:8088/"
    std::string_view token;  ///< the account's auth token; secret
    std::string_view from;
    std::string_view to;
};

/// The whole request that announces a call: signed form and headers.
std::string webhook_request(const TwilioWebhook& webhook, std::string_view call_sid);

/// The two messages that begin a stream.
std::string connected_message();
std::string start_message(
    const TwilioIds& ids, const std::map<std::string, std::string>& parameters
);

/// Longest that the following write: `to` must have that room. A mark's name may be this long.
inline constexpr std::size_t longest_mark_name = 512;
inline constexpr std::size_t longest_twilio_message = 4096;

/// One stream's messages behind `start`, counted as Twilio does. Each returns the length.
class TwilioCounter {
public:
    /// `ulaw`: at most 40 ms.
    std::size_t media(
        char* to, const TwilioIds& ids, std::span<const std::byte> ulaw, milliseconds since_start
    ) noexcept;
    /// `name` as the connector sent it, with its escapes.
    std::size_t mark(char* to, const TwilioIds& ids, std::string_view name) noexcept;
    std::size_t dtmf(char* to, const TwilioIds& ids, char digit) noexcept;
    std::size_t stop(char* to, const TwilioIds& ids) noexcept;

private:
    std::uint32_t sequence_{1};  ///< of `start`
    std::uint32_t chunk_{0};
};

/// What the connector wants of a stream.
struct TwilioOrder {
    enum class Kind { media, mark, clear, senseless };
    Kind kind{Kind::senseless};
    std::string_view text;  ///< media: base64; mark: name with its escapes
};

/// Reads a message of the connector: members in any order, blanks anywhere. What Twilio would warn
/// about is senseless.
TwilioOrder read_order(std::string_view message, const TwilioIds& ids) noexcept;

}  // namespace oavc::caller::bench
