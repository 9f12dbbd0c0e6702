#pragma once

#include "base/result.hpp"
#include "sip/errors.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oavc::sip {

/// Reads the header lines of a SIP message: every line of `text`, without a first line. Finds names
/// in any case, in their compact form (RFC 3261 §7.3.3) and with blanks before the colon; joins
/// folded lines. Bytes need not be UTF-8. Borrows `text`.
class Headers {
public:
    static constexpr std::size_t max_lines = 1024;  ///< what comes after is not looked at
    static constexpr std::size_t max_value = 8192;  ///< bytes of one value; longer ones are cut

    explicit Headers(std::string_view text) noexcept : text_{text} {}

    /// The first value of that name, unfolded and trimmed. `name` in its long form.
    std::optional<std::string> find(std::string_view name) const;

private:
    std::string_view text_;
};

/// A sip:, sips: or tel: address (RFC 3261 §19.1, RFC 3966).
struct Uri {
    std::string scheme;  ///< lower case
    std::string user;    ///< percent-decoded, without password and parameters; tel: the number
    std::string host;    ///< without port; IPv6 in brackets; empty for tel:
    std::string text;    ///< the whole, as written
    std::optional<std::uint16_t> port;
    std::string parameters;  ///< ";lr;transport=tcp" as written, or empty
    std::string headers;     ///< after '?', as written: "Replaces=…"

    /// "user@host", the number of a tel: URI, or the host alone.
    std::string address() const;
    /// RFC 3323 §4.1.1.3: the caller does not want to be known.
    bool is_anonymous() const noexcept;
    /// The value of `;name=value`; "" for a bare `;name`.
    std::optional<std::string> parameter(std::string_view name) const;
};

/// From, To, Contact, Refer-To: a URI with an optional name and tag.
struct NameAddress {
    std::string display_name;
    Uri uri;
    std::string tag;
    std::string parameters;  ///< ";tag=…;expires=60" after the address, as written
};

/// Error: bad_address.
Result<Uri> parse_uri(std::string_view text) noexcept;
Result<NameAddress> parse_name_address(std::string_view value) noexcept;

/// A SIPS URI: TLS on every hop (RFC 3261 §19.1).
bool is_sips(std::string_view uri) noexcept;

/// The value of `;name=value` in ";a;b=c": "" for a bare `;name`, unquoted if it was quoted.
std::optional<std::string> find_parameter(std::string_view parameters, std::string_view name);

/// "application/sdp" of "application/SDP;charset=utf-8": lower case, without parameters.
std::string media_type(std::string_view content_type);

}  // namespace oavc::sip
