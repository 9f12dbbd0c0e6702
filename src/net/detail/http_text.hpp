#pragma once

#include "net/http.hpp"

#include <string>
#include <string_view>

namespace oavc::net::detail {

/// RFC 9112 §3.2.2: absolute-form is accepted, and means its path.
std::string origin_form(std::string_view target);

/// The client asked for JSON, or asks where programs ask.
bool wants_json(const HttpRequest& request) noexcept;

/// A refusal: JSON for programs, text for people.
HttpResponse problem(int status, std::string_view what, bool json);

/// In words: why bytes that are no acceptable request were refused (400, 413, 431, 505).
std::string_view meaning_of(int status) noexcept;

/// What `answer` may carry as a body: neither 1xx nor 204 nor 304 (RFC 9110 §6.4.1).
bool has_body(const HttpResponse& answer) noexcept;

/// Whether its length is told before it, or the end of the connection ends it.
enum class Length { known, until_close };

/// Status line and header with the empty line. Fields that would break out of theirs are left out.
std::string head_of(
    const HttpResponse& answer, unsigned version, bool keep_alive, Length length = Length::known
);

}  // namespace oavc::net::detail
