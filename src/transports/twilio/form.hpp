#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace oavc::transports::twilio {

/// One name and value of a form, decoded. Order, repeats and empty values are kept: the signature
/// covers them all.
struct FormField {
    std::string name;
    std::string value;
    friend bool operator==(const FormField&, const FormField&) = default;
};
using Form = std::vector<FormField>;

inline constexpr std::size_t max_form_bytes = 256 * 1024;
inline constexpr std::size_t max_form_fields = 1000;

/// Parses application/x-www-form-urlencoded: a body, or the query of a URL. A '%' that begins no
/// escape stands for itself. Errors: TwilioErrc::form_too_large.
Result<Form> parse_form(std::string_view text) noexcept;

/// The first value of that name, or nothing.
std::string_view find_field(const Form& form, std::string_view name) noexcept;

}  // namespace oavc::transports::twilio
